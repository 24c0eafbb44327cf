//! The command line beside a running server: the server knows within a second.

use std::time::Duration;

use crate::{
    clock::{moment, wait_for},
    house::{House, text},
    http::Ask,
};

const SOON: Duration = Duration::from_secs(1);

#[test]
fn the_server_sees_what_the_command_line_does() {
    let house = House::new("beside");
    let customer = house.customer();
    let person = house.person(&customer, "ada@example.com", "superuser", "a password for Ada");
    let server = house.start(&[]);
    let mut client = server.client();
    let secret = client.must(&person.login(None)).text("access_token");
    let args =
        ["service", "create", "--customer", &customer, "--name", "shop", "--domain", "shop.test", "--json"];
    let service = text(&house.json(&args, ""), "id");
    let made = moment();
    let show = Ask::new(&format!("GET /service/{service}")).key(&secret);
    wait_for("the service", SOON, || client.must(&show).is_ok().then_some(()));
    eprintln!("a service of the command line is seen after {:.0?}", made.elapsed());

    let factor = house.totp(&person);
    let made = moment();
    wait_for("the second factor to be asked for", SOON, || {
        let answer = client.must(&person.login(None));
        (answer.code() == "otp_required").then_some(())
    });
    eprintln!("a second factor of the command line is asked for after {:.0?}", made.elapsed());
    assert_eq!(client.must(&person.login(Some(&factor.code()))).status, 200);

    let bob = house.person(&customer, "bob@example.com", "user", "a password for Bob");
    let made = moment();
    wait_for("Bob", SOON, || {
        let secret = client.must(&bob.login(None));
        let shown = secret
            .is_ok()
            .then(|| client.must(&Ask::new("GET /tokens/self").key(&secret.text("access_token"))));
        shown.filter(|shown| shown.status == 200)
    });
    eprintln!("a person of the command line is let in after {:.0?}", made.elapsed());
}

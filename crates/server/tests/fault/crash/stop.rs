//! SIGTERM is a request to end well: what has begun is answered, and then the process is gone.

use std::time::Duration;

use crate::{
    clock::moment,
    house::House,
    http::{Ask, Client},
};

/// Logins under way at the stop. Each is an Argon2, so that most of them wait for the one before.
const UNDER_WAY: usize = 12;

#[test]
fn requests_under_way_are_answered_and_the_end_is_quick_and_clean() {
    let house = House::new("stop");
    let customer = house.customer();
    let person = house.person(&customer, "ada@example.com", "superuser", "a password for Ada");
    let mut server = house.start(&[]);
    let mut idle = server.client();
    assert_eq!(idle.must(&Ask::new("GET /livez")).status, 200);
    let mut clients: Vec<Client> = (0..UNDER_WAY).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(&person.login(None)).unwrap();
    }
    // Long enough to be read by the server, too short for a dozen Argon2.
    std::thread::sleep(Duration::from_millis(60));
    server.tell_to_stop();
    let told = moment();
    let answers: Vec<_> = clients.iter_mut().map(|client| client.receive().unwrap()).collect();
    let answered = told.elapsed();
    let status = server.ended(Duration::from_secs(10));
    eprintln!(
        "{UNDER_WAY} logins answered {answered:.0?} after SIGTERM, the end after {:.0?}",
        told.elapsed()
    );
    assert!(status.success(), "{status}");
    assert!(
        answered > Duration::from_millis(100),
        "nothing was under way any more: this test proved nothing"
    );
    assert!(server.client().connect().is_err(), "it still listens");
    let server = house.start(&[]);
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.json());
        let shown = server.client().must(&Ask::new("GET /tokens/self").key(&answer.text("access_token")));
        assert_eq!(shown.status, 200);
    }
}

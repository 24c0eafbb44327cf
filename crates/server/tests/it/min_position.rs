//! A check that demands a position (SECURITY-BAR P6, P9): over sockets, at every door.

use std::time::Duration;

use keygate_authority::service::NewService;
use keygate_server::{edge::Stopwatch, ways::Way};

use crate::house::{House, Reply};

const MIN: &str = "Keygate-Min-Position";

/// What nobody has applied for a long time.
const AHEAD: &str = "999999999";

fn is_told_to_come_back(reply: &Reply, code: &str) {
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{reply:?}");
    assert!(reply.body.contains(code) || reply.header("x-authz-reason") == Some(code), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_says_that_it_cannot_tell_what_it_has_not_heard() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let (known, unknown) = (house.with(&token), house.anon().showing(&format!("{}x", token.secret)));
    let applied = house.node.app.gate.position().0.to_string();
    let watch = Stopwatch::start();
    is_told_to_come_back(
        &known.ask("GET", "/verify").header(MIN, AHEAD).send().await,
        "position_not_applied",
    );
    assert!(watch.elapsed() >= Duration::from_millis(250), "it was worth waiting");
    let form = [("token", token.secret.as_str())];
    let introspect = known.ask("POST", "/oauth/introspect").form(&form).header(MIN, AHEAD);
    is_told_to_come_back(&introspect.send().await, "position_not_applied");
    is_told_to_come_back(
        &known.proxied("GET", "/tokens/self").header(MIN, AHEAD).send().await,
        "position_not_applied",
    );
    for way in [Way::Traefik, Way::Caddy, Way::Haproxy] {
        let ask = known.ask("GET", way.path()).header("X-Forwarded-Method", "GET").header(MIN, AHEAD);
        let ask = ask.header("X-Forwarded-Host", "keygate.test").header("X-Forwarded-Uri", "/tokens/self");
        is_told_to_come_back(
            &ask.header("X-Forwarded-For", "127.0.0.1").send().await,
            "position_not_applied",
        );
    }
    for (said, status) in [(applied.as_str(), 200), ("0", 200), ("soon", 400), ("-1", 400)] {
        assert_eq!(known.ask("GET", "/verify").header(MIN, said).send().await.status, status, "{said}");
        let asked = known.proxied("GET", "/tokens/self").header(MIN, said).send().await;
        let told = asked.header("x-authz-status").map_or(asked.status, |text| text.parse().unwrap_or(0));
        assert_eq!(told, status, "{said} {asked:?}");
    }
    // A secret that can be none is none, whatever has been applied.
    assert_eq!(unknown.ask("GET", "/verify").header(MIN, AHEAD).send().await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_waits_for_what_is_about_to_come() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    for name in ["one", "two", "three"] {
        let next = (house.node.app.gate.position().0 + 1).to_string();
        let change = change(&house, name);
        let (asked, verified) = (
            house.with(&token).proxied("GET", "/tokens/self").header(MIN, &next),
            house.with(&token).ask("GET", "/verify").header(MIN, &next),
        );
        let (asked, verified, _) = tokio::join!(asked.send(), verified.send(), change);
        assert_eq!((asked.status, verified.status), (200, 200), "{asked:?} {verified:?}");
    }
}

/// A change, a moment from now.
async fn change(house: &House, name: &str) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    house.service(NewService { name: name.to_owned(), ..NewService::default() }).await;
}

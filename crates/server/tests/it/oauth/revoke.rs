//! `POST /oauth/revoke`.

use std::{num::NonZeroU32, time::Duration};

use keygate_model::{
    Batch, Networks, Position, Record, Secret,
    customer::{CustomerState, Rules},
    record::CustomerRecord,
    token::{Brand, Kind},
};
use keygate_server::quota::Limits;
use serde_json::{Value, json};

use super::{bot, bytes, lead, refused};
use crate::house::{House, Reply, Token};

/// Asks, with a caller's token if there is one.
async fn revoke(house: &House, caller: Option<&Token>, secret: &str) -> Reply {
    let caller = caller.map_or_else(|| house.anon().clone(), |caller| house.with(caller));
    caller.ask("POST", "/oauth/revoke").form(&[("token", secret)]).send().await
}

async fn is_alive(house: &House, token: &Token) -> bool {
    house.with(token).get("/tokens/self").await.status == 200
}

/// How often a token was destroyed, and by whom.
async fn destroyed(house: &House, lead: &Token) -> Vec<(Value, Value)> {
    let events =
        house.with(lead).get("/events?filter[event_type]=token.destroy&sort=created_at").await.json();
    let about =
        |event: &Value| (event["attributes"]["actor"].clone(), event["attributes"]["metadata"].clone());
    events["data"].as_array().expect("events").iter().map(about).collect()
}

#[track_caller]
fn code(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{reply:?}");
}

/// What no token can be, and what none is.
fn nobodys() -> Vec<String> {
    let unknown = |kind| Secret::mint(&Brand::default(), kind, &[77; 32]).reveal().to_string();
    let known = unknown(Kind::User);
    let cut = known[..52].to_owned();
    vec![
        "x".to_owned(),
        cut,
        "kgu_".to_owned(),
        "é, \u{0}".to_owned(),
        known,
        unknown(Kind::Automation),
        unknown(Kind::Exchanged),
    ]
}

#[tokio::test]
async fn whoever_holds_a_secret_may_give_it_up() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let narrow = house.token(&house.bob, &[("scope", "purge_select")]).await;
    let robot = bot(&house, &lead, "user", "introspect").await;
    // Bob has made a token already in this hour.
    for (nth, (token, left)) in [(narrow, "998"), (robot, "999")].into_iter().enumerate() {
        let first = revoke(&house, None, &token.secret).await;
        assert_eq!((first.status, first.body.as_str()), (200, ""), "{first:?}");
        assert_eq!(first.header("fastly-ratelimit-remaining"), Some(left));
        assert_eq!(first.header("cache-control"), Some("no-store"));
        code(&house.with(&token).get("/tokens/self").await, 401, "token_revoked");
        let told = destroyed(&house, &lead).await;
        assert_eq!((told.len(), &told[nth].0), (nth + 1, &json!(format!("token {}", token.id))));
        let again = revoke(&house, None, &token.secret).await;
        assert_eq!((again.status, again.body.as_str()), (200, ""));
        assert_eq!(destroyed(&house, &lead).await.len(), nth + 1, "once");
    }
}

#[tokio::test]
async fn b53_what_is_no_token_is_revoked_already() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let over = house.token(&house.bob, &[("expires_at", "2027-01-15T08:30:00Z")]).await;
    let (customer, _, foreign) = house.neighbour().await;
    assert_ne!(customer, house.customer);
    house.advance(Duration::from_secs(3600));
    // Who may revoke everybody's, and who may not and would be told so of a colleague's.
    let engineer = house.token(&house.bob, &[]).await;
    for caller in [None, Some(&lead), Some(&engineer)] {
        let mut answers = Vec::new();
        for secret in nobodys() {
            answers.push(bytes(&revoke(&house, caller, &secret).await));
        }
        if caller.is_some() {
            answers.push(bytes(&revoke(&house, caller, &foreign.secret).await));
        } else {
            answers.push(bytes(&revoke(&house, caller, &over.secret).await));
        }
        assert_eq!((answers[0].0, answers[0].2.as_str()), (200, ""));
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
    assert!(is_alive(&house, &foreign).await, "another customer's is not one's to revoke");
    assert_eq!(destroyed(&house, &lead).await, []);
    assert_eq!(destroyed(&house, &foreign).await, []);
}

#[tokio::test]
async fn a_caller_revokes_what_they_might_revoke_by_its_id() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let (own, asks) = (house.token(&house.bob, &[]).await, house.token(&house.bob, &[]).await);
    let (adas, robot) = (house.token(&house.ada, &[]).await, bot(&house, &lead, "engineer", "global").await);
    // Colleagues' and machines' are not an engineer's to revoke, and 200 would say that they are dead.
    for others in [&adas, &robot] {
        code(&revoke(&house, Some(&asks), &others.secret).await, 403, "insufficient_role");
        assert!(is_alive(&house, others).await);
    }
    for (caller, dead) in [(&asks, &own), (&lead, &adas), (&lead, &robot), (&asks, &asks)] {
        let reply = revoke(&house, Some(caller), &dead.secret).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{reply:?}");
        assert!(reply.header("fastly-ratelimit-remaining").is_some());
        assert!(!is_alive(&house, dead).await);
    }
    let by: Vec<_> = destroyed(&house, &lead).await.into_iter().map(|(actor, _)| actor).collect();
    let expected = [&asks, &lead, &lead, &asks].map(|token| json!(format!("token {}", token.id)));
    assert_eq!(by, expected);
}

#[tokio::test]
async fn a_caller_who_may_not_does_nothing() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let (own, gone) = (house.token(&house.bob, &[]).await, house.token(&house.bob, &[]).await);
    assert_eq!(house.with(&gone).delete("/tokens/self").await.status, 204);
    let purge = house.token(&house.bob, &[("scope", "purge_select")]).await;
    let reader = house.token(&house.bob, &[("scope", "global:read")]).await;
    let sensor = bot(&house, &lead, "user", "introspect").await;
    for (caller, status, why) in [
        (&gone, 401, "token_revoked"),
        (&purge, 403, "insufficient_scope"),
        (&reader, 403, "read_only"),
        (&sensor, 403, "insufficient_scope"),
    ] {
        code(&revoke(&house, Some(caller), &own.secret).await, status, why);
        assert!(is_alive(&house, &own).await);
    }
    // `Basic` is what OAuth's public clients send without a secret: no credential.
    let basic = house.anon().ask("POST", "/oauth/revoke").header("Authorization", "Basic Y2xpZW50Og==");
    assert_eq!(basic.form(&[("token", &own.secret)]).send().await.status, 200);
    assert!(!is_alive(&house, &own).await);
}

#[tokio::test]
async fn a_session_is_of_a_type_that_is_not_revoked_here() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let session = Secret::mint(&Brand::default(), Kind::Session, &[9; 32]).reveal();
    for caller in [None, Some(&lead)] {
        let reply = revoke(&house, caller, &session).await;
        refused(&reply, "unsupported_token_type", "A session is not revoked here");
    }
}

#[tokio::test]
async fn what_would_live_again_is_not_said_to_be_dead() {
    let house = House::new().await;
    let lead = lead(&house).await;
    let (token, other) = (house.token(&house.bob, &[]).await, house.token(&house.bob, &[]).await);
    let bob = format!("/user/{}", house.bob.id);
    let set = async |path: &str, field: (&str, &str)| {
        assert_eq!(house.with(&lead).ask("PUT", path).form(&[field]).send().await.status, 200);
    };
    set(&bob, ("locked", "true")).await;
    code(&revoke(&house, None, &token.secret).await, 401, "owner_disabled");
    assert_eq!(revoke(&house, Some(&lead), &other.secret).await.status, 200);
    set(&bob, ("locked", "false")).await;
    assert!(is_alive(&house, &token).await && !is_alive(&house, &other).await);
    let networks = Networks::parse("192.0.2.0/24").expect("a network");
    let rules = Rules { networks, ..Rules::default() };
    let customer = CustomerRecord { id: house.customer, state: CustomerState::Active, rules };
    let position = Position(house.node.app.gate.position().0 + 1);
    house.node.app.gate.apply(Batch { position, records: vec![Record::Customer(customer)] });
    code(&revoke(&house, None, &token.secret).await, 403, "ip_not_allowed");
}

#[tokio::test]
async fn revoking_is_done_also_when_nothing_is_left_of_the_quota() {
    let one = NonZeroU32::MIN;
    let house = House::with_quota(Limits { per_token: one, per_person: one }).await;
    let token = house.token(&house.bob, &[]).await;
    let spent = house.with(&token).ask("POST", "/service").form(&[("name", "x")]).send().await;
    code(&spent, 429, "rate_limited");
    let reply = revoke(&house, None, &token.secret).await;
    assert_eq!((reply.status, reply.header("fastly-ratelimit-remaining")), (200, Some("0")));
    assert!(!is_alive(&house, &token).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_cannot_be_written_says_so() {
    let house = House::new().await;
    let (token, asks) = (house.token(&house.bob, &[]).await, house.token(&house.bob, &[]).await);
    let other = rusqlite::Connection::open(house.db()).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let (alone, by_caller) =
        tokio::join!(revoke(&house, None, &token.secret), revoke(&house, Some(&asks), &token.secret));
    for reply in [alone, by_caller] {
        code(&reply, 503, "storage_unavailable");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    drop(other);
    assert!(is_alive(&house, &token).await);
    house.node.app.gate.close();
    for caller in [None, Some(&asks)] {
        code(&revoke(&house, caller, &token.secret).await, 503, "authority_stale");
    }
    house.node.app.gate.open();
    assert_eq!(revoke(&house, None, &token.secret).await.status, 200);
    assert!(!is_alive(&house, &token).await);
}

//! The hourly quota of requests that change something.

use std::{num::NonZeroU32, time::Duration};

use keygate_authority::service::NewService;
use keygate_server::quota::Limits;
use serde_json::json;

use crate::house::{Ask, Caller, House, PASSWORD, Reply, Token};

/// The recorded words.
const OVER: &str = "You have exceeded your hourly rate limit. Please contact support@fastly.com if you think this is a mistake.";

/// When the hour ends in which everything begins.
const RESET: &str = "1800003600";

fn limits(per_token: u32, per_person: u32) -> Limits {
    let some = |limit| NonZeroU32::new(limit).expect("a limit");
    Limits { per_token: some(per_token), per_person: some(per_person) }
}

/// What is left, and until when.
fn left(reply: &Reply) -> Option<(&str, &str)> {
    reply.header("fastly-ratelimit-remaining").zip(reply.header("fastly-ratelimit-reset"))
}

fn assert_over(reply: &Reply, retry_after: &str) {
    let body = reply.json();
    assert_eq!(
        (reply.status, &body["msg"], &body["code"]),
        (429, &json!(OVER), &json!("rate_limited")),
        "{reply:?}"
    );
    assert_eq!((left(reply), reply.header("retry-after")), (Some(("0", RESET)), Some(retry_after)));
}

async fn shop(house: &House) -> String {
    house.service(NewService { name: "shop".to_owned(), ..NewService::default() }).await
}

fn make(caller: &Caller, name: &str) -> Ask {
    caller.ask("POST", "/service").form(&[("name", name)])
}

#[tokio::test]
async fn over_the_quota_nothing_is_done_until_the_hour_is_over() {
    let house = House::with_quota(limits(2, 100)).await;
    let token = house.token(&house.bob, &[]).await;
    let bob = house.with(&token);
    house.advance(Duration::from_secs(600));
    assert_eq!(left(&make(&bob, "one").send().await), Some(("1", RESET)));
    assert_eq!(left(&make(&bob, "two").send().await), Some(("0", RESET)));
    assert_over(&make(&bob, "three").send().await, "3000");
    let names = |reply: Reply| reply.json().as_array().expect("a list").len();
    assert_eq!(names(bob.get("/service").await), 2, "and reading goes on");
    house.advance(Duration::from_secs(2999));
    assert_over(&make(&bob, "three").send().await, "1");
    house.advance(Duration::from_secs(1));
    assert_eq!(left(&make(&bob, "three").send().await), Some(("1", "1800007200")));
    let metrics = house.anon().get("/metrics").await.body;
    assert!(metrics.contains("\nkeygate_rate_limited_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn reads_and_purges_by_key_and_url_do_not_count() {
    let house = House::with_quota(limits(1, 100)).await;
    let token = house.token(&house.bob, &[]).await;
    let (bob, shop) = (house.with(&token), shop(&house).await);
    for (method, path, status) in [
        ("GET", format!("/service/{shop}"), 200),
        ("HEAD", format!("/service/{shop}"), 200),
        ("GET", format!("/service/{shop}/version/9"), 404),
        ("POST", format!("/service/{shop}/purge/key"), 200),
        ("POST", "/purge/nowhere.example/a".to_owned(), 404),
    ] {
        let reply = bob.ask(method, &path).send().await;
        assert_eq!((reply.status, left(&reply)), (status, None), "{method} {path}");
    }
    let keys = bob.ask("POST", &format!("/service/{shop}/purge")).header("Surrogate-Key", "a b").send().await;
    assert_eq!((keys.status, left(&keys)), (200, None));
    let all = bob.ask("POST", &format!("/service/{shop}/purge_all")).send().await;
    assert_eq!((all.status, left(&all)), (200, Some(("0", RESET))));
    assert_over(&bob.ask("POST", &format!("/service/{shop}/purge_all")).send().await, "3600");
    assert_eq!(bob.ask("POST", &format!("/service/{shop}/purge/key")).send().await.status, 200);
}

#[tokio::test]
async fn refusals_of_somebody_known_count_and_those_of_strangers_do_not() {
    let house = House::new().await;
    let reader = house.token(&house.bob, &[("scope", "global:read")]).await;
    let soon = house.token(&house.bob, &[("expires_at", "2027-01-15T08:02:00Z")]).await;
    let token = house.token(&house.ada, &[]).await;
    let (ada, reader, expired) = (house.with(&token), house.with(&reader), house.with(&soon));
    house.advance(Duration::from_secs(300));
    let shop = shop(&house).await;
    let lock = ada.ask("PUT", &format!("/service/{shop}/version/1/lock")).send().await;
    assert_eq!(left(&lock), Some(("998", RESET)), "her token was made with her password");
    let locked = ada.ask("PUT", &format!("/service/{shop}/version/1")).form(&[("comment", "c")]).send().await;
    assert_eq!((locked.status, left(&locked)), (422, Some(("997", RESET))));
    let sudo = ada.ask("POST", "/sudo").form(&[("password", PASSWORD)]).send().await;
    assert_eq!((sudo.status, left(&sudo)), (200, Some(("996", RESET))));
    for (reply, status, remaining) in [
        (ada.ask("POST", "/service").form(&[("name", "a"), ("type", "php")]).send().await, 400, "995"),
        (ada.ask("DELETE", "/service/nonsense").send().await, 404, "994"),
        (make(&ada, "shop").send().await, 409, "993"),
        (make(&reader, "news").send().await, 403, "997"),
        (make(&expired, "news").send().await, 401, "999"),
    ] {
        assert_eq!((reply.status, left(&reply)), (status, Some((remaining, RESET))), "{reply:?}");
    }
    let nobodys = house.anon().showing("kgu_nonsense");
    for reply in [
        make(house.anon(), "news").send().await,
        make(&nobodys, "news").send().await,
        house.log_in("bob@example.com", "wrong", None, &[]).send().await,
        ada.ask("POST", "/nowhere").send().await,
    ] {
        assert!(reply.status >= 400 && left(&reply).is_none(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_token_made_with_a_password_counts_for_its_person() {
    let house = House::with_quota(limits(10, 3)).await;
    let made = house.log_in(&house.bob.login, PASSWORD, None, &[]).send().await;
    assert_eq!((made.status, left(&made)), (200, Some(("2", RESET))));
    let secret = made.json()["access_token"].as_str().expect("a secret").to_owned();
    let bob = house.anon().showing(&secret);
    assert_eq!(left(&make(&bob, "one").send().await), Some(("1", RESET)));
    let made = house.log_in(&house.bob.login, PASSWORD, None, &[]).send().await;
    assert_eq!(left(&made), Some(("0", RESET)));
    assert_over(&make(&bob, "two").send().await, "3600");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_share_the_ten_of_a_token() {
    let house = House::with_quota(limits(10, 1000)).await;
    let token = house.token(&house.bob, &[]).await;
    assert_eq!(at_once(&house, &[token]).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_share_the_ten_of_a_person_over_all_tokens() {
    // Four logins, and then ten.
    let house = House::with_quota(limits(1000, 14)).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(house.token(&house.bob, &[]).await);
    }
    assert_eq!(at_once(&house, &tokens).await, 10);
}

/// How many of 64 services that these tokens make at once are made.
async fn at_once(house: &House, tokens: &[Token]) -> usize {
    let asks: Vec<_> = (0..64)
        .map(|n| tokio::spawn(make(&house.with(&tokens[n % tokens.len()]), &format!("s{n}")).send()))
        .collect();
    let mut replies = Vec::new();
    for ask in asks {
        replies.push(ask.await.expect("an answer"));
    }
    let made = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(replies.iter().filter(|reply| reply.status == 429).count(), 64 - made);
    let mut remaining: Vec<_> = replies.iter().filter(|reply| reply.status == 200).filter_map(left).collect();
    remaining.sort_unstable();
    let all: Vec<_> = (0..made).map(|n| n.to_string()).collect();
    assert!(
        remaining.iter().map(|(remaining, _)| *remaining).eq(all.iter().map(String::as_str)),
        "{remaining:?}"
    );
    let listed = house.with(&tokens[0]).get("/service?per_page=100").await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(made), "what was refused was not done");
    made
}

use std::collections::BTreeMap;

use keygate_authority::service::NewService;

use super::{Arriving, CARRIERS, Draw, HOST, Told, asked_by, many, shop};
use crate::house::{House, Token};

/// Of tokens, the secrets; and what is none.
async fn secrets(house: &House) -> Vec<Vec<u8>> {
    let service = house.service(NewService { name: "one".to_owned(), ..Default::default() }).await;
    let ada = house.token(&house.ada, &[]).await;
    house.sudo(&ada).await;
    let mut tokens: Vec<Token> = vec![ada];
    for more in [
        &[][..],
        &[("scope", "shop:read")],
        &[("scope", "purge_all")],
        &[("scope", "shop shop:read")],
        &[("services[]", &service)],
        &[("expires_at", "2027-01-15T08:01:00Z")],
    ] {
        tokens.push(house.token(&house.bob, more).await);
    }
    let gone = house.token(&house.bob, &[]).await;
    assert_eq!(house.with(&gone).delete("/tokens/self").await.status, 204);
    tokens.push(gone);
    house.advance(std::time::Duration::from_secs(120));
    let mut secrets: Vec<_> = tokens.into_iter().map(|token| token.secret.into_bytes()).collect();
    let mut wrong = secrets[0].clone();
    wrong.pop();
    secrets.extend([wrong, b"kgu_".to_vec(), b"x,y".to_vec(), Vec::new(), b" ".to_vec(), vec![0xff; 53]]);
    secrets.push(format!("/projects/{service}/orders").into_bytes());
    secrets
}

/// A request in which nothing is odd: what is decided is who asks.
fn plain(draw: &mut Draw, secrets: &[Vec<u8>], project: &str) -> Arriving {
    let (method, path) = draw.pick(&[
        ("GET", "/orders/1"),
        ("GET", "/orders/admin"),
        ("POST", "/orders"),
        ("POST", project),
        ("POST", "/projects/nobody/orders"),
        ("DELETE", "/orders/1"),
    ]);
    let credentials = vec![("fastly-key", draw.pick(secrets))];
    Arriving { host: HOST.to_owned(), method, target: path.to_owned(), credentials }
}

/// None, one, or two of them, by any carrier.
fn credentials(draw: &mut Draw, secrets: &[Vec<u8>]) -> Vec<(&'static str, Vec<u8>)> {
    let mut credentials = Vec::new();
    let secret = draw.pick(secrets);
    let bearer = |secret: &[u8], scheme: &str| [scheme.as_bytes(), secret].concat();
    match draw.below(12) {
        0 => {}
        1..6 => credentials.push(("fastly-key", secret)),
        6..10 => credentials
            .push(("authorization", bearer(&secret, draw.pick(&["Bearer ", "bearer ", "BEARER "])))),
        10 => {
            credentials.push(("authorization", bearer(&secret, draw.pick(&["Basic ", "Bearer", "Token "]))))
        }
        _ => {
            credentials.push(("fastly-key", secret.clone()));
            credentials
                .push((draw.pick(&["fastly-key", "authorization"]), bearer(&draw.pick(secrets), "Bearer ")));
        }
    }
    if draw.below(16) == 0 {
        let position: &[u8] = draw.pick(&[&b"1"[..], b"0", b"-1", b"", b"1,2", b"\xff", b"999999999"]);
        credentials.push(("keygate-min-position", position.to_vec()));
    }
    credentials
}

fn arriving(draw: &mut Draw, secrets: &[Vec<u8>], project: &str) -> Arriving {
    if draw.below(2) == 0 {
        return plain(draw, secrets, project);
    }
    let hosts = [
        HOST,
        HOST,
        HOST,
        HOST,
        "API.Shop.example:443",
        "api.shop.example.",
        "other.shop.example",
        "keygate.test",
    ];
    let odd_hosts = ["nobody.example", "a..b", "x_y.example", "[::1]"];
    let paths = [
        "/orders/1",
        "/orders/admin",
        "/orders/ADMIN",
        "/orders",
        "/orders/%61",
        "/orders/a%2fb",
        "/orders//1",
        "/orders/../x",
        "/files/a/b",
        "/files/a%2Fb",
        "/files/..%2fb",
        "/health",
        "/HEALTH",
        "/new",
        "/nowhere",
        "/",
        project,
        "/tokens/self",
        "/projects/nobody/orders",
        "/orders/1;x",
        "/orders/%00",
    ];
    let queries =
        ["", "", "", "?a=b", "?q=kgu_0123456789012345678901234567890123456789012345678", "?", "?a=%2e%2e"];
    let host = if draw.below(8) == 0 { draw.pick(&odd_hosts) } else { draw.pick(&hosts) };
    let credentials = credentials(draw, secrets);
    Arriving {
        host: host.to_owned(),
        method: draw.pick(&["GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]),
        target: format!("{}{}", draw.pick(&paths), draw.pick(&queries)),
        credentials,
    }
}

#[tokio::test]
async fn one_question_has_one_answer_whoever_carries_it() {
    let house = shop().await;
    let mut secrets = secrets(&house).await;
    let project = String::from_utf8(secrets.pop().expect("a path")).expect("text");
    let app = &house.node.app;
    let (mut draw, mut seen) = (Draw(2), BTreeMap::<String, u32>::new());
    let before = counted(&house).await;
    let asks = many(100_000, 10_000);
    for _ in 0..asks {
        let arriving = arriving(&mut draw, &secrets, &project);
        let told: Vec<(&str, Told)> =
            CARRIERS.iter().map(|(name, carry)| (*name, carry(app, &arriving))).collect();
        for (name, other) in &told {
            assert_eq!(*other, told[0].1, "{name} and {}: {arriving:?}", told[0].0);
        }
        // The carrier of the credential makes no difference either.
        if let [(name @ ("fastly-key" | "authorization"), value)] = &arriving.credentials[..] {
            let bare = value.strip_prefix(b"Bearer ").unwrap_or(value).to_vec();
            let other = match *name {
                "fastly-key" => ("authorization", [b"Bearer ", &value[..]].concat()),
                _ if value.starts_with(b"Bearer ") => ("fastly-key", bare),
                _ => ("authorization", value.clone()),
            };
            let moved = Arriving { credentials: vec![other], ..arriving.clone() };
            assert_eq!(CARRIERS[0].1(app, &moved), told[0].1, "{arriving:?} and {moved:?}");
        }
        *seen.entry(told[0].1.code.clone()).or_default() += 1;
    }
    // A test that meets no refusal compares none.
    for code in [
        "",
        "no_rule",
        "ambiguous_path",
        "ambiguous_host",
        "credential_in_url",
        "credential_missing",
        "multiple_credentials",
        "token_malformed",
        "token_unknown",
        "token_expired",
        "insufficient_scope",
        "service_limited",
        "service_not_found",
        "sudo_required",
        "unclassified",
        "scheme_not_supported",
        "position_invalid",
        "position_not_applied",
    ] {
        assert!(seen.get(code).is_some_and(|times| *times >= 5), "{code}: {seen:?}");
    }
    // Each of the ways counts each question once: the counters have grown by the same for each.
    let after = counted(&house).await;
    for (code, times) in &seen {
        let grown = after.get(code).unwrap_or(&0) - before.get(code).unwrap_or(&0);
        // What cannot be told is no refusal.
        assert!(
            ["", "position_not_applied"].contains(&code.as_str()) || grown >= u64::from(*times) * 5,
            "{code}: {grown} {times}"
        );
    }
    let files = std::fs::read(house.db()).expect("the database");
    assert!(!files.windows(6).any(|part| part == b"/orde".as_slice()), "no question is kept");
}

async fn counted(house: &House) -> BTreeMap<String, u64> {
    let text = house.anon().get("/metrics").await.body;
    let lines = text.lines().filter_map(|line| line.strip_prefix("keygate_refusals_total{code=\""));
    let counts = lines.filter_map(|line| line.split_once("\"} "));
    counts.map(|(code, count)| (code.to_owned(), count.parse().expect("a number"))).collect()
}

/// The same over sockets, where hyper has read the headers first.
#[tokio::test]
async fn sockets_change_nothing() {
    let house = shop().await;
    let mut secrets = secrets(&house).await;
    let project = String::from_utf8(secrets.pop().expect("a path")).expect("text");
    let mut draw = Draw(3);
    for _ in 0..300 {
        let arriving = arriving(&mut draw, &secrets, &project);
        let way = draw.pick(&keygate_server::ways::Way::ALL[..4]);
        let request = asked_by(way, &arriving);
        let mut ask = house.anon().ask("GET", way.path());
        for (name, value) in request.headers() {
            ask = ask.header(name.as_str(), value.as_bytes());
        }
        let reply = ask.send().await;
        // A blank at the end of a value is no part of it.
        let mut trimmed = arriving.clone();
        for (_, value) in &mut trimmed.credentials {
            *value = value.trim_ascii().to_vec();
        }
        let told = super::library(&house.node.app, &trimmed);
        let status =
            reply.header("x-authz-status").map_or(reply.status, |text| text.parse().expect("a status"));
        let code = reply.header("x-authz-reason").unwrap_or_default();
        assert_eq!((status, code), (told.status, told.code.as_str()), "{way:?} {arriving:?} {reply:?}");
    }
}

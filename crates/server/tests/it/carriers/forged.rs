use std::collections::BTreeMap;

use data_encoding::BASE64;
use keygate_model::token::{Brand, Kind, Presented, Secret};
use keygate_server::ways::Way;

use super::{Arriving, Draw, HOST, library, many, shop, through};

/// What a stranger may be told of a token that is none.
const CODES: [&str; 5] = [
    "token_malformed",
    "token_unknown",
    // A blank, a comma, and a kind that no door takes, whoever's it would be.
    "credential_missing",
    "multiple_credentials",
    "token_type_not_allowed",
];

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Something close to a living token, and never it.
fn forged(draw: &mut Draw, real: &[String]) -> Vec<u8> {
    let one = draw.pick(real).into_bytes();
    let at = draw.below(one.len());
    let mut text = one.clone();
    match draw.below(18) {
        0 => text = (0..draw.below(80)).map(|_| draw.next() as u8).collect(),
        1 => text[at] ^= 1 << draw.below(8),
        2 => text.truncate(at),
        3 => text.extend((0..draw.below(9) + 1).map(|_| BASE62[draw.below(62)])),
        4 => {
            text =
                text.iter()
                    .map(|byte| {
                        if draw.below(2) == 0 { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
                    })
                    .collect()
        }
        5 => text[2] = draw.pick(b"asxzUA_"),
        6 => text = format!("ghp{}", &String::from_utf8_lossy(&one)[3..]).into_bytes(),
        // A checksum that is right, over a secret that is not.
        7..10 => {
            let entropy: [u8; 32] = std::array::from_fn(|_| draw.next() as u8);
            let kind = draw.pick(&[Kind::User, Kind::Automation, Kind::Session]);
            text = Secret::mint(&Brand::default(), kind, &entropy).reveal().as_bytes().to_vec();
        }
        // The start of one, the end of another.
        10 => {
            let other = draw.pick(real);
            text = [&one[..at], &other.as_bytes()[at.min(other.len())..]].concat();
        }
        11 => text.insert(at, draw.pick(b" \t\0\n\x0b\x7f")),
        12 => text = [draw.pick(&[&b" "[..], b"\t", b"\"", b"=", b"'", b"%20", b"\xc2\xa0"]), &text].concat(),
        13 => text = [&text[..], draw.pick(&[&b"\0"[..], b"%00", b"%", b"==", b"\r", b"/", b","])].concat(),
        14 => {
            let escaped = format!("%{:02x}", text[at]).into_bytes();
            text.splice(at..=at, escaped);
        }
        // Letters that look like others: Cyrillic, full-width.
        15 => drop(text.splice(at..=at, draw.pick(&["а", "ѕ", "０", "ｋ", "ɡ"]).bytes().collect::<Vec<_>>())),
        16 => text = BASE64.encode(&text).into_bytes(),
        _ => text.swap(at, (at + 1) % one.len()),
    }
    text
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident set");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn a_million_made_up_tokens_open_nothing() {
    let house = shop().await;
    let app = &house.node.app;
    let mut real = Vec::new();
    for person in [&house.ada, &house.bob] {
        real.push(house.token(person, &[]).await.secret);
    }
    // And another customer's.
    let id = app.customer_id().expect("chance");
    let other = app.authority.create_customer(&app.local_origin(), id, "Other").await.expect("one").id;
    let eve = house.node.person(other, "eve@example.com", "superuser", crate::house::PASSWORD).await;
    real.push(house.token(&eve, &[]).await.secret);
    let beside = rusqlite::Connection::open(house.db()).expect("the database");
    let written =
        || beside.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).expect("a number");
    let (mut draw, mut codes) = (Draw(1), BTreeMap::<String, usize>::new());
    let ask = |credentials| Arriving {
        host: HOST.to_owned(),
        method: "GET",
        target: "/orders/1".to_owned(),
        credentials,
    };
    let (mut resident, before, tries) = (0, written(), many(1_000_000, 60_000));
    for number in 0..tries {
        if number == tries / 20 {
            resident = resident_kib();
        }
        let text = forged(&mut draw, &real);
        if real.iter().any(|real| real.as_bytes() == text) {
            continue;
        }
        let in_library = Presented::parse(&text, &app.brand, app.gate.foreign())
            .map(|secret| app.gate.actor(&secret.digest()));
        assert!(matches!(in_library, Err(_) | Ok(None)), "{:?}", text.escape_ascii().to_string());
        if axum::http::HeaderValue::from_bytes(&text).is_err() {
            // No header can hold it; what it would take to send it is the server's own to refuse.
            *codes.entry("unsendable".to_owned()).or_default() += 1;
            continue;
        }
        let forged = ask(vec![("fastly-key", text.clone())]);
        let bearer = ask(vec![("authorization", [b"Bearer ", &text[..]].concat())]);
        let way = Way::ALL[number % 4];
        for told in [library(app, &forged), through(app, way, &bearer), through(app, Way::Envoy, &forged)] {
            assert!(CODES.contains(&told.code.as_str()), "{told:?}: {}", text.escape_ascii());
            assert!((400..500).contains(&told.status) && told.identity.is_empty(), "{told:?}");
            *codes.entry(told.code).or_default() += 1;
        }
    }
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    assert_eq!(written(), before, "nothing was written for it");
    for code in CODES {
        assert!(codes.get(code).is_some_and(|times| *times > tries / 1000), "{code}: {codes:?}");
    }
    // The real ones are let in, or all of this proves nothing.
    for secret in &real[..2] {
        assert_eq!(library(app, &ask(vec![("fastly-key", secret.clone().into_bytes())])).status, 200);
    }
}

/// Of unknown tokens that could be, the holder is told whether they were revoked: at most so often a second.
#[tokio::test]
async fn a_flood_of_likely_tokens_reaches_the_database_fifty_times_a_second() {
    let house = shop().await;
    let app = &house.node.app;
    let let_through = || (0..10_000).filter(|_| app.may_explain(app.clock.now())).count();
    assert!(let_through() <= 51);
    for _ in 0..10 {
        house.advance(std::time::Duration::from_secs(1));
        let through = let_through();
        assert!((40..=51).contains(&through), "{through}");
    }
    // And the door asks that: while nothing is left, a revoked token is as unknown as any.
    let gone = house.token(&house.bob, &[]).await;
    assert_eq!(house.with(&gone).delete("/tokens/self").await.status, 204);
    house.advance(std::time::Duration::from_secs(1));
    assert_eq!(house.with(&gone).get("/tokens/self").await.json()["code"], "token_revoked");
    while app.may_explain(app.clock.now()) {}
    assert_eq!(house.with(&gone).get("/tokens/self").await.json()["code"], "token_unknown");
}

//! Two customers in one house (SECURITY-BAR K06, B56–B60): nothing of the other is there. Every id of the other customer,
//! in every place of every route that an id can stand in, is answered byte for byte as an id that never was, and changes
//! nothing. Two casts of one house, in which chance is the same, are asked the same: one with the other's ids, one with
//! ids of nothing.

use std::{collections::BTreeSet, num::NonZeroU32};

use keygate_model::{CustomerId, Digest};
use keygate_server::{quota::Limits, router::table};

use crate::{
    access::base_of,
    estate::{Estate, Names, filled, template},
    house::{Caller, House, Mould, Reply, Token},
};

mod dump;
mod places;

use dump::Dump;
use places::{PLACES, Place, TAKE_NONE};

/// What of the other customer has an id, or a name that is as good as one.
const FOREIGN: [&str; 13] = [
    "customer",
    "user",
    "gone",
    "token",
    "bot",
    "service",
    "other_service",
    "event",
    "invitation",
    "authorization",
    "contact",
    "host",
    "service_name",
];

/// Ada's house, and Boris's beside it.
struct Two {
    mould: Mould,
    own: Estate,
    /// A superuser of the first customer, in sudo.
    asks: Token,
    other: Estate,
    other_asks: Token,
}

/// The same house twice: one is asked with ids that something of the other customer has, one with ids of nothing.
struct Twins {
    foreign: House,
    never: House,
    asks: Token,
}

impl Two {
    async fn new() -> Self {
        // Every id in every place is more than an hour's quota.
        let plenty = NonZeroU32::MAX;
        let house = House::with_quota(Limits { per_token: plenty, per_person: plenty }).await;
        let lead =
            house.node.person(house.customer, "lead@example.com", "superuser", crate::house::PASSWORD).await;
        let asks = house.token(&lead, &[]).await;
        house.sudo(&asks).await;
        let own = Estate::new(&house, house.customer, &asks, "alpha").await;
        let (customer, _, other_asks) = house.neighbour().await;
        let mut other = Estate::new(&house, customer, &other_asks, "beta").await;
        other.names.insert("service_name", "beta service".to_owned());
        Self { mould: house.rest().await, own, asks, other, other_asks }
    }

    async fn twins(&self) -> Twins {
        let (foreign, never) = (self.mould.cast().await, self.mould.cast().await);
        Twins { foreign, never, asks: self.asks.clone() }
    }
}

impl Twins {
    /// Asks both and holds their answers against each other.
    async fn ask(
        &self,
        method: &str,
        id: &str,
        names: &Names,
        target: &str,
        kind: &str,
        body: &str,
    ) -> Reply {
        let nothing = never(id);
        let ask = async |house: &House, id: &str| {
            let mut names = names.clone();
            names.insert("id", id.to_owned());
            let (target, body) = (filled(target, &names), filled(body, &names));
            let ask = house.with(&self.asks).ask(method, &target.replace(' ', "+"));
            let ask = if kind.is_empty() { ask } else { ask.body(kind, &body) };
            ask.send().await
        };
        let (foreign, never) = (ask(&self.foreign, id).await, ask(&self.never, &nothing).await);
        let what = format!("{method} {target} {body} with {id}");
        assert_eq!(
            answer(&foreign, id, self.foreign.anon()),
            answer(&never, &nothing, self.never.anon()),
            "{what}; left: the other customer's, right: nobody's"
        );
        foreign
    }
}

/// An id as long as this one, of nothing.
pub(crate) fn never(id: &str) -> String {
    if id.contains(['.', ' ']) {
        return id.replacen("beta", "zeta", 1);
    }
    let mut bits = id.to_owned();
    loop {
        let digest = *Digest::of(bits.as_bytes()).bytes();
        let number = digest[..16].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        bits = CustomerId::from_bits(number).to_string();
        if bits.len() == id.len() {
            return bits;
        }
    }
}

/// Everything of an answer but the moment on the server's own clock, with the id and the address taken out. A tag is made of
/// the body, and the body holds the id.
fn answer(reply: &Reply, id: &str, house: &Caller) -> (u16, Vec<(String, String)>, String) {
    let mut headers = reply.headers.clone();
    headers.retain(|(name, _)| name != "date");
    for (name, value) in &mut headers {
        if name == "etag" {
            let digest = *Digest::of(reply.body.as_bytes()).bytes();
            let tag: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(*value, format!("W/\"{tag}\""), "a tag that is not the body's");
            *value = "the body's".to_owned();
        }
    }
    let plus = id.replace(' ', "+");
    let body = reply
        .body
        .replace(&house.address().to_string(), "(address)")
        .replace(id, "(id)")
        .replace(&plus, "(id)");
    (reply.status, headers, body)
}

#[test]
fn every_route_says_where_it_takes_ids() {
    let routes: BTreeSet<_> = table().into_iter().map(|(on, _)| on).collect();
    let listed: Vec<_> = PLACES.iter().map(|(on, _)| *on).chain(TAKE_NONE).collect();
    let once: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!(once.len(), listed.len(), "a route stands twice");
    assert_eq!(once, routes, "left: places; right: the router's table");
}

#[tokio::test]
async fn b56_the_others_ids_in_a_path_are_ids_of_nothing() {
    let two = Two::new().await;
    let (twins, names) = (two.twins().await, &two.own.names);
    let before = Dump::of(&twins.foreign.db()).of_customer(two.other.customer);
    let mut asked = 0;
    for (on, _) in table() {
        let (method, path) = on.split_once(' ').expect("a method and a path");
        let (kind, body) = base_of(on);
        // A key is a word of the caller's own, and a version's number is its service's.
        let words = ["{key}", "{number}", "{environment}"];
        let parameters = path.split('/').filter(|part| part.starts_with('{') && !words.contains(part));
        for parameter in parameters {
            let target = template(&path.replace(parameter, "<id>"));
            for name in FOREIGN.iter().filter(|name| **name != "service_name") {
                let reply = twins.ask(method, &two.other.names[*name], names, &target, kind, body).await;
                // A reset is answered alike whoever has the login.
                let refused = [400, 404].contains(&reply.status) || on.ends_with("request_reset");
                assert!(refused, "{on} with the other's {name}: {reply:?}");
                asked += 1;
            }
        }
        assert_eq!(
            Dump::of(&twins.foreign.db()).of_customer(two.other.customer),
            before,
            "{on} changed the other's"
        );
    }
    assert!(asked > 400, "asked {asked} times");
    assert_eq!(Dump::of(&twins.foreign.db()).all(), Dump::of(&twins.never.db()).all());
}

#[tokio::test]
async fn b57_the_others_ids_in_a_query_or_body_are_ids_of_nothing() {
    let two = Two::new().await;
    let twins = two.twins().await;
    let before = Dump::of(&twins.foreign.db()).of_customer(two.other.customer);
    for (on, places) in &PLACES {
        for place in *places {
            for name in FOREIGN {
                asked(&twins, on, place, &two.other.names[name], &two.own.names).await;
            }
        }
        assert_eq!(
            Dump::of(&twins.foreign.db()).of_customer(two.other.customer),
            before,
            "{on} changed the other's"
        );
    }
    let rows = |house: &House| Dump::of(&house.db()).all().len();
    assert_eq!(rows(&twins.foreign), rows(&twins.never));
}

async fn asked(twins: &Twins, on: &str, place: &Place, id: &str, names: &Names) -> Reply {
    let (method, path) = on.split_once(' ').expect("a method and a path");
    let target = template(path);
    let target = if place.query.is_empty() { target } else { format!("{target}?{}", place.query) };
    twins.ask(method, id, names, &target, place.kind, place.body).await
}

#[tokio::test]
async fn b58_a_cursor_serves_its_own_list_alone() {
    let two = Two::new().await;
    let house = two.mould.cast().await;
    let invalid = |reply: &Reply| {
        let why = "This cursor was not made for this list; start again without one";
        let body = serde_json::json!({ "msg": "Bad request", "detail": why, "code": "cursor_invalid" });
        assert_eq!((reply.status, reply.json()), (400, body), "{reply:?}");
    };
    let list = async |token: &Token, cursor: &str| {
        house.with(token).get(&format!("/iam/v1/roles?limit=1&cursor={cursor}")).await
    };
    let cursor = |reply: Reply| reply.json()["next_cursor"].as_str().expect("a cursor").to_owned();
    let own = cursor(list(&two.asks, "").await);
    let others = cursor(list(&two.other_asks, "").await);
    assert_eq!(list(&two.asks, &own).await.status, 200);
    assert_ne!(own, others);
    invalid(&list(&two.asks, &others).await);
    invalid(&list(&two.other_asks, &own).await);
    for at in 0..own.len() {
        let mut tampered = own.clone().into_bytes();
        tampered[at] = if tampered[at] == b'0' { b'1' } else { b'0' };
        invalid(&list(&two.asks, &String::from_utf8(tampered).expect("text")).await);
    }
    for odd in ["1", "1.", ".", "0", "-1.0", &own[..own.len() - 1], &format!("{own}0"), &own.to_uppercase()] {
        if odd != own {
            invalid(&list(&two.asks, odd).await);
        }
    }
    let workspaces = format!("/automation-tokens/{}/workspaces?cursor={own}", two.own.names["bot"]);
    invalid(&house.with(&two.asks).get(&workspaces).await);
}

#[tokio::test]
async fn b59_a_list_with_one_of_the_others_changes_nothing() {
    let two = Two::new().await;
    let lists = [
        (
            "DELETE",
            "/tokens",
            r#"{"data":[{"type":"token","id":"<token>"},{"type":"token","id":"<their token>"}]}"#,
        ),
        (
            "DELETE",
            "/tokens",
            r#"{"data":[{"type":"token","id":"<their bot>"},{"type":"token","id":"<bot>"}]}"#,
        ),
        (
            "PATCH",
            "/service-authorizations",
            r#"{"data":[{"id":"<authorization>","attributes":{"permission":"read_only"}},
                {"id":"<their authorization>","attributes":{"permission":"read_only"}}]}"#,
        ),
        (
            "DELETE",
            "/service-authorizations",
            r#"{"data":[{"id":"<authorization>"},{"id":"<their authorization>"}]}"#,
        ),
        ("POST", "/automation-tokens", r#"{"name":"x","services":["<service>","<their service>"]}"#),
        ("POST", "/tokens", r#"{"name":"x","services":["<service>","<their service>"]}"#),
    ];
    let house = two.mould.cast().await;
    let before = Dump::of(&house.db()).all();
    for (method, path, list) in lists {
        let theirs = two.other.names.iter().map(|(name, id)| (format!("<their {name}>"), id));
        let list = theirs.fold(list.to_owned(), |list, (name, id)| list.replace(&name, id));
        let list = filled(&list, &two.own.names);
        let reply = house.with(&two.asks).ask(method, path).body("application/json", &list).send().await;
        let (status, code) = if method == "POST" { (422, "service_not_found") } else { (404, "not_found") };
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (status, Some(code)),
            "{method} {path}: {reply:?}"
        );
        assert_eq!(Dump::of(&house.db()).all(), before, "{method} {path} changed something");
    }
}

#[tokio::test]
async fn b60_lists_of_one_hold_and_count_nothing_of_the_other() {
    let two = Two::new().await;
    let house = two.mould.cast().await;
    let mine = house.with(&two.asks);
    let lists: Vec<_> = table().into_iter().filter(|(on, _)| on.starts_with("GET ")).collect();
    for (on, _) in lists {
        let path = filled(&template(on.trim_start_matches("GET ")), &two.own.names);
        let reply = mine.get(&format!("{path}?name=alpha+service")).await;
        let reply = if on.starts_with("GET /events") { mine.get(&path).await } else { reply };
        for (name, id) in &two.other.names {
            assert!(!reply.body.contains(id.as_str()), "{on} shows the other's {name}: {reply:?}");
        }
    }
    let count = |reply: Reply| reply.json()["meta"]["record_count"].as_u64().expect("a count");
    let events = count(mine.get("/events").await);
    let all = Dump::of(&house.db());
    let own = all.of_customer(two.own.customer).iter().filter(|row| row.starts_with("(\"events")).count();
    assert_eq!(events, own as u64, "events counted; right: events of this customer");
    for path in ["/automation-tokens", "/invitations", "/service-authorizations"] {
        let listed = mine.get(path).await.json();
        let shown = listed["data"].as_array().expect("a list").len();
        assert_eq!(listed["meta"]["record_count"], shown, "{path}");
    }
}

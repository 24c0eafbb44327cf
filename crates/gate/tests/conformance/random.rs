//! Facts and asks made up at random: decide, a gate and the oracle must agree on every one.

use std::{collections::BTreeMap, sync::Arc};

use keygate_model::{Timestamp, token::Kind, user::UserState};
use proptest::{prelude::*, sample::select};

use crate::{
    cases::{Automation, Caller, Customer, Facts, Owner, Service, Token, User, What},
    oracle::oracle,
    own_policy,
    world::{Feed, World},
};

const CASES: u32 = 2500;
const ASKS: usize = 24;

/// Noon of some day; dates are drawn close to it.
const AT: i64 = 1_893_499_200_000_000;

/// More good ones than others, or hardly anything would be allowed.
const SCOPES: [&str; 15] = [
    "global",
    "global",
    "global",
    "global",
    "global",
    "global",
    "global:read",
    "global:read",
    "purge_select",
    "purge_all",
    "purge_all purge_select",
    "global:read purge_all",
    "purge_select global:read",
    "root",
    "global root",
];
const ROLES: [&str; 12] = [
    "superuser",
    "superuser",
    "superuser",
    "superuser",
    "engineer",
    "engineer",
    "engineer",
    "engineer",
    "billing",
    "user",
    "wizard",
    "",
];
const ACTIONS: [&str; 5] =
    ["token:revoke_any", "token:read_any", "service:list", "purge:url", "token:create"];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW", "get"];
const REQUESTS: [&str; 22] = [
    "POST /tokens",
    "GET /tokens/self",
    "GET /tokens/{t0}",
    "DELETE /tokens/self",
    "GET /customer/{c0}/tokens",
    "POST /sudo",
    "HEAD /verify",
    "GET /current_user",
    "GET /current_customer",
    "GET /events/7",
    "GET /service/search",
    "POST /service",
    "GET /service/S",
    "HEAD /service/S/details",
    "PUT /service/S",
    "DELETE /service/S",
    "POST /service/S/purge",
    "POST /service/S/purge/key",
    "POST /service/S/purge_all",
    "POST /purge/S.example//a",
    "GET /livez",
    "POST /service/S/Purge_all",
];
const SERVICES: [&str; 9] = ["{s0}", "{s0}", "{s1}", "{s1}", "{s2}", "{s3}", "{unknown}", "x-y", "0{s0}"];
/// What a path is made of when it follows no pattern at all.
const PIECES: [&str; 22] = [
    "/",
    "/",
    "/",
    "tokens",
    "self",
    "service",
    "{s0}",
    "purge",
    "purge_all",
    "sudo",
    "livez",
    ".",
    "..",
    "%2f",
    "%2e",
    "%20",
    "%",
    ";",
    "\\",
    "é",
    "S",
    "#",
];

fn customer() -> impl Strategy<Value = Customer> {
    (rarely(), rarely()).prop_map(|(suspended, unheard)| Customer { suspended, unheard })
}

fn user() -> impl Strategy<Value = User> {
    let states = prop_oneof![8 => Just(UserState::Active), 1 => Just(UserState::Locked), 1 => Just(UserState::Deleted)];
    (nth('c', 3), select(&ROLES[..]), states, rarely()).prop_map(|(customer, role, state, unheard)| User {
        customer,
        role: role.to_owned(),
        state,
        unheard,
    })
}

fn token() -> impl Strategy<Value = Token> {
    let automation = (nth('c', 3), select(&ROLES[..]));
    let automation =
        automation.prop_map(|(customer, role)| Owner::Customer(Automation { customer, role: role.into() }));
    let owner = prop_oneof![2 => nth('u', 4).prop_map(Owner::User), 1 => automation];
    let services = prop_oneof![
        1 => Just(None),
        1 => prop::collection::vec(nth('s', 4), 1..4).prop_map(Some),
    ];
    let kind = prop_oneof![9 => Just(None), 1 => select(vec![Some(Kind::Session), Some(Kind::Exchanged)])];
    (owner, select(&SCOPES[..]), services, date(4), date(2), kind, rarely()).prop_map(
        |(owner, scope, services, expires, sudo_until, kind, revoked)| Token {
            owner,
            scope: scope.to_owned(),
            services,
            expires,
            sudo_until,
            kind,
            revoked,
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let service = nth('c', 3).prop_map(|customer| Service { customer });
    let stale = prop::bool::weighted(0.02);
    (stale, named('c', 3, customer()), named('u', 4, user()), named('s', 4, service), named('t', 6, token()))
        .prop_map(|(stale, customers, users, services, tokens)| Facts {
            at: Timestamp::from_micros(AT),
            stale,
            customers,
            users,
            services,
            tokens,
        })
}

fn ask() -> impl Strategy<Value = (Caller, What)> {
    let caller = prop_oneof![12 => nth('t', 6).prop_map(Caller::Token), 1 => Just(Caller::Unknown)];
    let fitting = (select(&REQUESTS[..]), select(&SERVICES[..])).prop_map(|(line, service)| {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        (method, path.replace('S', service))
    });
    let crossed = (select(&METHODS[..]), fitting.clone()).prop_map(|(method, (_, path))| (method, path));
    let junk = prop::collection::vec(select(&PIECES[..]), 1..8).prop_map(|pieces| pieces.concat());
    let request = prop_oneof![16 => fitting, 2 => crossed, 1 => (select(&METHODS[..]), junk)];
    let request = request.prop_map(|(method, path)| What::Request { method: method.into(), path });
    let action = select(&ACTIONS[..]).prop_map(|action| What::Action(action.to_owned()));
    (caller, prop_oneof![12 => request, 1 => action])
}

/// One of the first `count` names with this letter: `s0`, `s1`, …
fn nth(letter: char, count: usize) -> impl Strategy<Value = String> {
    (0..count).prop_map(move |number| format!("{letter}{number}"))
}

fn named<T: std::fmt::Debug>(
    letter: char,
    count: usize,
    thing: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeMap<String, T>> {
    let name = move |(number, thing)| (format!("{letter}{number}"), thing);
    prop::collection::vec(thing, count)
        .prop_map(move |things| things.into_iter().enumerate().map(name).collect())
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.04)
}

/// No date, or, as one in `weight`, one around the boundary.
fn date(weight: u32) -> impl Strategy<Value = Option<Timestamp>> {
    let near = select(vec![-1_000_000, -1, 0, 1, 1_000_000]);
    prop_oneof![
        weight - 1 => Just(None),
        1 => near.prop_map(|seconds| Some(Timestamp::from_micros(AT + seconds * 1_000_000))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn three_judges_agree(
        facts in facts(),
        asks in prop::collection::vec(ask(), ASKS),
        feed in select(Feed::ALL.to_vec()),
    ) {
        let world = World::new(&facts, Arc::clone(&POLICY), feed);
        for (caller, what) in asks {
            let (by_law, by_gate) = world.verdicts(&caller, &what);
            prop_assert_eq!(by_law, by_gate, "{:?} {:?}", &caller, &what);
            let by_prose = oracle(&facts, &caller, &what);
            prop_assert_eq!(world.answer(&what, by_law), by_prose, "{:?} {:?}", &caller, &what);
        }
    }
}

static POLICY: std::sync::LazyLock<Arc<keygate_model::Policy>> = std::sync::LazyLock::new(own_policy);

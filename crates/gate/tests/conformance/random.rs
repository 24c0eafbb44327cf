//! Facts and asks made up at random: decide, a gate and the oracle must agree on every one.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use keygate_model::{Timestamp, authorization::Permission, token::Kind, user::UserState};
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
const SCOPES: [&str; 21] = [
    "global automation_token:mint",
    "automation_token:mint",
    "global:read automation_token:mint",
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
    "introspect",
    "feed",
    "global feed",
    "root",
    "global root",
];
const ROLES: [&str; 13] = [
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
    "gate",
    "wizard",
    "",
];
const ACTIONS: [&str; 16] = [
    "token:revoke_any",
    "token:read_any",
    "service:list",
    "service:update",
    "purge:url",
    "purge:key",
    "token:create",
    "automation_token:create",
    "automation_token:mint",
    "billing:read",
    "user:update_any",
    "customer:delete",
    "factor:enrol",
    "password:change",
    "token:introspect",
    "feed:follow",
];
const NETWORKS: [&str; 8] = [
    "127.0.0.1",
    "0.0.0.0/0",
    "10.0.0.0/8,0.0.0.0/0",
    "192.0.2.0/25,2001:db8::/32",
    "127.*.*.1",
    "192.0.2.128/25, 10.*.3.*",
    "::ffff:10.1.3.0/120",
    "::/0",
];
const CLIENTS: [&str; 9] = [
    "127.0.0.1",
    "192.0.2.127",
    "192.0.2.128",
    "10.1.3.9",
    "10.1.4.9",
    "::ffff:10.1.3.9",
    "2001:db8:7::1",
    "2001:db9::1",
    "::1",
];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW", "get"];
const REQUESTS: [&str; 48] = [
    "GET /feed",
    "POST /feed/lease",
    "POST /automation-tokens",
    "POST /automation-tokens",
    "POST /automation-tokens",
    "GET /automation-tokens",
    "GET /automation-tokens/{t0}/services",
    "DELETE /automation-tokens/{t0}",
    "POST /current_user/password",
    "PUT /current_user/two_factor",
    "DELETE /current_user/two_factor",
    "POST /user",
    "GET /user/{t0}",
    "PUT /user/{t0}",
    "DELETE /user/{t0}",
    "POST /user/x@example.com/password/request_reset",
    "PUT /invitation/accept/code",
    "GET /customer/{c0}/users",
    "PUT /customer/{c0}",
    "DELETE /customer/{c0}",
    "DELETE /customer/{c0}/contacts/x",
    "POST /invitations",
    "GET /invitations",
    "PATCH /service-authorizations",
    "GET /service-authorizations/x",
    "GET /roles/x/permissions",
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
    let networks =
        prop_oneof![4 => Just(None), 1 => select(&NETWORKS[..]).prop_map(|text| Some(text.to_owned()))];
    let forbids = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(select(&ACTIONS[..]), 1..3)];
    (rarely(), rarely(), networks, forbids, prop::bool::weighted(0.2)).prop_map(
        |(suspended, unheard, networks, forbids, force_2fa)| Customer {
            suspended,
            networks,
            forbids: forbids.into_iter().map(str::to_owned).collect(),
            force_2fa,
            unheard,
        },
    )
}

fn user() -> impl Strategy<Value = User> {
    let states = prop_oneof![8 => Just(UserState::Active), 1 => Just(UserState::Locked), 1 => Just(UserState::Deleted)];
    let granted = prop::collection::btree_map(nth('s', 4), select(&Permission::ALL[..]), 0..4);
    let limited = prop_oneof![2 => Just(None), 1 => granted.prop_map(Some)];
    (nth('c', 3), select(&ROLES[..]), states, limited, any::<bool>(), rarely()).prop_map(
        |(customer, role, state, limited, second_factor, unheard)| User {
            customer,
            role: role.to_owned(),
            state,
            limited,
            second_factor,
            unheard,
        },
    )
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
    let foreign = prop::bool::weighted(0.15);
    (owner, select(&SCOPES[..]), services, date(4), date(2), kind, foreign, rarely()).prop_map(
        |(owner, scope, services, expires, sudo_until, kind, foreign, revoked)| Token {
            owner,
            scope: scope.to_owned(),
            services,
            expires,
            sudo_until,
            kind: kind.filter(|_| !foreign),
            foreign,
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

fn ask() -> impl Strategy<Value = (Caller, Option<IpAddr>, What)> {
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
    let client = select(&CLIENTS[..]).prop_map(|text| text.parse::<IpAddr>().expect("an address"));
    let somewhere = (caller.clone(), client.clone(), request);
    let anywhere = (caller, prop::option::weighted(0.8, client), action);
    prop_oneof![
        8 => somewhere.prop_map(|(caller, client, what)| (caller, Some(client), what)),
        1 => anywhere,
    ]
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
        for (caller, client, what) in asks {
            let (by_law, by_gate) = world.verdicts(&caller, client, &what);
            prop_assert_eq!(by_law, by_gate, "{:?} {:?} {:?}", &caller, client, &what);
            let by_prose = oracle(&facts, &caller, client, &what);
            prop_assert_eq!(world.answer(&what, by_law), by_prose, "{:?} {:?} {:?}", &caller, client, &what);
        }
    }
}

static POLICY: std::sync::LazyLock<Arc<keygate_model::Policy>> = std::sync::LazyLock::new(own_policy);

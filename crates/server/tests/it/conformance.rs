//! `conformance/` over TCP: the production server, its gate fed with the facts of each file, asked at both doors.

#[path = "../../../../conformance/cases.rs"]
#[expect(dead_code, reason = "other runners need more of it")]
mod cases;
mod facts;

use std::sync::{Arc, atomic::Ordering};

use keygate_model::{Batch, Policy, Position, policy::OWN_POLICY};
use keygate_server::edge::Clock;
use serde_json::Value;

use self::{
    cases::{Answer, Caller, Case, CaseFile, What},
    facts::World,
};
use crate::house::{self, Ask, House, Reply};

/// How many cases cannot be asked over HTTP, those from other addresses than ours among them, and those about a
/// feed, which does not end. May only shrink.
const SKIPPED_MAX: usize = 83;

#[tokio::test]
async fn every_case_is_answered_as_written_at_both_doors() {
    let policy = Arc::new(Policy::compile(OWN_POLICY).expect("the own policy compiles"));
    let (mut wrong, mut skipped, mut asked) = (Vec::new(), 0, 0);
    for file in cases::load_all() {
        let house = House::new().await;
        let world = World::new(&file.facts, Arc::clone(&policy));
        arrange(&house, &file, &world);
        for case in &file.cases {
            let Some((method, path)) = asked_over_http(case) else {
                skipped += 1;
                continue;
            };
            asked += 1;
            let path = cases::fill(path, |name| world.id_of(name));
            let line = format!("{}: {:?} {method} {path}", file.name, case.caller);
            let secret = world.secret(&case.caller);
            let said = [
                ("the API", at_the_api(&house, show(&house, &secret, method, &path)).await),
                ("forward-auth", at_forward_auth(&house, &secret, method, &path).await),
            ];
            for (door, said) in said {
                if !fits(&said, case, door, file.facts.stale) {
                    wrong.push(format!("{line} must be {:?}; {door} says {said:?}", case.answer));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(skipped <= SKIPPED_MAX, "{skipped} cases cannot be asked over HTTP");
}

/// Method and path of a case that a request can ask about: of no bare action, and of no path that HTTP reads as another,
/// or as none, before anybody decides, and from this machine.
fn asked_over_http(case: &Case) -> Option<(&str, &str)> {
    match &case.what {
        // The house is asked from this machine.
        _ if case.client != Some(cases::LOCALHOST) => None,
        What::Request { method, path } if path.starts_with('/') && !path.contains(['?', '#', ' ']) => {
            Some((method, path))
        }
        _ => None,
    }
}

/// Makes the facts true in the gate: some of them no verb could make.
fn arrange(house: &House, file: &CaseFile, world: &World<'_>) {
    let app = &house.node.app;
    let Clock::Manual(micros) = &app.clock else { panic!("a test's clock is moved by hand") };
    micros.store(file.facts.at.micros(), Ordering::Relaxed);
    app.gate.apply(Batch { position: Position(1_000), records: world.records() });
    if file.facts.stale {
        app.gate.close();
    }
}

fn show(house: &House, secret: &Option<String>, method: &str, path: &str) -> Ask {
    shown(house, secret).ask(method, path)
}

fn shown(house: &House, secret: &Option<String>) -> house::Caller {
    secret.as_ref().map_or_else(|| house.anon().clone(), |secret| house.anon().showing(secret))
}

/// What a door said.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// Let in; what the handler said then is not the door's.
    Allowed,
    Refused(u16, Option<String>),
}

/// The door of the API counts what it lets in, so an answer of a handler is not taken for one of the door.
async fn at_the_api(house: &House, ask: Ask) -> Said {
    let before = allowed(house).await;
    let reply = ask.send().await;
    let code = if reply.body.is_empty() { None } else { Some(code(&reply)) };
    if allowed(house).await > before { Said::Allowed } else { Said::Refused(reply.status, code) }
}

async fn at_forward_auth(house: &House, secret: &Option<String>, method: &str, path: &str) -> Said {
    let reply = shown(house, secret).proxied(method, path).send().await;
    assert_eq!(reply.body, "", "never a body");
    match reply.status {
        200 => Said::Allowed,
        status => Said::Refused(status, reply.header("x-authz-reason").map(str::to_owned)),
    }
}

async fn allowed(house: &House) -> u64 {
    let text = house.anon().get("/metrics").await.body;
    let allowed = "keygate_authz_requests_total{decision=\"allow\",";
    let counts = text.lines().filter(|line| line.starts_with(allowed));
    counts.map(|line| line.rsplit(' ').next().expect("a count").parse::<u64>().expect("a number")).sum()
}

fn code(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

/// Whether this is the answer that the case says, as this door says it.
fn fits(said: &Said, case: &Case, door: &str, stale: bool) -> bool {
    let api = door == "the API";
    let Said::Refused(status, code) = said else {
        return case.answer == Answer::Allow || !api && case.answer == Answer::Public;
    };
    // An answer to HEAD has no body, so no code.
    let is_head = matches!(&case.what, What::Request { method, .. } if method == "HEAD");
    let is = |expected: &str| code.as_deref().map_or(api && is_head, |code| code == expected);
    match &case.answer {
        Answer::Allow => false,
        // What routes there are comes with the feed, as far as whoever is ahead of an API knows.
        _ if !api && stale => *status == 503 && is("authority_stale"),
        Answer::Public if !api => false,
        // Ahead of an API, a stranger is not told which routes it has.
        Answer::Deny(expected) if !api && matches!(case.caller, Caller::Nobody) => {
            is("credential_missing") || expected == "ambiguous_path" && is("ambiguous_path")
        }
        Answer::Deny(expected) if !api && expected == "no_rule" => {
            // There the law looks at the token first: what it is that is not there, is told to those who may act at all.
            let before = ["token_unknown", "token_malformed", "token_expired", "token_type_not_allowed"];
            let unsure = ["owner_missing", "record_unsupported"];
            is("no_rule") || before.into_iter().any(is) || *status == 503 && unsure.into_iter().any(is)
        }
        // What the handler says to a request that it can do nothing with is not the door's.
        Answer::Public => ![401, 403].contains(status),
        // In the words of the contract, a service that is not there is a record that was not found.
        Answer::Deny(expected) if api && expected == "service_not_found" => *status == 404 && is("not_found"),
        Answer::Deny(expected) => (400..500).contains(status) && is(expected),
        Answer::CannotTell(expected) => *status == 503 && is(expected),
    }
}

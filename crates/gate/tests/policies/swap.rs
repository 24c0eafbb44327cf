//! Policies are swapped while gates decide: every decision is by one of them, from its beginning to its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use keygate_gate::{Client, Gate};
use keygate_model::{
    Ask, Batch, CustomerId, Deny, Digest, Expiry, Host, Method, Path, PolicyId, Position, Record, Secret,
    Services, TokenId, UserId, Verdict,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, PolicyRecord, TokenRecord, UserRecord},
    token::{Brand, Foreign, Kind, Presented},
    user::UserState,
};

use crate::{OWN, world::NOW};

const SWAPS: usize = 60;

/// A policy in which the scope contains one action, and the number of that action is another's in the next policy.
fn policy(before: usize, granted: &str) -> String {
    let fillers: String = (0..before).map(|number| format!("\"0-{number}\" = {{}}\n")).collect();
    format!(
        "name = \"api\"\nhosts = [\"api.test\"]\ncustomers = \"all\"\n[actions]\n{fillers}a = {{}}\nb = {{}}\nc = {{}}\n\
         [scopes]\napi = [\"{granted}\"]\n[roles]\nworker = [\"*\"]\n\
         [routes]\n\"GET /a\" = {{ action = \"a\" }}\n\"GET /b\" = {{ action = \"b\" }}\n\"GET /c\" = {{ action = \"c\" }}\n"
    )
}

fn apply(gate: &Gate, text: String) {
    let record = PolicyRecord { id: PolicyId::from_bits(1), text: Some(text), retired: Vec::new() };
    gate.apply(Batch { position: Position(2), records: vec![Record::Policy(record)] });
}

fn ask(gate: &Gate, secret: &str, path: &str) -> Verdict {
    let secret = Presented::parse(secret.as_bytes(), &Brand::default(), Foreign::Refused).expect("a secret");
    let (host, method) = (Host::parse("api.test").ok(), Method::Get);
    let ask = Ask { host, method, path: Path::new(path), secret: Ok(secret), at_least: Position(0) };
    gate.authorize(&ask, Client { ip: None, user_agent: "" }, NOW)
}

fn gate(secret: &str) -> Gate {
    let gate = Gate::new(Arc::clone(&OWN), 0);
    let (customer, user) = (CustomerId::from_bits(1), UserId::from_bits(1));
    let state = CustomerState::Active;
    let records = vec![
        Record::Customer(CustomerRecord { id: customer, state, rules: Rules::default() }),
        Record::User(UserRecord {
            id: user,
            customer,
            role: "worker".to_owned(),
            state: UserState::Active,
            reach: Reach::All,
            has_factor: true,
        }),
        Record::Token(TokenRecord {
            id: TokenId::from_bits(1),
            digest: Digest::of(secret.as_bytes()),
            customer,
            owner: Owner::User(user),
            scope: "api".to_owned(),
            services: Services::All,
            expires: Expiry::Never,
            sudo_until: None,
            foreign: false,
            revoked: false,
        }),
    ];
    apply(&gate, policy(0, "a"));
    gate.apply(Batch { position: Position(1), records });
    gate.open();
    gate
}

#[test]
fn no_decision_is_by_two_policies() {
    let secret = Secret::mint(&Brand::default(), Kind::User, &[3; 32]).reveal().to_string();
    let (gate, done) = (gate(&secret), AtomicBool::new(false));
    let counts = [const { AtomicU64::new(0) }; 3];
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for (path, count) in ["/a", "/b", "/c"].into_iter().zip(&counts) {
                        match ask(&gate, &secret, path) {
                            Verdict::Allow(_) => drop(count.fetch_add(1, Ordering::Relaxed)),
                            Verdict::Deny(Deny::Scope(_)) => {}
                            other => panic!("{path}: {other:?}"),
                        }
                    }
                }
            });
        }
        for swap in 0..SWAPS {
            // `a` and `b` change places, and under the numbers of the one stands `c` in the other.
            let (before, granted) = [(0, "a"), (2, "b"), (1, "a"), (0, "b")][swap % 4];
            apply(&gate, policy(before, granted));
            let (yes, no) = if granted == "a" { ("/a", "/b") } else { ("/b", "/a") };
            assert!(matches!(ask(&gate, &secret, yes), Verdict::Allow(_)), "at once");
            assert!(matches!(ask(&gate, &secret, no), Verdict::Deny(_)), "at once");
        }
        done.store(true, Ordering::Relaxed);
    });
    let [a, b, c] = counts.map(AtomicU64::into_inner);
    assert!(a > 100 && b > 100, "both policies have decided: {a} {b}");
    assert_eq!(c, 0, "no policy lets anybody there");
}

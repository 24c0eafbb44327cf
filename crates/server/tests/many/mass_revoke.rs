//! Many tokens, revoked in one change at gates that follow.

use std::time::Duration;

use keygate_server::edge::Stopwatch;
use serde_json::json;

use crate::house::{House, Token, asked};

const TOKENS: usize = 3000;
const PATIENCE: Duration = Duration::from_secs(20);

impl House {
    /// Tokens of the tenant's superuser, taken over with secrets of their own.
    fn imported(&self, count: usize) -> Vec<Token> {
        let secret = |nth: usize| format!("legacy-key-of-the-shop-{nth:06}");
        let mut csv = "name,owner,scope,services,expires_at,secret\n".to_owned();
        for nth in 0..count {
            csv.push_str(&format!("old-{nth},{},shop:read,,,{}\n", self.tenant.login, secret(nth)));
        }
        std::fs::write(self.home.path().join("keys.csv"), csv).unwrap();
        self.home.run(&["token", "import", "--customer", &self.tenant.id, "--file", "keys.csv"], "");
        (0..count).map(|nth| Token { secret: secret(nth) }).collect()
    }
}

#[test]
fn thousands_are_revoked_at_every_gate_before_the_receipt() {
    let house = House::new();
    let (gate_token, kept) =
        (house.gate_token(&house.operator), house.token(&house.tenant, "global shop:read"));
    let tokens = house.imported(TOKENS);
    let gates = [0, 1].map(|_| house.gate(&[house.url()], &gate_token, &[]));
    let watch = Stopwatch::start();
    let samples: Vec<_> = tokens.iter().step_by(97).collect();
    for gate in &gates {
        while samples.iter().any(|token| asked(gate, token) != 200) {
            assert!(watch.elapsed() < PATIENCE, "the gates know the tokens");
        }
    }
    let key = ("Fastly-Key", kept.secret.as_str());
    let headers = [key, ("Content-Type", "application/json"), ("Prefer", "enforced, wait=20")];
    let ask = |body: serde_json::Value| {
        let answer = house.node.send("POST", "/tokens/mass-revoke", &headers, &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    let would = ask(json!({ "name_prefix": "old-", "dry_run": true }));
    assert_eq!((would["tokens_revoked"].as_u64(), &would["dry_run"]), (Some(TOKENS as u64), &json!(true)));
    assert_eq!(asked(&gates[0], samples[0]), 200, "nothing was done");
    let done = ask(json!({ "name_prefix": "old-" }));
    assert_eq!((done["tokens_revoked"].as_u64(), &done["enforced"]), (Some(TOKENS as u64), &json!(true)));
    assert_eq!(done["gates"].as_array().unwrap().len(), 2, "{done}");
    for (nth, token) in samples.iter().enumerate() {
        assert_eq!(asked(&gates[nth % 2], token), 401);
        let verify = house.node.send("GET", "/verify", &[("Fastly-Key", &token.secret)], "");
        assert_eq!(verify.status, 401);
    }
    assert!(gates.iter().all(|gate| asked(gate, &kept) == 200), "the rest is as it was");
    std::fs::write(house.home.path().join("receipt"), done["receipt"].as_str().unwrap()).unwrap();
    let keys = house.node.send("GET", "/.well-known/jwks.json", &[], "").body;
    std::fs::write(house.home.path().join("keys.json"), keys).unwrap();
    let read = house.home.run(&["receipt", "verify", "receipt", "--keys", "keys.json"], "");
    assert_eq!(read["mass_revoke"], done["mass_revoke"]);
    let nothing = house.node.send("POST", "/tokens/mass-revoke", &headers, "{}");
    assert_eq!((nothing.status, nothing.body.contains("targets_invalid")), (400, true), "{}", nothing.body);
}

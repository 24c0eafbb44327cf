//! A revoke that is answered when every gate has enforced it.

use std::time::Duration;

use keygate_authority::signer::{NoReceipt, read_receipt};
use keygate_model::Verdict;
use keygate_server::edge::Stopwatch;
use serde_json::Value;

use crate::{
    feed::{Following, LEASE_SECONDS, verdict},
    gates::until,
    house::{House, Token},
};

/// A house and two gates that follow it, which hold a lease.
fn house_with_two_gates() -> (House, [Following; 2], Token) {
    let house = House::new();
    let gate_token = house.gate_token(&house.operator);
    let gates = [0, 1].map(|_| Following::start(&[house.url()], &gate_token));
    let token = house.token(&house.tenant, "shop:read");
    for gate in &gates {
        gate.until("the token", |gate| gate.allows(&token));
    }
    (house, gates, token)
}

fn states(answer: &Value) -> Vec<&str> {
    answer["gates"].as_array().unwrap().iter().map(|gate| gate["state"].as_str().unwrap()).collect()
}

/// The keys that the node signs with, as anybody may fetch them.
fn keys(house: &House) -> Vec<(String, String)> {
    let set = house.node.send("GET", "/.well-known/jwks.json", &[], "").json();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    set["keys"].as_array().unwrap().iter().map(|key| (text(key, "kid"), text(key, "x"))).collect()
}

#[test]
fn after_a_receipt_no_gate_lets_the_token_in() {
    let (house, gates, _) = house_with_two_gates();
    let mut slowest = 0.0_f64;
    for _ in 0..30 {
        let token = house.token(&house.tenant, "shop:read");
        for gate in &gates {
            gate.until("a new token", |gate| gate.allows(&token));
        }
        let answer = house.revoke_and_wait(&token, "enforced");
        for gate in &gates {
            assert!(matches!(gate.verdict(&token), Verdict::Deny(_)), "accepted after the receipt");
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
        let said = answer.json();
        assert_eq!((said["enforced"].as_bool(), states(&said)), (Some(true), vec!["confirmed"; 2]));
        slowest = slowest.max(said["milliseconds"].as_f64().unwrap());
        let receipt = said["receipt"].as_str().unwrap();
        let read: Value = serde_json::from_slice(&read_receipt(receipt, &keys(&house)).unwrap()).unwrap();
        assert_eq!((&read["position"], &read["gates"]), (&said["position"], &said["gates"]));
        let forged = receipt.replacen('.', ".A", 1);
        assert_eq!(read_receipt(&forged, &keys(&house)), Err(NoReceipt::Forged));
    }
    assert!(slowest < 1_000.0, "{slowest} ms");
    gates.into_iter().for_each(|gate| gate.runtime.shutdown_background());
}

#[test]
fn a_gate_that_is_gone_is_waited_for_until_its_lease_has_ended() {
    let (house, [gone, there], token) = house_with_two_gates();
    let Following { gate: gone, runtime, .. } = gone;
    runtime.shutdown_background();
    let watch = Stopwatch::start();
    let answer = house.revoke_and_wait(&token, "enforced, wait=0");
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, said["enforced"].as_bool()), (202, Some(false)), "{}", answer.body);
    assert!(states(&said).contains(&"waiting") && said["receipt"].is_null(), "{}", answer.body);
    let other = house.token(&house.tenant, "shop:read");
    there.until("a new token", |gate| gate.allows(&other));
    let answer = house.revoke_and_wait(&other, "enforced");
    let took = watch.elapsed();
    // It knew the first token and may have let it in until now; from here on it does not.
    assert!(matches!(gone.lease().knowledge(), keygate_model::Knowledge::Lapsed), "its lease runs on");
    assert!(matches!(verdict(&gone, &token), Verdict::CannotTell(_)));
    assert!(matches!(there.verdict(&token), Verdict::Deny(_)));
    let said = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut states = states(&said);
    states.sort_unstable();
    assert_eq!(states, ["confirmed", "lease_ended"], "{}", answer.body);
    assert!(took <= Duration::from_secs(LEASE_SECONDS + 2), "{took:?}");
    there.runtime.shutdown_background();
}

/// Whose answer is waited for longer than the 20 s after which other requests are cut: here by some.
#[test]
fn an_answer_that_waits_for_a_long_lease_is_not_cut() {
    let house = House::leasing(24, "");
    let (gate_token, token) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let gate = house.gate(&[house.url()], &gate_token, &[]);
    until(&gate, &token, 200);
    // Killed.
    drop(gate);
    let answer = house.revoke_and_wait(&token, "enforced");
    let said = answer.json();
    assert_eq!((answer.status, states(&said)), (200, vec!["lease_ended"]), "{}", answer.body);
    assert!(
        said["milliseconds"].as_f64().unwrap() > 20_000.0,
        "a control: it took too short: {}",
        answer.body
    );
}

//! The canary: a node measures how long a revoke takes, at every gate, while it serves (P3).

use std::{collections::BTreeMap, time::Duration};

use keygate_server::edge::Stopwatch;
use serde_json::Value;

use crate::house::{House, asked};

const PATIENCE: Duration = Duration::from_secs(30);

/// The numbers of a node, by their series.
fn numbers(house: &House) -> BTreeMap<String, f64> {
    let page = house.node.send("GET", "/metrics", &[], "").body;
    let lines = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    lines.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn until(house: &House, what: &str, is_so: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
    let watch = Stopwatch::start();
    loop {
        let numbers = numbers(house);
        if is_so(&numbers) {
            return numbers;
        }
        let canary: Vec<_> = numbers.iter().filter(|(name, _)| name.contains("canary")).collect();
        assert!(watch.elapsed() < PATIENCE, "{what}: {canary:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

const OK: &str = "keygate_canary_rounds_total{result=\"ok\"}";
const LATE: &str = "keygate_canary_rounds_total{result=\"late\"}";
const FAILED: &str = "keygate_canary_rounds_total{result=\"failed\"}";

#[test]
fn a_canary_shows_that_gates_refuse_what_is_revoked_in_a_tenth_of_a_second() {
    let house = House::with("[canary]\nevery_seconds = 1\n");
    let (of_all, of_one) = (house.gate_token(&house.operator), house.gate_token(&house.tenant));
    let kept = house.token(&house.tenant, "shop:read");
    assert_eq!(numbers(&house)[OK], 0.0, "without a gate there is nobody to ask");
    let gates: Vec<_> =
        [&of_all, &of_all, &of_one].map(|token| house.gate(&[house.url()], token, &[])).into();
    let watch = Stopwatch::start();
    while !gates.iter().all(|gate| asked(gate, &kept) == 200) {
        assert!(watch.elapsed() < PATIENCE, "the gates hear nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The one that sings now may have begun before they knew anything.
    let sung = |numbers: &BTreeMap<String, f64>| numbers[OK] + numbers[LATE] + numbers[FAILED];
    let begun = sung(&numbers(&house));
    let before = until(&house, "a canary", |numbers| sung(numbers) > begun);
    let seen = until(&house, "three canaries", |numbers| sung(numbers) >= sung(&before) + 3.0);
    let grown = |name: &str| seen[name] - before[name];
    assert_eq!((grown(LATE), grown(FAILED), grown("keygate_canary_late_total")), (0.0, 0.0, 0.0));
    assert_eq!(seen["keygate_canary_wrong_total"], 0.0, "never");
    // Two decided; the third hears of its own customer alone, and says how far it has heard.
    let by = |how: &str| seen[&format!("keygate_canary_gates{{result=\"{how}\"}}")];
    assert_eq!((by("decision"), by("position"), by("none")), (2.0, 1.0, 0.0));
    let count = grown("keygate_revoke_propagation_seconds_count");
    let soon = grown("keygate_revoke_propagation_seconds_bucket{le=\"0.1\"}");
    assert!(count >= 9.0, "{count}");
    assert_eq!(soon, count, "{seen:?}");
    let mean = grown("keygate_revoke_propagation_seconds_sum") / count;
    assert!(mean > 0.0 && mean < 0.1, "{mean}");
    eprintln!("{count} refusals, {:.1} ms on average", mean * 1e3);
    nobody_sees_it(&house);
    // A gate that is gone is not late: it lets nobody in.
    drop(gates);
    let last = numbers(&house);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(numbers(&house)["keygate_canary_late_total"], last["keygate_canary_late_total"]);
}

/// It stands in no list of anybody's, and in the chain of events.
fn nobody_sees_it(house: &House) {
    let operator = house.token(&house.operator, "global");
    let get = |path: &str| house.node.send("GET", path, &[("Fastly-Key", &operator.secret)], "").body;
    for path in ["/events", "/automation-tokens", "/tokens"] {
        assert!(!get(path).contains("canary"), "{path}");
    }
    let verified: Value = house.home.run(&["audit", "verify"], "");
    assert_eq!(verified["ok"], true, "{verified}");
}

/// The other way round: where no gate can be fast enough, all are late.
#[test]
fn a_canary_says_so_when_gates_are_late() {
    let house = House::with("[canary]\nevery_seconds = 1\nlate_milliseconds = 0\n");
    let gate = house.gate(&[house.url()], &house.gate_token(&house.operator), &[]);
    let seen = until(&house, "a late gate", |numbers| numbers[LATE] > 0.0);
    assert!(seen["keygate_canary_late_total"] > 0.0 && seen[OK] == 0.0, "{seen:?}");
    drop(gate);
}

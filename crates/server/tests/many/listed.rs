//! `keygate gates`: which there are, as an operator sees them.

use std::time::Duration;

use keygate_server::edge::Stopwatch;
use serde_json::Value;

use crate::house::{House, asked};

const PATIENCE: Duration = Duration::from_secs(15);

fn listed(house: &House, more: &[&str]) -> Vec<Value> {
    let said = house.home.run(&[&["gates"], more].concat(), "");
    said["gates"].as_array().unwrap().clone()
}

fn named<'g>(gates: &'g [Value], name: &str) -> Option<&'g Value> {
    gates.iter().find(|gate| gate["name"] == name)
}

/// Waits until what is listed is so.
fn until(house: &House, more: &[&str], is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let watch = Stopwatch::start();
    loop {
        let gates = listed(house, more);
        if is_so(&gates) {
            return gates;
        }
        assert!(watch.elapsed() < PATIENCE, "{gates:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn gates_are_listed_with_whose_they_are_where_they_are_and_for_how_long() {
    let house = House::new();
    let (of_all, of_one) = (house.gate_token(&house.operator), house.gate_token(&house.tenant));
    let first = house.gate(&[house.url()], &of_all, &["--name", "first"]);
    let second = house.gate(&[house.url()], &of_one, &["--name", "second"]);
    let both = |gates: &[Value]| named(gates, "first").is_some() && named(gates, "second").is_some();
    until(&house, &[], both);
    let kept = house.token(&house.tenant, "shop:read");
    let gates = until(&house, &[], |gates| gates.iter().all(|gate| gate["behind"] == 0));
    let position = house.home.run(&["gates"], "")["position"].as_i64().unwrap();
    for (name, of, customer) in
        [("first", "operator", &house.operator.id), ("second", house.tenant.id.as_str(), &house.tenant.id)]
    {
        let gate = named(&gates, name).unwrap();
        assert_eq!((&gate["of"], &gate["customer_id"]), (&of.into(), &customer.as_str().into()), "{gate}");
        assert_eq!(gate["position"], position, "{gate}");
        assert_eq!(gate["version"], env!("CARGO_PKG_VERSION"), "{gate}");
        assert_eq!(gate["session"].as_str().unwrap().len(), 32, "{gate}");
        assert!(gate["heard_milliseconds_ago"].as_u64().unwrap() < 2_500, "{gate}");
        assert!((1..=3_010).contains(&gate["lease_milliseconds"].as_u64().unwrap()), "{gate}");
    }
    assert_eq!(asked(&first, &kept), 200);
    let page = house.node.send("GET", "/metrics", &[], "").body;
    assert!(page.contains("keygate_gates_live 2") && page.contains("keygate_gates_lag_events 0"), "{page}");
    drop(second);
    let gates = until(&house, &[], |gates| named(gates, "second").is_none());
    assert!(named(&gates, "first").is_some(), "{gates:?}");
    let all = listed(&house, &["--all"]);
    let gone = named(&all, "second").unwrap();
    assert!(gone["lease_milliseconds"].is_null(), "{gone}");
    let shown = house.home.command(&["gates"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let (head, line) = shown.split_once('\n').unwrap();
    assert!(head.starts_with("NAME") && line.starts_with("first") && line.contains("operator"), "{shown}");
}

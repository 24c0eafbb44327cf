use std::time::Duration;

use crate::{
    Freshness, Host, Method, Outage, Path, Policy, Span,
    policy::{ApiSource, OWN_POLICY, Unmatched},
};

fn compile(whole: &str, routes: &str) -> Result<Policy, String> {
    let text = format!(
        "name = \"shop\"\nhosts = [\"shop.example.com\"]\ncustomers = \"all\"\n{whole}\n[actions]\nread = {{}}\n[routes]\n{routes}\n"
    );
    let own = Policy::compile(OWN_POLICY).expect("ours");
    own.with(&[ApiSource { text: Some(&text), retired: &[] }]).map_err(|why| why.to_string())
}

fn of_route(whole: &str, keys: &str) -> Result<Freshness, String> {
    let policy = compile(whole, &format!("\"GET /a\" = {{ action = \"read\"{keys} }}"))?;
    let host = Host::parse("shop.example.com").expect("a host");
    let path = Path::new("/a");
    let matched = policy.route_at(&host, Method::Get, &path).expect("a route");
    Ok(matched.route.freshness())
}

fn seconds(many: u64) -> Span {
    Span::of(Duration::from_secs(many)).expect("not zero")
}

#[test]
fn what_is_not_said_is_as_it_is_for_the_whole_api() {
    let refuse = |most: Option<u64>| Freshness { max_staleness: most.map(seconds), outage: Outage::Refuse };
    let known = |most: Option<u64>, until| Freshness {
        max_staleness: most.map(seconds),
        outage: Outage::AllowKnown(seconds(until)),
    };
    let whole_known = "outage = \"allow-known\"\noutage_max = \"10m\"";
    for (whole, keys, expected) in [
        ("", "", refuse(None)),
        ("max_staleness = \"5s\"", "", refuse(Some(5))),
        ("max_staleness = \"5s\"", ", max_staleness = \"2m\"", refuse(Some(120))),
        ("", ", outage = \"refuse\"", refuse(None)),
        ("", ", outage = \"allow-known\", outage_max = \"1h\"", known(None, 3_600)),
        (whole_known, "", known(None, 600)),
        (whole_known, ", max_staleness = \"90s\"", known(Some(90), 600)),
        (whole_known, ", outage_max = \"1m\"", known(None, 60)),
        (whole_known, ", outage = \"allow-known\"", known(None, 600)),
        (whole_known, ", outage = \"refuse\"", refuse(None)),
    ] {
        assert_eq!(of_route(whole, keys), Ok(expected), "{whole} {keys}");
    }
}

#[test]
fn values_that_are_none_are_refused_with_their_line() {
    for value in
        ["0s", "-5s", "+5s", "5", "s", "", "5 s", "5ms", "6m", "301s", "1h", "99999999999999999999s", "5ſ"]
    {
        for whole in [true, false] {
            let key = format!("max_staleness = \"{value}\"");
            let why = if whole { of_route(&key, "") } else { of_route("", &format!(", {key}")) };
            let why = why.expect_err(value);
            assert!(why.contains("write it as 1s to 5m"), "{why}");
            assert!(why.contains(if whole { "line 4," } else { "line 8," }), "{why}");
        }
    }
    for value in ["0s", "61m", "2h", "3601s"] {
        let why =
            of_route("", &format!(", outage = \"allow-known\", outage_max = \"{value}\"")).expect_err(value);
        assert!(why.contains("write it as 1s to 60m") && why.contains("line 8,"), "{why}");
    }
    for keys in [", max_staleness = 5", ", outage = \"allow\"", ", outage = true", ", max_stale = \"5s\""] {
        assert!(of_route("", keys).expect_err(keys).contains("line 8,"));
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (whole, keys, expected) in [
        ("", ", outage = \"allow-known\"", "needs an end"),
        ("", ", outage_max = \"10m\"", "outage_max is for"),
        ("", ", outage = \"refuse\", outage_max = \"10m\"", "outage_max is for"),
        ("outage = \"allow-known\"\noutage_max = \"1m\"", ", max_staleness = \"1m\"", "means nothing"),
        ("outage = \"allow-known\"", "", "needs an end"),
        ("max_staleness = \"5m\"\noutage = \"allow-known\"\noutage_max = \"10s\"", "", "means nothing"),
    ] {
        let why = of_route(whole, keys).expect_err(keys);
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_path_that_another_server_takes_for_a_stricter_route_is_ambiguous() {
    let policy = compile(
        "",
        "\"GET /o/{any}\" = { action = \"read\" }\n\"GET /o/admin\" = { action = \"read\", max_staleness = \"1s\" }",
    )
    .expect("a policy");
    let host = Host::parse("shop.example.com").expect("a host");
    let path = Path::new("/o/ADMIN");
    assert_eq!(policy.route_at(&host, Method::Get, &path).map(|_| ()), Err(Unmatched::Ambiguous));
}

#[test]
fn how_long_a_gate_may_have_to_be_waited_for() {
    let longest = |whole: &str, keys: &str| {
        compile(whole, &format!("\"GET /a\" = {{ action = \"read\"{keys} }}"))
            .expect("right")
            .longest_staleness()
    };
    assert_eq!(longest("", ""), None);
    assert_eq!(longest("max_staleness = \"5s\"", ""), Some(seconds(5)));
    assert_eq!(longest("", ", max_staleness = \"2m\""), Some(seconds(120)));
    assert_eq!(
        longest("max_staleness = \"2m\"", ", outage = \"allow-known\", outage_max = \"10m\""),
        Some(seconds(600))
    );
}

#[test]
fn keygates_own_routes_let_nobody_in_during_an_outage() {
    let own = Policy::compile(OWN_POLICY).expect("ours");
    assert!(own.routes().iter().all(|route| route.freshness() == Freshness::default()));
    for keys in ["max_staleness = \"5s\"", "outage = \"refuse\"", "outage_max = \"5s\""] {
        let said = OWN_POLICY.replacen(
            "[routes]",
            &format!("[routes]\n\"GET /a\" = {{ public = true, {keys} }}"),
            1,
        );
        let why = Policy::compile(&said).expect_err(keys).to_string();
        assert!(why.contains("GET /a") && why.contains("protected API"), "{why}");
    }
}

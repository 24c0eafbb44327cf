//! `/metrics`: what it counts, how it writes it, and who speaks of it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{Watched, apply_shop, value};
use crate::house::House;

/// The only labels there are: none of them says who.
const LABELS: [&str; 9] =
    ["check", "code", "decision", "le", "policy", "protocol", "reason", "result", "revision"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// A page on which everything stands that there is.
async fn page(house: &House) -> (Watched, String) {
    apply_shop(house).await;
    let watched = Watched::new(house).await;
    house.anon().get("/tokens/self").await;
    let text = watched.metrics().await;
    (watched, text)
}

/// The families on a page: name and type.
fn families(text: &str) -> BTreeSet<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// The series on a page, as they are written.
fn series(text: &str) -> impl Iterator<Item = &str> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').expect("a value").0)
}

/// Words of a text that look like names of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    let ours = words.filter(|word| word.starts_with("keygate_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn decisions_are_counted_by_door_and_reason() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    apply_shop(&house).await;
    let watched = Watched::new(&house).await;
    let door = watched.doors.showing(&token.secret);
    let count = async |decision: &str, reason: &str, protocol: &str| {
        let labels = format!("{{decision=\"{decision}\",reason=\"{reason}\",protocol=\"{protocol}\"}}");
        let text = watched.metrics().await;
        value(&text, &format!("keygate_authz_requests_total{labels}")).expect("it is there from the start")
    };
    let ahead = |path: &str, host: &str| {
        let ask = door.ask("GET", "/authz/auth-request").header("X-Original-Method", "GET");
        ask.header("X-Original-URL", format!("http://{host}{path}")).header("X-Forwarded-For", "127.0.0.1")
    };
    assert_eq!(count("allow", "none", "nginx").await, 0.0);
    assert_eq!(count("cannot_tell", "proxy_misconfigured", "nginx").await, 0.0);
    for _ in 0..9 {
        assert_eq!(ahead("/orders", "shop.test").send().await.status, 200);
    }
    assert_eq!(ahead("/nowhere", "shop.test").send().await.status, 403);
    assert_eq!(door.get("/authz/auth-request").await.status, 503);
    assert_eq!(count("allow", "none", "nginx").await, 9.0);
    assert_eq!(count("deny", "no_rule", "nginx").await, 1.0);
    assert_eq!(count("cannot_tell", "proxy_misconfigured", "nginx").await, 1.0);
    assert_eq!(count("allow", "none", "caddy").await, 0.0);

    let before = count("allow", "none", "api").await;
    assert_eq!(door.get("/tokens/self").await.status, 200);
    assert_eq!(watched.doors.get("/tokens/self").await.status, 401);
    assert_eq!(count("allow", "none", "api").await, before + 1.0);
    assert_eq!(count("deny", "credential_missing", "api").await, 1.0);

    let text = watched.metrics().await;
    // Refusals ahead of an API stand among those of the API, as they did before they had a door.
    assert_eq!(value(&text, "keygate_refusals_total{code=\"no_rule\"}"), Some(1.0));
    let timed = value(&text, "keygate_authz_duration_seconds_count{protocol=\"nginx\"}").expect("a number");
    assert!(timed > 0.0 && timed < 10.0, "one of eight, of each thread: {timed}");
    let most = value(&text, "keygate_authz_duration_seconds_bucket{protocol=\"nginx\",le=\"+Inf\"}");
    assert_eq!(most, Some(timed));
}

#[tokio::test]
async fn logins_and_policies_are_counted() {
    let house = House::new().await;
    let (watched, before) = page(&house).await;
    assert_eq!(value(&before, "keygate_policies"), Some(1.0));
    assert_eq!(value(&before, "keygate_policy_routes{policy=\"shop\"}"), Some(2.0));
    assert_eq!(value(&before, "keygate_policies_unreadable"), Some(0.0));
    house.token(&house.bob, &[]).await;
    let wrong = house.log_in(&house.bob.login, "not this one, no", None, &[]).send().await;
    assert_eq!(wrong.status, 400);
    let without = house.log_in(&house.ada.login, crate::house::PASSWORD, None, &[]).send().await;
    assert_eq!(without.status, 400);
    let after = watched.metrics().await;
    for result in ["proved", "failed", "code_required"] {
        let series = format!("keygate_login_attempts_total{{result=\"{result}\"}}");
        let grown = value(&after, &series).expect("a count") - value(&before, &series).expect("a count");
        assert_eq!(grown, 1.0, "{result}");
    }
    assert!(value(&after, "keygate_replica_lag_seconds").expect("a number") < 5.0);
}

#[tokio::test]
async fn labels_say_nothing_of_whom() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let (_, text) = page(&house).await;
    for secret in [&token.id, &token.secret, &house.bob.login, "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret}");
    }
    for series in series(&text).filter_map(|series| series.split_once('{')) {
        let labels = series.1.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
        for (label, _) in labels {
            assert!(LABELS.contains(&label) || label == "version", "{label}");
        }
    }
}

#[tokio::test]
async fn the_documents_table_is_what_there_is() {
    let house = House::new().await;
    let (_, text) = page(&house).await;
    let document = read("docs/watching.md");
    let table = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: BTreeSet<_> = table
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.contains('_') && !name.contains(' '))
        .collect();
    let there: BTreeSet<_> = families(&text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, there, "left: docs/watching.md; right: /metrics");
}

#[tokio::test]
async fn rules_and_dashboard_speak_of_numbers_that_there_are() {
    let house = House::new().await;
    let (_, text) = page(&house).await;
    let there: BTreeSet<_> =
        series(&text).map(|series| series.split('{').next().unwrap_or_default().to_owned()).collect();
    for file in
        ["deploy/prometheus/rules.yaml", "deploy/prometheus/rules.test.yaml", "deploy/grafana/keygate.json"]
    {
        let named = named(&read(file));
        assert!(named.len() > 5, "{file}: {named:?}");
        for name in named {
            assert!(there.contains(&name), "{file} speaks of {name}");
        }
    }
    // And of labels that they have.
    let rules: Value = serde_norway::from_str(&read("deploy/prometheus/rules.yaml")).expect("YAML");
    let alerts: BTreeSet<_> = rules["groups"][0]["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| rule["alert"].as_str().expect("a name"))
        .collect();
    let document = read("docs/watching.md");
    for alert in &alerts {
        assert!(document.contains(&format!("| `{alert}` |")), "docs/watching.md: {alert}");
    }
    for word in ["proxy_misconfigured", "untrusted_proxy", "cannot_tell"] {
        assert!(text.contains(&format!("=\"{word}\"")), "{word}");
    }
}

#[tokio::test]
async fn each_reader_gets_the_format_that_it_asks_for() {
    let house = House::new().await;
    let (watched, text) = page(&house).await;
    let ask =
        watched.admin.ask("GET", "/metrics").header("Accept", "application/openmetrics-text; version=1.0.0");
    let open = ask.send().await;
    let kind = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(open.header("content-type"), kind);
    assert!(open.body.ends_with("\n# EOF\n"));
    let plain = watched.admin.get("/metrics").await;
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!text.contains("# EOF"));
    let of_text: BTreeSet<_> = families(&text)
        .into_iter()
        .map(|(name, kind)| {
            (name.trim_end_matches(if kind == "counter" { "_total" } else { "" }).to_owned(), kind)
        })
        .collect();
    assert_eq!(families(&open.body), of_text, "the same numbers");
    assert_eq!(series(&open.body).count(), series(&plain.body).count());
    let unique: BTreeSet<_> = series(&text).collect();
    assert_eq!(unique.len(), series(&text).count(), "no series twice");
    match promtool(&text) {
        None => eprintln!(
            "SKIPPED: promtool (Debian's package prometheus) is not here, and has not judged the format"
        ),
        Some(judged) => assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr)),
    }
}

/// Prometheus' own opinion, where its tool is.
fn promtool(text: &str) -> Option<Output> {
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = tool.spawn().ok()?;
    tool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    Some(tool.wait_with_output().expect("its end"))
}

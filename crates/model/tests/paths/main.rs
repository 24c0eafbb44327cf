//! Paths that servers read in several ways (SECURITY-BAR K03): whatever the gate allows, every server behind it takes for
//! what was allowed, or for something that the token may do as well. The naive reading of policies here knows nothing of
//! the compiler's.

use keygate_model::{
    Host, Method, Path, Policy,
    policy::{Access, ApiSource, OWN_POLICY},
};

mod draw;
mod naive;
mod servers;

use draw::Draw;
use naive::{Naive, Template};
use servers::{SERVERS, Server};

const POLICIES: u64 = 250;
const PATHS: u64 = 400;

/// What a token may do, as a set of the letters that actions are called.
type May<'t> = &'t str;

#[test]
fn no_server_takes_an_allowed_path_for_what_the_token_may_not() {
    let own = Policy::compile(OWN_POLICY).expect("the own policy");
    let (mut asked, mut allowed, mut changed) = (0, 0, 0);
    for seed in 0..POLICIES {
        let mut draw = Draw::new(seed);
        let (naive, policy) = policy(&own, &mut draw);
        for _ in 0..PATHS {
            let path = draw::path(&mut draw, &naive);
            let may = draw.pick(&["x", "y", "xy", "z"]);
            asked += 1;
            if let Some(route) = route(&policy, &naive, &path, may) {
                allowed += 1;
                for server in SERVERS {
                    changed += u64::from((server.read)(&path) != path);
                    holds(&naive, route, &path, may, &server);
                }
            }
        }
    }
    // A test that asks about nothing proves nothing.
    assert!(asked >= 100_000 && allowed > asked / 10, "{allowed} of {asked}");
    assert!(changed > allowed / 10, "{changed} readings of {allowed} were others");
}

/// The route that the gate lets a token with these actions take.
fn route<'n>(policy: &Policy, naive: &'n Naive, path: &str, may: May<'_>) -> Option<&'n Template> {
    let host = Host::parse("api.test").expect("a host");
    let path = Path::new(path);
    let found = policy.route_at(&host, Method::Get, &path).ok()?;
    let Access::Action(action) = found.access else { panic!("{found:?}") };
    let letter = policy.name(action).strip_prefix("api/").expect("an action of the API");
    let route = naive.routes.iter().find(|route| format!("GET {}", route.text) == found.route.on);
    let route = route.expect("one of the routes");
    assert_eq!(route.action, letter);
    // What is no id names no service, and the law lets nobody at it.
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (may.contains(letter) && route.service(path.as_str()).is_none_or(is_id)).then_some(route)
}

/// This server takes the path for the same route, or for one that the token may take.
fn holds(naive: &Naive, route: &Template, path: &str, may: May<'_>, server: &Server) {
    if server.reads.iter().any(|what| route.allow.contains(what) && contains(path, what)) {
        // Whoever runs the API has said that it does not read this so.
        return;
    }
    let read = (server.read)(path);
    let best = naive.best(path, |text| text.to_owned());
    assert!(best.iter().any(|best| best.text == route.text), "{path} is {best:?}, not {route:?}");
    let as_written = naive.best(&read, |text| text.to_owned());
    // A server that cannot tell two routes apart is mended by no path.
    let so_read = if read == path { Vec::new() } else { naive.best(&read, server.read) };
    let told = || format!("{} of {path} is {read} in\n{naive:#?}", server.name);
    assert!(!as_written.is_empty() || !so_read.is_empty(), "nothing: {}", told());
    for other in as_written.iter().chain(&so_read) {
        assert!(may.contains(&other.action), "{other:?}: {}", told());
        let (here, there) = (route.service(path), other.service(&read));
        let same = here == there
            || server.makes_small && here.map(|s| s.to_lowercase()) == there.map(|s| s.to_lowercase());
        // Ids of services have large and small letters: nobody who serves them makes them small.
        let same = same || here.map(servers::decoded) == there.map(str::to_owned);
        assert!(same, "{here:?} {there:?}: {}", told());
    }
}

fn contains(path: &str, what: &str) -> bool {
    let path = path.to_lowercase();
    path.contains(what) || what == ";" && path.contains("%3b")
}

/// A policy that compiles, by leaving out what it cannot have beside the rest.
fn policy(own: &Policy, draw: &mut Draw) -> (Naive, Policy) {
    let mut naive = Naive { routes: Vec::new() };
    let mut compiled = None;
    for _ in 0..draw.below(9) + 2 {
        naive.routes.push(draw::template(draw));
        match own.with(&[ApiSource { text: Some(&naive.toml()), retired: &[] }]) {
            Ok(policy) => compiled = Some(policy),
            Err(_) => drop(naive.routes.pop()),
        }
    }
    match compiled {
        Some(policy) => (naive, policy),
        None => self::policy(own, draw),
    }
}

#[test]
fn a_host_that_was_read_is_read_the_same_again() {
    let mut draw = Draw::new(1);
    let pieces = [
        "a", "B", "Example", ".", "..", "-", "_", ":", ":80", ":080", "[", "]", "::1", "é", "xn--a", "\0",
        "1",
    ];
    let mut hosts = 0;
    for _ in 0..100_000 {
        let text: String = (0..draw.below(5) + 1).map(|_| draw.pick(&pieces)).collect();
        let Ok(host) = Host::parse(&text) else { continue };
        hosts += 1;
        let again = Host::parse(host.as_str()).map(|again| again.as_str() == host.as_str());
        assert_eq!(again, Ok(true), "{text:?}");
        assert!(
            !host.as_str().bytes().any(|byte| byte.is_ascii_uppercase()) && !host.as_str().ends_with('.')
        );
    }
    assert!(hosts > 10_000, "{hosts}");
}

//! Purges at a real Varnish.

#[path = "support/varnish.rs"]
mod varnish;

mod purges {
    mod compose;
    mod fanout;
    mod keys;
    mod refusals;
    mod urls;
}

use std::net::SocketAddr;

use keygate_purge::{Domain, Keys, Mode, Node, Purger, Report, Target, Url, What};
use varnish::{Origin, Varnish};

/// The target of a service with these domains, on these caches.
fn target(domains: &[&str], caches: &[&Varnish]) -> Target {
    let addresses: Vec<_> = caches.iter().map(|cache| cache.address()).collect();
    target_at(domains, &addresses)
}

fn target_at(domains: &[&str], addresses: &[SocketAddr]) -> Target {
    let domains = domains.iter().map(|d| Domain::parse(d).expect("a domain"));
    let nodes = addresses.iter().map(|address| Node::parse(&format!("http://{address}")).expect("a node"));
    Target::new(domains.collect(), nodes.collect()).expect("a target")
}

fn keys(list: &str, mode: Mode) -> What {
    What::Keys(Keys::from_header(list).expect("keys"), mode)
}

fn url(raw: &str, mode: Mode) -> What {
    What::Url(Url::parse(raw).expect("a URL"), mode)
}

/// Purges, and expects every node to have done it. The counts, node by node.
async fn purge(target: &Target, what: What) -> Vec<Option<u64>> {
    let report = Purger::default().purge(target, &what).await;
    assert!(report.failed().next().is_none(), "{report:?}");
    counts(&report)
}

fn counts(report: &Report) -> Vec<Option<u64>> {
    report.outcomes.iter().filter_map(|outcome| outcome.result.clone().ok()).collect()
}

/// What visitors get until a page is no longer the visit `stale`. A soft purge lets the stale page be served while the
/// fresh one is fetched, so it may take a few tries; a bounded number.
fn next_after(cache: &Varnish, host: &str, path: &str, stale: &str) -> String {
    for _ in 0..100 {
        let body = cache.get(host, path);
        if body != stale {
            return body;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{host}{path} stayed {stale}");
}

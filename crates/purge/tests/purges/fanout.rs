//! Several nodes, some of them unwell.

use std::net::TcpListener;
use std::time::Duration;

use keygate_purge::Miss;

use crate::*;

#[tokio::test]
async fn every_node_is_purged() {
    let origin = Origin::start();
    origin.page("shop.example/", "Surrogate-Key: home\r\n");
    let (left, right) = (Varnish::start(&origin, ""), Varnish::start(&origin, ""));
    assert_eq!([left.get("shop.example", "/"), right.get("shop.example", "/")], ["1", "2"]);
    let shop = target(&["shop.example"], &[&left, &right]);
    assert_eq!(purge(&shop, keys("home", Mode::Hard)).await, [Some(1), Some(1)]);
    assert_eq!([left.get("shop.example", "/"), right.get("shop.example", "/")], ["3", "4"]);
}

#[tokio::test]
async fn a_dead_node_a_hanging_one_and_a_stranger_are_named_and_the_live_one_is_purged() {
    let origin = Origin::start();
    origin.page("shop.example/", "Surrogate-Key: home\r\n");
    let cache = Varnish::start(&origin, "");
    cache.get("shop.example", "/");
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hanging_address = hanging.local_addr().expect("its address");
    let shop = target_at(&["shop.example"], &[closed, hanging_address, origin.address(), cache.address()]);
    let deadline = Duration::from_millis(500);
    let (purger, what) = (Purger::new(deadline), keys("home", Mode::Hard));
    let report = tokio::time::timeout(deadline * 2, purger.purge(&shop, &what)).await;
    let report = report.expect("a report, not much after the deadline");
    let failed: Vec<_> = report.failed().map(|(node, miss)| format!("{node} {miss}")).collect();
    assert_eq!(
        failed,
        [
            format!("http://{closed} cannot be reached: Connection refused (os error 111)"),
            format!("http://{hanging_address} did not answer within 500ms"),
            format!("http://{} answered 404 Not Found", origin.address()),
        ]
    );
    assert_eq!(counts(&report), [Some(1)]);
    assert_eq!(cache.get("shop.example", "/"), "2");
}

#[tokio::test]
async fn a_server_that_says_200_to_anything_has_not_purged() {
    let origin = Origin::start();
    origin.page("shop.example/", "");
    let shop = target_at(&["shop.example"], &[origin.address()]);
    let report = Purger::default().purge(&shop, &url("shop.example/", Mode::Hard)).await;
    assert_eq!(report.failed().map(|(_, miss)| miss.clone()).collect::<Vec<_>>(), [Miss::Stranger]);
}

#[tokio::test]
async fn a_node_that_comes_back_is_purged_over_a_new_connection() {
    let origin = Origin::start();
    origin.page("shop.example/", "Surrogate-Key: home\r\n");
    let cache = Varnish::start(&origin, "");
    let purger = Purger::default();
    let shop = target(&["shop.example"], &[&cache]);
    for pause_ms in [0, 0, 5500] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        cache.get("shop.example", "/");
        let report = purger.purge(&shop, &keys("home", Mode::Hard)).await;
        assert_eq!(counts(&report), [Some(1)], "{report:?}");
    }
}

//! By key, and everything.

use crate::varnish::exchange;
use crate::*;

const RED: &str = "Surrogate-Key: red all-colours\r\n";
const BLUE: &str = "Surrogate-Key: blue all-colours\r\n";

/// Two services on one cache, with the same keys.
fn two_shops() -> (Origin, Varnish) {
    let origin = Origin::start();
    for host in ["shop.example", "www.shop.example", "other.example"] {
        origin.page(&format!("{host}/red"), RED);
        origin.page(&format!("{host}/blue"), BLUE);
        origin.page(&format!("{host}/plain"), "");
    }
    let cache = Varnish::start(&origin, "");
    (origin, cache)
}

fn pages(cache: &Varnish, host: &str) -> [String; 3] {
    ["/red", "/blue", "/plain"].map(|path| cache.get(host, path))
}

#[tokio::test]
async fn a_key_is_purged_on_all_domains_of_its_service_and_nowhere_else() {
    let (_origin, cache) = two_shops();
    let shop = target(&["shop.example", "www.shop.example"], &[&cache]);
    for _ in 0..2 {
        for host in ["shop.example", "www.shop.example", "other.example"] {
            assert_eq!(pages(&cache, host), ["1", "1", "1"], "cached from the first visit on");
        }
    }
    assert_eq!(purge(&shop, keys("red", Mode::Hard)).await, [Some(2)]);
    assert_eq!(pages(&cache, "shop.example"), ["2", "1", "1"]);
    assert_eq!(pages(&cache, "www.shop.example"), ["2", "1", "1"]);
    assert_eq!(pages(&cache, "other.example"), ["1", "1", "1"]);
    assert_eq!(purge(&shop, keys("nobody has this", Mode::Hard)).await, [Some(0)]);
}

#[tokio::test]
async fn several_keys_are_purged_at_once() {
    let (_origin, cache) = two_shops();
    pages(&cache, "shop.example");
    let shop = target(&["shop.example"], &[&cache]);
    assert_eq!(purge(&shop, keys("red blue", Mode::Hard)).await, [Some(2)]);
    assert_eq!(pages(&cache, "shop.example"), ["2", "2", "1"]);
    assert_eq!(purge(&shop, keys("all-colours", Mode::Hard)).await, [Some(2)]);
    assert_eq!(pages(&cache, "shop.example"), ["3", "3", "1"]);
}

#[tokio::test]
async fn everything_of_one_service_is_purged_and_nothing_of_another() {
    let (_origin, cache) = two_shops();
    pages(&cache, "shop.example");
    pages(&cache, "other.example");
    assert_eq!(purge(&target(&["shop.example"], &[&cache]), What::All).await, [Some(3)]);
    assert_eq!(pages(&cache, "shop.example"), ["2", "2", "2"]);
    assert_eq!(pages(&cache, "other.example"), ["1", "1", "1"]);
}

#[tokio::test]
async fn a_soft_purge_serves_the_stale_page_while_it_fetches_the_new_one() {
    let (_origin, cache) = two_shops();
    pages(&cache, "shop.example");
    assert_eq!(purge(&target(&["shop.example"], &[&cache]), keys("red", Mode::Soft)).await, [Some(1)]);
    assert_eq!(cache.get("shop.example", "/red"), "1", "stale, at once");
    assert_eq!(next_after(&cache, "shop.example", "/red", "1"), "2");
    assert_eq!(cache.get("shop.example", "/blue"), "1");
}

#[tokio::test]
async fn the_whole_index_survives_a_304_that_repeats_no_keys() {
    let origin = Origin::start();
    origin.page("shop.example/red", "Surrogate-Key: red\r\nETag: \"e\"\r\n");
    let cache = Varnish::start(&origin, "");
    let shop = target(&["shop.example"], &[&cache]);
    cache.get("shop.example", "/red");
    for visit in 2..5 {
        assert_eq!(purge(&shop, keys("red", Mode::Soft)).await, [Some(1)], "before visit {visit}");
        await_revalidation(&cache, visit);
    }
    purge(&shop, keys("red", Mode::Hard)).await;
    assert_eq!(cache.get("shop.example", "/red"), "5", "one fetch, three 304s, one fetch");
}

/// Visits the page until the cache has seen the origin's 304 to this visit.
fn await_revalidation(cache: &Varnish, visit: u32) {
    for _ in 0..100 {
        let request = "GET /red HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
        if exchange(cache.address(), request).contains(&format!("\r\nVisit: {visit}\r\n")) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("visit {visit} did not happen");
}

#[tokio::test]
async fn odd_keys_purge_what_they_name_and_cannot_name_another_host() {
    let origin = Origin::start();
    origin.page("shop.example/sale", "Surrogate-Key: 50%,off\r\nSurrogate-Key: second-line\r\n");
    origin.page("shop.example/off", "Surrogate-Key: off 50%\r\n");
    origin.page("other.example/red", "Surrogate-Key: red\r\n");
    let cache = Varnish::start(&origin, "");
    let shop = target(&["shop.example"], &[&cache]);
    let visit = || [("shop.example", "/sale"), ("shop.example", "/off"), ("other.example", "/red")];
    let visit = || visit().map(|(host, path)| cache.get(host, path));
    assert_eq!(visit(), ["1", "1", "1"]);
    assert_eq!(purge(&shop, keys("50%,off", Mode::Hard)).await, [Some(1)]);
    assert_eq!(visit(), ["2", "1", "1"]);
    assert_eq!(purge(&shop, keys("second-line", Mode::Hard)).await, [Some(1)]);
    assert_eq!(visit(), ["3", "1", "1"]);
    assert_eq!(purge(&shop, keys("x,other.example/red", Mode::Hard)).await, [Some(0)]);
    assert_eq!(visit(), ["3", "1", "1"]);
}

#[tokio::test]
async fn as_many_and_as_long_keys_as_there_may_be_fit() {
    let origin = Origin::start();
    origin.page("shop.example/", "Surrogate-Key: last\r\n");
    let cache = Varnish::start(&origin, "");
    cache.get("shop.example", "/");
    let long = (0..255).map(|i| keygate_purge::Key::parse(&format!("{i:x>1024}")).expect("a key"));
    let last = keygate_purge::Key::parse("last").expect("a key");
    let what = What::Keys(Keys::new(long.chain([last]).collect()).expect("keys"), Mode::Hard);
    assert_eq!(purge(&target(&["shop.example"], &[&cache]), what).await, [Some(1)]);
    assert_eq!(cache.get("shop.example", "/"), "2");
}

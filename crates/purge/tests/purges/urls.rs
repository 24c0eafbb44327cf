//! By URL.

use crate::*;

const PATHS: [&str; 5] = ["/a/b", "/a//b", "//a/b", "/a/b?x=1&y=%2F", "/a/b?y=%2F&x=1"];

#[tokio::test]
async fn a_url_is_purged_byte_for_byte_hard_and_soft() {
    let origin = Origin::start();
    for path in PATHS {
        origin.page(&format!("shop.example{path}"), "");
        origin.page(&format!("other.example{path}"), "");
    }
    let cache = Varnish::start(&origin, "");
    let shop = target(&["shop.example"], &[&cache]);
    let visit = |host: &str| PATHS.map(|path| cache.get(host, path));
    for (done, path) in PATHS.into_iter().enumerate() {
        assert_eq!(visit("shop.example"), std::array::from_fn(|i| if i < done { "3" } else { "1" }));
        assert_eq!(purge(&shop, url(&format!("http://shop.example{path}"), Mode::Hard)).await, [Some(1)]);
        assert_eq!(cache.get("shop.example", path), "2");
        assert_eq!(purge(&shop, url(&format!("shop.example{path}"), Mode::Soft)).await, [Some(1)]);
        assert_eq!(cache.get("shop.example", path), "2", "stale, at once");
        assert_eq!(next_after(&cache, "shop.example", path, "2"), "3");
    }
    assert_eq!(visit("other.example"), ["1"; 5]);
    assert_eq!(purge(&shop, url("shop.example/never/seen", Mode::Soft)).await, [Some(0)]);
}

#[tokio::test]
async fn one_spelling_of_a_host_is_cached_and_purged() {
    let origin = Origin::start();
    origin.page("shop.example/", "Surrogate-Key: home\r\n");
    let cache = Varnish::start(&origin, "");
    let shop = target(&["SHOP.example"], &[&cache]);
    for host in ["shop.example", "Shop.Example", "shop.example:8080", "shop.example."] {
        assert_eq!(cache.get(host, "/"), "1", "{host}");
    }
    assert_eq!(purge(&shop, keys("home", Mode::Hard)).await, [Some(1)]);
    assert_eq!(cache.get("SHOP.EXAMPLE:80", "/"), "2");
    // What was purged by its key may be on its way out still, and is counted then.
    let told = purge(&shop, url("https://Shop.Example:443/", Mode::Hard)).await;
    assert!(matches!(told[..], [Some(1 | 2)]), "{told:?}");
    assert_eq!(cache.get("shop.example", "/"), "3");
}

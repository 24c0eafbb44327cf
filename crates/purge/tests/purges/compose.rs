//! The shipped VCL beside an operator's own.

use crate::varnish::exchange;
use crate::*;

#[tokio::test]
async fn what_stands_before_the_include_shapes_the_purged_url_too() {
    let origin = Origin::start();
    origin.page("shop.example/a", "");
    let vcl = r#"sub vcl_recv { set req.url = regsub(req.url, "\?utm_.*$", ""); }"#;
    let cache = Varnish::start(&origin, vcl);
    assert_eq!(cache.get("shop.example", "/a?utm_source=x"), "1");
    let shop = target(&["shop.example"], &[&cache]);
    assert_eq!(purge(&shop, url("shop.example/a?utm_source=y", Mode::Hard)).await, [Some(1)]);
    assert_eq!(cache.get("shop.example", "/a"), "2");
}

#[tokio::test]
async fn the_host_that_visitors_see_is_the_one_that_is_indexed() {
    let origin = Origin::start();
    origin.page("backend.internal/a", "Surrogate-Key: a\r\n");
    let vcl = r#"sub vcl_backend_fetch { set bereq.http.Host = "backend.internal"; }"#;
    let cache = Varnish::start(&origin, vcl);
    assert_eq!(cache.get("shop.example", "/a"), "1");
    assert_eq!(purge(&target(&["backend.internal"], &[&cache]), keys("a", Mode::Hard)).await, [Some(0)]);
    assert_eq!(purge(&target(&["shop.example"], &[&cache]), keys("a", Mode::Hard)).await, [Some(1)]);
    assert_eq!(cache.get("shop.example", "/a"), "2");
}

#[tokio::test]
async fn all_variants_of_a_url_are_purged() {
    let origin = Origin::start();
    origin.page("shop.example/a", "Vary: Accept-Language\r\n");
    let cache = Varnish::start(&origin, "");
    let visit = |language: &str| {
        let headers = format!("Accept-Language: {language}\r\nConnection: close\r\n");
        let answer =
            exchange(cache.address(), &format!("GET /a HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n"));
        answer.split("\r\n\r\n").nth(1).expect("a body").to_owned()
    };
    let shop = target(&["shop.example"], &[&cache]);
    assert_eq!([visit("de"), visit("fr"), visit("de")], ["1", "2", "1"]);
    assert_eq!(purge(&shop, url("shop.example/a", Mode::Hard)).await, [Some(2)]);
    assert_eq!([visit("de"), visit("fr")], ["3", "4"]);
    assert_eq!(purge(&shop, url("shop.example/a", Mode::Soft)).await, [Some(2)]);
}

#[tokio::test]
async fn a_url_that_is_marked_hit_for_pass_is_purged_uncounted_and_never_sent_to_the_origin() {
    let origin = Origin::start();
    origin.page("shop.example/a", "");
    let cache = Varnish::start(&origin, "sub vcl_backend_response { return (pass(1h)); }");
    assert_eq!([cache.get("shop.example", "/a"), cache.get("shop.example", "/a")], ["1", "2"]);
    let shop = target(&["shop.example"], &[&cache]);
    assert_eq!(purge(&shop, url("shop.example/a", Mode::Soft)).await, [None]);
    assert_eq!(cache.get("shop.example", "/a"), "3");
}

#[tokio::test]
async fn a_cached_error_page_of_varnish_itself_is_indexed_as_well() {
    let origin = Origin::start();
    let vcl = r#"
        sub vcl_backend_fetch { return (error(503)); }
        sub vcl_backend_error { set beresp.status = 200; set beresp.ttl = 1h; }"#;
    let cache = Varnish::start(&origin, vcl);
    assert!(cache.get("shop.example", "/a").contains("Guru Meditation"));
    assert_eq!(purge(&target(&["shop.example"], &[&cache]), What::All).await, [Some(1)]);
}

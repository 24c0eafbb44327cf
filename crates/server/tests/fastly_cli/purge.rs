//! `fastly service purge` onto a real Varnish: the page is in the cache before and fetched anew after, the others stay.

use std::{thread, time::Duration};

use serde_json::json;

use crate::{
    house::House,
    varnish::{Origin, Varnish},
};

/// A shop of three pages and a blog of one, in a cache.
pub(crate) struct Site {
    origin: Origin,
    varnish: Varnish,
}

/// The pages, and their surrogate keys.
const PAGES: [(&str, &str, &str); 4] = [
    ("shop.example", "/red", "red colour"),
    ("shop.example", "/blue", "blue colour"),
    ("shop.example", "/search?q=a&token=1", "search"),
    ("blog.example", "/red", "red colour"),
];

impl Site {
    pub(crate) fn new() -> Self {
        let origin = Origin::start();
        for (host, path, keys) in PAGES {
            origin.page(&format!("{host}{path}"), &format!("Surrogate-Key: {keys}\r\n"));
        }
        let varnish = Varnish::start(&origin, "");
        Self { origin, varnish }
    }

    /// A house whose services are cached here.
    pub(crate) fn house(&self) -> House {
        House::new(&[self.varnish.address()])
    }

    /// How often the origin was asked for each page, once each of them was asked for twice here: a page is in the cache
    /// or gets there, and the origin's counter must then stand still.
    pub(crate) fn visits(&self) -> [u32; 4] {
        PAGES.map(|(host, path, _)| {
            let first = self.varnish.get(host, path);
            assert_eq!(self.varnish.get(host, path), first, "{host}{path} is not cached");
            first.parse().expect("a number")
        })
    }

    /// The number of the visit that a visitor sees, without waiting for what it may set off.
    fn seen(&self, nth: usize) -> String {
        let (host, path, _) = PAGES[nth];
        self.varnish.get(host, path)
    }

    /// A page that was purged softly is served once more as it was, and fetched behind that visitor's back.
    fn assert_renewed_behind_the_back(&self, nth: usize) {
        assert_eq!(self.seen(nth), "1", "stale, but there");
        for _ in 0..500 {
            if self.seen(nth) == "2" {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?} is not fetched anew", PAGES[nth]);
    }
}

/// Purges of the shop by Ada: what the CLI says.
fn purge(house: &House, flags: &[&str]) -> String {
    let args = [&["service", "purge", "--service-id", &house.shop][..], flags].concat();
    house.ada().run(&args).ok().to_owned()
}

#[test]
fn by_key() {
    let site = Site::new();
    let house = site.house();
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    let told = purge(&house, &["--key", "red"]);
    assert!(told.starts_with("SUCCESS: Purged key: red (soft: false). Status: ok, ID: "), "{told}");
    assert_eq!(site.visits(), [2, 1, 1, 1], "the blog has a page with this key, and another service's it is");
    purge(&house, &["--key", "colour"]);
    assert_eq!(site.visits(), [3, 2, 1, 1]);
    purge(&house, &["--key", "nothing-has-this"]);
    assert_eq!(site.visits(), [3, 2, 1, 1]);
}

#[test]
fn by_key_through_the_old_command() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    house.ada().run(&["purge", "--key", "red", "--service-name", "shop"]).ok();
    assert_eq!(site.visits(), [2, 1, 1, 1]);
}

#[test]
fn by_key_softly() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    let told = purge(&house, &["--key", "red", "--soft"]);
    assert!(told.starts_with("SUCCESS: Purged key: red (soft: true). Status: ok, ID: "), "{told}");
    site.assert_renewed_behind_the_back(0);
    assert_eq!(site.visits(), [2, 1, 1, 1]);
}

#[test]
fn by_a_file_of_keys() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    let told = purge(&house, &["--file", &house.file(&["red", "search"])]);
    for key in ["red", "search"] {
        assert!(told.contains(key), "{told}");
    }
    assert_eq!(site.visits(), [2, 1, 2, 1]);
}

#[test]
fn by_a_file_of_as_many_keys_as_may_be() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    let long: Vec<_> = (0..256).map(|n| format!("{n:0>58}")).collect();
    let mut keys: Vec<_> = long.iter().map(String::as_str).collect();
    keys[255] = "blue";
    purge(&house, &["--file", &house.file(&keys)]);
    assert_eq!(site.visits(), [1, 2, 1, 1]);
    keys.push("red");
    let args = ["service", "purge", "--service-id", &house.shop, "--file", &house.file(&keys)];
    let why =
        "the Fastly API returned 400 Bad Request: Bad request (name at most 256 surrogate keys at once).";
    assert_eq!(house.ada().run(&args).error(), why);
    assert_eq!(site.visits(), [1, 2, 1, 1]);
}

#[test]
fn everything_of_a_service() {
    let site = Site::new();
    let house = site.house();
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    assert_eq!(purge(&house, &["--all"]), "SUCCESS: Purge all status: ok");
    assert_eq!(site.visits(), [2, 2, 2, 1]);
    let event = house.last_event("service.purge_all");
    assert_eq!((&event["service_id"], &event["user_id"]), (&json!(house.shop), &json!(house.ada)));
}

#[test]
fn by_url() {
    let site = Site::new();
    let house = site.house();
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    let told = purge(&house, &["--url", "http://shop.example/red"]);
    assert!(
        told.starts_with("SUCCESS: Purged URL: http://shop.example/red (soft: false). Status: ok, ID: "),
        "{told}"
    );
    assert_eq!(site.visits(), [2, 1, 1, 1]);
    purge(&house, &["--url", "https://SHOP.example/red"]);
    assert_eq!(site.visits(), [3, 1, 1, 1]);
    purge(&house, &["--url", "shop.example/red"]);
    assert_eq!(site.visits(), [4, 1, 1, 1]);
}

#[test]
fn by_url_with_a_query_that_names_a_token_of_the_site() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    purge(&house, &["--url", "http://shop.example/search?q=a&token=1"]);
    assert_eq!(site.visits(), [1, 1, 2, 1]);
    purge(&house, &["--url", "http://shop.example/search"]);
    assert_eq!(site.visits(), [1, 1, 2, 1], "the query belongs to the page");
}

/// The CLI sorts and rewrites a query before it sends it, so that it names another page. Nothing that a server can
/// mend; the API itself takes a URL as it stands.
#[test]
fn by_url_with_a_query_that_the_cli_rewrites() {
    let site = Site::new();
    let house = site.house();
    let page = "shop.example/list?sort=up&from=a%20b";
    site.origin.page(page, "");
    let visit = || site.varnish.get("shop.example", "/list?sort=up&from=a%20b");
    assert_eq!([visit(), visit()], ["1", "1"]);
    purge(&house, &["--url", &format!("http://{page}")]);
    assert_eq!(visit(), "1", "it said /list?from=a+b&sort=up");
    let headers = [("Fastly-Key", house.root.as_str())];
    house.server.send("POST", &format!("/purge/http://{page}"), &headers, "").json();
    assert_eq!([visit(), visit()], ["2", "2"]);
}

#[test]
fn by_url_softly() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    let told = purge(&house, &["--url", "http://shop.example/red", "--soft"]);
    assert!(
        told.starts_with("SUCCESS: Purged URL: http://shop.example/red (soft: true). Status: ok"),
        "{told}"
    );
    site.assert_renewed_behind_the_back(0);
    assert_eq!(site.visits(), [2, 1, 1, 1]);
}

#[test]
fn a_url_that_no_service_has_is_refused() {
    let site = Site::new();
    let house = site.house();
    site.visits();
    let args = ["service", "purge", "--service-id", &house.shop, "--url", "http://other.example/red"];
    let why = "the Fastly API returned 404 Not Found: Record not found (Cannot find service).";
    assert_eq!(house.ada().run(&args).error(), why);
    assert_eq!(site.visits(), [1, 1, 1, 1]);
}

#[test]
fn a_cache_node_that_is_down_is_named_and_the_others_are_purged() {
    let site = Site::new();
    // Nothing listens on port 1.
    let down = "127.0.0.1:1".parse().expect("an address");
    let house = House::new(&[site.varnish.address(), down]);
    site.visits();
    let why = "the Fastly API returned 502 Bad Gateway: Purge incomplete (1 of 2 cache nodes purged; not purged: \
               http://127.0.0.1:1: cannot be reached: Connection refused (os error 111). Purging again is safe).";
    let mut visits = [1, 1, 1, 1];
    for (flags, purged) in [
        (&["--key", "red"][..], &[0][..]),
        (&["--url", "http://shop.example/blue"], &[1]),
        (&["--file", &house.file(&["red", "search"])], &[0, 2]),
        (&["--all"], &[0, 1, 2]),
    ] {
        let args = [&["service", "purge", "--service-id", &house.shop][..], flags].concat();
        assert_eq!(house.ada().run(&args).error(), why, "{flags:?}");
        purged.iter().for_each(|page| visits[*page] += 1);
        assert_eq!(site.visits(), visits, "{flags:?}");
    }
}

//! The requests that a purge is made of, before it is known which node they go to.

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body_util::Empty;

use crate::{Domain, Key, Keys, Mode, Node, Target, Url, What};

const PURGE_KEYS: HeaderName = HeaderName::from_static("keygate-purge-keys");
const SOFT_PURGE: HeaderName = HeaderName::from_static("fastly-soft-purge");

/// What Varnish takes in one header by default is 8 KiB with the header's name (`http_req_hdr_len`).
const ENTRIES_LEN_MAX: usize = 8000;

/// One request of a purge. Every node gets the same.
#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    path: PathAndQuery,
    /// The header that says what to purge: index entries, or the host of a URL.
    what: (HeaderName, HeaderValue),
    mode: Mode,
}

/// The requests for a purge, as few as fit Varnish's limits.
pub(crate) fn orders(target: &Target, what: &What) -> Vec<Order> {
    match what {
        What::Keys(keys, mode) => entry_orders(key_entries(target, keys), *mode),
        What::All => entry_orders(target.domains().iter().map(entry_of_all), Mode::Hard),
        What::Url(url, mode) => vec![url_order(url, *mode)],
    }
}

impl Order {
    pub(crate) fn to_request(&self, node: &Node) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::from_bytes(b"PURGE").expect("a method name");
        *request.uri_mut() = node.at(self.path.clone());
        let (name, value) = self.what.clone();
        request.headers_mut().insert(name, value);
        if self.mode == Mode::Soft {
            request.headers_mut().insert(SOFT_PURGE, HeaderValue::from_static("1"));
        }
        request
    }
}

fn url_order(url: &Url, mode: Mode) -> Order {
    Order { path: url.path.to_uri_part(), what: (HOST, header(url.domain.as_str())), mode }
}

fn entry_orders(entries: impl Iterator<Item = String>, mode: Mode) -> Vec<Order> {
    let order = |list: String| Order {
        path: PathAndQuery::from_static("/"),
        what: (PURGE_KEYS, header(&list)),
        mode,
    };
    pack(entries).into_iter().map(order).collect()
}

fn key_entries(target: &Target, keys: &Keys) -> impl Iterator<Item = String> {
    target.domains().iter().flat_map(move |domain| keys.iter().map(move |key| entry(domain, key)))
}

/// The index entry that `keygate.vcl` gives every object of a host. No key's entry can equal it: a key is not empty.
fn entry_of_all(domain: &Domain) -> String {
    format!("{domain}/")
}

/// The index entry of a key, written as `keygate_index` in `keygate.vcl` writes it.
fn entry(domain: &Domain, key: &Key) -> String {
    format!("{domain}/{}", key.as_str().replace('%', "%25").replace(',', "%2C"))
}

/// Joins entries into as few header values as fit. The longest possible entry fits alone: a domain, a slash and 1024
/// characters that all had to be escaped are 3326.
fn pack(entries: impl Iterator<Item = String>) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for entry in entries {
        match lists.last_mut().filter(|list| list.len() + 1 + entry.len() <= ENTRIES_LEN_MAX) {
            Some(list) => {
                list.push(' ');
                list.push_str(&entry);
            }
            None => lists.push(entry),
        }
    }
    lists
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("domains and keys are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(domains: &[&str]) -> Target {
        let domains = domains.iter().map(|d| Domain::parse(d).expect("a domain")).collect();
        Target::new(domains, vec![Node::parse("http://cache1:80").expect("a node")]).expect("a target")
    }

    fn lists(target: &Target, what: &What) -> Vec<String> {
        let value = |order: Order| order.what.1.to_str().expect("ASCII").to_owned();
        orders(target, what).into_iter().map(value).collect()
    }

    #[test]
    fn every_key_is_purged_on_every_domain_and_cannot_reach_another() {
        let keys = Keys::from_header("red a,b.example/c 50%2C").expect("keys");
        assert_eq!(
            lists(&target(&["a.example", "www.a.example"]), &What::Keys(keys, Mode::Hard)),
            ["a.example/red a.example/a%2Cb.example/c a.example/50%252C \
              www.a.example/red www.a.example/a%2Cb.example/c www.a.example/50%252C"]
        );
        assert_eq!(lists(&target(&["a.example", "b.example"]), &What::All), ["a.example/ b.example/"]);
    }

    #[test]
    fn long_lists_are_split_and_nothing_is_lost() {
        let domain = ["d".repeat(63).as_str(); 3].join(".") + "." + &"d".repeat(61);
        let keys: Vec<Key> = (0..256).map(|i| Key::parse(&format!("{i:,>1024}")).expect("a key")).collect();
        let what = What::Keys(Keys::new(keys).expect("keys"), Mode::Soft);
        let lists = lists(&target(&[&domain]), &what);
        assert!(lists.iter().all(|list| list.len() <= ENTRIES_LEN_MAX));
        assert_eq!(lists.iter().flat_map(|list| list.split(' ')).count(), 256);
    }

    #[test]
    fn a_request_says_what_and_how() {
        let node = Node::parse("http://cache1:80").expect("a node");
        let url = Url::parse("shop.example//a?b=c").expect("a URL");
        let request = url_order(&url, Mode::Soft).to_request(&node);
        assert_eq!(
            (request.method().as_str(), request.uri().to_string().as_str()),
            ("PURGE", "http://cache1:80//a?b=c")
        );
        assert_eq!(request.headers()[HOST], "shop.example");
        assert_eq!(request.headers()[SOFT_PURGE], "1");
        assert!(!url_order(&url, Mode::Hard).to_request(&node).headers().contains_key(SOFT_PURGE));
    }
}

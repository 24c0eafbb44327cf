//! What each proxy family says, and where it says it. Only the headers of the one family are read; another's make the
//! request ambiguous, because somebody else than the proxy wrote them (SECURITY-BAR T-22).

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use keygate_model::Deny;

use super::{Doorway, Way, identity, question::Target};

/// Why a proxy's question cannot be put.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// The proxy does not say what it was asked for (SECURITY-BAR B17).
    Misconfigured,
    /// Its client sent something that must be refused.
    Deny(Deny),
}

const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that say what was asked for in one dialect, and that no proxy of another one sends.
const OF_ORIGINALS: [&str; 3] = ["x-original-method", "x-original-url", "x-original-uri"];
const OF_FORWARDERS: [&str; 3] = ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-prefix"];

/// What a proxy asks about.
pub(super) fn target<'r, B>(way: Way, request: &'r Request<B>, doorway: &Doorway) -> Result<Target<'r>, Odd> {
    let headers = request.headers();
    let (own, foreign): (&[&str], &[&[&str]]) = match way {
        Way::Nginx => (&OF_ORIGINALS, &[&OF_FORWARDERS]),
        Way::Traefik | Way::Caddy | Way::Haproxy => {
            (&OF_FORWARDERS[..2], &[&OF_ORIGINALS, &OF_FORWARDERS[2..]])
        }
        Way::Envoy | Way::EnvoyGrpc | Way::Proxy => (&[], &[&OF_ORIGINALS, &OF_FORWARDERS]),
    };
    unambiguous(headers, own, foreign)?;
    let client = client(headers, doorway);
    let (host, method, target) = match way {
        Way::Nginx => {
            let method = one(headers, &ORIGINAL_METHOD)?.ok_or(Odd::Misconfigured)?;
            match one(headers, &ORIGINAL_URL)? {
                // The proxy says one of them; whoever sends both says the other, and which is whose nobody can tell.
                Some(_) if headers.contains_key(&ORIGINAL_URI) => {
                    return Err(Odd::Deny(Deny::ConflictingHeaders));
                }
                Some(url) => split(url).map(|(host, target)| (host, method, target))?,
                None => {
                    let target = one(headers, &ORIGINAL_URI)?.ok_or(Odd::Misconfigured)?;
                    (one(headers, &header::HOST)?.ok_or(Odd::Misconfigured)?, method, target)
                }
            }
        }
        Way::Traefik | Way::Caddy | Way::Haproxy => {
            let of = |name| one(headers, name).and_then(|value| value.ok_or(Odd::Misconfigured));
            (of(&FORWARDED_HOST)?, of(&FORWARDED_METHOD)?, of(&FORWARDED_URI)?)
        }
        // Over gRPC it is asked in a message.
        Way::EnvoyGrpc => return Err(Odd::Misconfigured),
        Way::Envoy | Way::Proxy => {
            let host = match one(headers, &header::HOST)? {
                Some(host) => host,
                None => request.uri().authority().map(|name| name.as_str()).ok_or(Odd::Misconfigured)?,
            };
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let target = target.strip_prefix(way.path()).unwrap_or(target);
            (host, request.method().as_str(), if target.is_empty() { "/" } else { target })
        }
    };
    // Envoy passes this on only if it is told to; of the others it is part of what they say.
    let client = match (client, way) {
        (Client::Unsaid, Way::Envoy) => None,
        (Client::Unsaid, _) => return Err(Odd::Misconfigured),
        (Client::Unreadable, _) => None,
        (Client::At(ip), _) => Some(ip),
    };
    Ok(Target { host, method, target, client })
}

/// Refuses what says twice what was asked for, or who asks: in another dialect, in two values, or in a name that some
/// servers take for another (`X_Forwarded_Uri`, `Remote_User`).
fn unambiguous(headers: &HeaderMap, own: &[&str], foreign: &[&[&str]]) -> Result<(), Odd> {
    for name in headers.keys() {
        let name = name.as_str();
        let is_double = own.contains(&name) && headers.get_all(name).iter().nth(1).is_some();
        if is_double || is_foreign(name, foreign) {
            return Err(Odd::Deny(Deny::ConflictingHeaders));
        }
    }
    Ok(())
}

/// Whether only somebody else than the proxy can have written a header of this name.
fn is_foreign(name: &str, foreign: &[&[&str]]) -> bool {
    let is_alias = || {
        let plain = name.replace('_', "-");
        ["x-forwarded", "x-original", "x-auth"].iter().any(|ours| plain.starts_with(ours))
            || identity::NAMES.iter().any(|ours| *ours == plain.as_str())
    };
    foreign.iter().any(|names| names.contains(&name)) || name.contains('_') && is_alias()
}

/// The same for Envoy, which says what it was asked for in no header.
pub(super) fn is_foreign_to_envoy(name: &str) -> bool {
    is_foreign(name, &[&OF_ORIGINALS, &OF_FORWARDERS])
}

/// The one value of a header. Bytes that are no text come from the client, not from the proxy.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Odd> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Odd::Deny(Deny::ConflictingHeaders));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Odd::Deny(Deny::AmbiguousPath))?;
    Ok(Some(text))
}

/// An absolute URL as host and request target.
fn split(url: &str) -> Result<(&str, &str), Odd> {
    let ambiguous = Odd::Deny(Deny::AmbiguousPath);
    let (scheme, rest) = url.split_once("://").ok_or(Odd::Misconfigured)?;
    if !matches!(scheme, "http" | "https") {
        return Err(ambiguous);
    }
    Ok(match rest.find(['/', '?', '#']) {
        Some(at) if rest.as_bytes()[at] == b'/' => rest.split_at(at),
        Some(_) => return Err(ambiguous),
        None => (rest, "/"),
    })
}

/// What is known of a client's address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Nothing was said.
    Unsaid,
    /// Something that is no address.
    Unreadable,
    /// It.
    At(IpAddr),
}

/// The client's address: the right-most one that is no proxy of ours. What stands left of it is the client's own word.
pub(super) fn client(headers: &HeaderMap, doorway: &Doorway) -> Client {
    let mut found = Client::Unsaid;
    let said = headers.get_all(FORWARDED_FOR).iter();
    let mut said: Vec<&HeaderValue> = said.collect();
    said.reverse();
    for value in said {
        let Ok(text) = value.to_str() else { return Client::Unreadable };
        for entry in text.rsplit(',') {
            let entry = entry.trim();
            let Some(ip) = address(entry) else {
                return if entry.is_empty() { found } else { Client::Unreadable };
            };
            found = Client::At(ip);
            if !doorway.trusted.admit(Some(ip)) {
                return found;
            }
        }
    }
    found
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use keygate_model::Networks;

    use super::*;

    fn from(chain: &[&str], trusted: &str) -> Client {
        let mut headers = HeaderMap::new();
        for value in chain {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).expect("a value"));
        }
        let doorway = Doorway::ways(Vec::new(), Networks::parse(trusted).expect("networks"));
        client(&headers, &doorway)
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_no_proxy_of_ours() {
        let at = |text: &str| Client::At(text.parse().expect("an address"));
        assert_eq!(from(&["192.0.2.1"], "127.0.0.1"), at("192.0.2.1"));
        assert_eq!(from(&["10.9.9.9, 192.0.2.1"], "127.0.0.1"), at("192.0.2.1"), "a client's own word");
        assert_eq!(from(&["192.0.2.1, 10.0.0.1"], "10.0.0.0/8"), at("192.0.2.1"));
        assert_eq!(from(&["198.51.100.9", "192.0.2.1, 10.0.0.1"], "10.0.0.0/8"), at("192.0.2.1"));
        assert_eq!(from(&["10.0.0.2, 10.0.0.1"], "10.0.0.0/8"), at("10.0.0.2"), "a client inside");
        assert_eq!(from(&["192.0.2.1:4711"], "127.0.0.1"), at("192.0.2.1"));
        assert_eq!(from(&["[2001:db8::1]:80"], "127.0.0.1"), at("2001:db8::1"));
        assert_eq!(from(&["2001:db8::1"], "127.0.0.1"), at("2001:db8::1"));
        assert_eq!(from(&["unknown, 10.0.0.1"], "10.0.0.0/8"), Client::Unreadable);
        assert_eq!(from(&[], "127.0.0.1"), Client::Unsaid);
    }

    #[test]
    fn urls_are_split_where_everybody_splits_them() {
        assert_eq!(split("https://example.com/a/b?c=d"), Ok(("example.com", "/a/b?c=d")));
        assert_eq!(split("http://example.com:80"), Ok(("example.com:80", "/")));
        assert_eq!(split("/a"), Err(Odd::Misconfigured));
        for odd in ["http://example.com?a=/b", "http://example.com#/b", "ftp://example.com/", "://x/"] {
            assert_eq!(split(odd), Err(Odd::Deny(Deny::AmbiguousPath)), "{odd}");
        }
    }
}

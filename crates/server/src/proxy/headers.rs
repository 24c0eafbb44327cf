//! What a proxy does to headers: takes away what is about one connection only (RFC 9110 §7.6.1) and what only a proxy
//! may say, and says what it has seen itself (RFC 7239, and the `X-Forwarded-` names).
//!
//! `docs/proxy.md` lists all of it, and the test that compares requests reads that list.

use std::{borrow::Cow, fmt::Write as _, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use keygate_model::Networks;

/// Never sent on: they are about one connection. `Trailer` stays, since trailers do.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What only a proxy may say about where a request came from, and whatever begins with `x-forwarded-` or `x-original-`.
/// From a client they are lies or mistakes.
const ONLY_A_PROXY_SAYS: [&str; 14] = [
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-real-ip",
    "x-rewrite-url",
    "x-url-scheme",
];

/// What `Connection` cannot take away: a message or its credential would mean something else without them.
const NOT_THE_CONNECTIONS: [&str; 8] = [
    "authorization",
    "content-length",
    "content-type",
    "content-encoding",
    "cookie",
    "expect",
    "fastly-key",
    "host",
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HTTP: HeaderValue = HeaderValue::from_static("http");
const VIA: HeaderValue = HeaderValue::from_static("1.1 keygate");

/// What the headers about the connection said, before they were taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// A WebSocket. No other upgrade is passed on: in an `h2c` tunnel nobody would be asked for a token.
    pub(super) websocket: bool,
    /// Trailers are welcome.
    pub(super) trailers: bool,
}

/// Takes away what is about the connection, and of an untrusted sender what only a proxy may say, and `names`.
pub(super) fn scrub(headers: &mut HeaderMap, is_trusted: bool, names: &[HeaderName]) -> Asked {
    let asked = asked(headers);
    take_away(headers, |name| {
        names.iter().any(|own| is_alias(name, own.as_str())) || (!is_trusted && is_a_proxys(name))
    });
    asked
}

/// Takes away what is about the upstream's connection.
pub(super) fn scrub_answer(headers: &mut HeaderMap) {
    take_away(headers, |_| false);
}

/// Takes away what is about the connection, and what else `goes`. Most messages have nothing of it.
fn take_away(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let nominated = nominated(headers);
    let goes = |name: &str| {
        HOP_BY_HOP.contains(&name) || nominated.iter().any(|nominated| nominated == name) || goes(name)
    };
    let gone: Vec<_> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

fn asked(headers: &HeaderMap) -> Asked {
    let upgrades =
        headers.contains_key(header::UPGRADE) && has_option(headers, &header::CONNECTION, "upgrade");
    let websocket = upgrades && has_option(headers, &header::UPGRADE, "websocket");
    let trailers = headers.contains_key(header::TE) && has_option(headers, &header::TE, "trailers");
    Asked { websocket, trailers }
}

/// Whether a header of options has one.
pub(super) fn has_option(headers: &HeaderMap, name: &HeaderName, option: &str) -> bool {
    options(headers, name).any(|named| named.eq_ignore_ascii_case(option))
}

fn options<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',').map(str::trim))
}

/// The headers that `Connection` takes with it.
fn nominated(headers: &HeaderMap) -> Vec<String> {
    if !headers.contains_key(header::CONNECTION) {
        return Vec::new();
    }
    let names = options(headers, &header::CONNECTION).map(str::to_ascii_lowercase);
    names.filter(|name| !NOT_THE_CONNECTIONS.contains(&name.as_str())).collect()
}

fn is_a_proxys(name: &str) -> bool {
    // By the first letter, most names are none of these.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'f' | b'c' | b't')) {
        return false;
    }
    let plain = match name.contains('_') {
        true => Cow::Owned(name.replace('_', "-")),
        false => Cow::Borrowed(name),
    };
    plain.starts_with("x-forwarded-")
        || plain.starts_with("x-original-")
        || ONLY_A_PROXY_SAYS.contains(&plain.as_ref())
}

/// Whether both are one to an upstream that makes variables of names, where `_` and `-` are the same.
fn is_alias(name: &str, own: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == own.len() && name.bytes().map(plain).eq(own.bytes().map(plain))
}

/// What is said about every request of one client's connection, made once.
pub(super) struct Witness {
    peer: HeaderValue,
    peer_of_forwarded: String,
    /// The last `Host`, and `Forwarded` for it.
    last: Option<(HeaderValue, HeaderValue)>,
}

impl Witness {
    pub(super) fn new(peer: IpAddr) -> Self {
        let text = peer.to_canonical().to_string();
        let node = if text.contains(':') { format!("\"[{text}]\"") } else { text.clone() };
        // An address is visible ASCII.
        let peer = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
        Self { peer, peer_of_forwarded: format!("for={node}"), last: None }
    }

    /// Says it. What is there already comes from a proxy that is trusted, and is added to.
    pub(super) fn sign(&mut self, headers: &mut HeaderMap, with_via: bool) {
        let host = headers.get(header::HOST).cloned();
        let forwarded = self.forwarded(host.as_ref());
        append(headers, header::FORWARDED, &forwarded);
        append(headers, X_FORWARDED_FOR, &self.peer);
        headers.entry(X_FORWARDED_PROTO).or_insert(HTTP);
        if let Some(host) = host {
            headers.entry(X_FORWARDED_HOST).or_insert(host);
        }
        if with_via {
            append(headers, header::VIA, &VIA);
        }
    }

    fn forwarded(&mut self, host: Option<&HeaderValue>) -> HeaderValue {
        match (&self.last, host) {
            (Some((last, forwarded)), Some(host)) if last == host => return forwarded.clone(),
            _ => {}
        }
        let mut text = self.peer_of_forwarded.clone();
        if let Some(host) = host.and_then(|host| host.to_str().ok()) {
            // Nothing that would end the quotes is in a host that has been checked.
            let _ = write!(text, ";host=\"{host}\"");
        }
        text.push_str(";proto=http");
        let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("for=unknown"));
        self.last = host.cloned().map(|host| (host, value.clone()));
        value
    }
}

/// Adds to a list, as one line: some upstreams read the first line alone.
fn append(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, value.clone());
        return;
    }
    let lines: Vec<&[u8]> = headers.get_all(&name).iter().chain([value]).map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(b", ".as_slice())) {
        headers.insert(name, joined);
    }
}

/// The client as far as known: the last address that trusted proxies did not put there themselves.
pub(super) fn client_ip(peer: IpAddr, parts: &Parts, trusted: Option<&Networks>) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.is_some_and(|networks| networks.admit(Some(ip)));
    let mut client = peer;
    let named: Vec<_> = options(&parts.headers, &X_FORWARDED_FOR).collect();
    for name in named.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Ok(before) = name.parse() else { break };
        client = before;
    }
    client
}

#[cfg(test)]
mod tests;

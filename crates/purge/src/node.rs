//! A cache node: one Varnish to send purges to.

use std::fmt;
use std::net::Ipv6Addr;

use http::Uri;
use http::uri::PathAndQuery;

use crate::{Domain, NotDomain};

/// Where one Varnish listens: `http://host:port`, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    root: Uri,
    name: String,
}

/// Why a text is not a [`Node`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum NotNode {
    #[error("a cache node is written http://host:port")]
    Scheme,
    #[error("TLS to cache nodes is not supported; write http://host:port and keep the way to it private")]
    Tls,
    #[error("a cache node has no user name or password")]
    UserInfo,
    #[error("a cache node has no path and no query; write http://host:port")]
    Path,
    #[error("a cache node names its port, 1 to 65535")]
    Port,
    #[error("the host of a cache node: {0}")]
    Host(#[from] NotDomain),
    #[error("the host of a cache node is not an IPv6 address")]
    Ipv6,
}

impl Node {
    #[expect(missing_docs, reason = "the type says it")]
    pub fn parse(raw: &str) -> Result<Self, NotNode> {
        let authority = raw.strip_prefix("http://").ok_or_else(|| match raw.strip_prefix("https://") {
            Some(_) => NotNode::Tls,
            None => NotNode::Scheme,
        })?;
        if authority.contains('@') {
            return Err(NotNode::UserInfo);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(NotNode::Path);
        }
        let (host, port) = authority.rsplit_once(':').ok_or(NotNode::Port)?;
        let name = format!("http://{}:{}", parse_host(host)?, parse_port(port)?);
        let root = name.parse().expect("a checked host and a number make a URI");
        Ok(Self { root, name })
    }

    /// The URI of a path at this node.
    pub(crate) fn at(&self, path: PathAndQuery) -> Uri {
        let mut parts = self.root.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("scheme, authority and path make a URI")
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn parse_host(raw: &str) -> Result<String, NotNode> {
    match raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => Ok(format!("[{}]", inner.parse::<Ipv6Addr>().map_err(|_| NotNode::Ipv6)?)),
        None => Ok(Domain::parse(raw)?.to_string()),
    }
}

/// Digits only: Rust's own parser would also take `+80`.
fn parse_port(raw: &str) -> Result<u16, NotNode> {
    let digits = raw.bytes().all(|b| b.is_ascii_digit());
    raw.parse().ok().filter(|port| digits && *port != 0).ok_or(NotNode::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_host_and_a_port() {
        for (raw, name) in [
            ("http://cache1.internal:6081", "http://cache1.internal:6081"),
            ("http://Cache1:80", "http://cache1:80"),
            ("http://10.0.0.7:6081", "http://10.0.0.7:6081"),
            ("http://[::1]:6081", "http://[::1]:6081"),
        ] {
            assert_eq!(Node::parse(raw).expect(raw).to_string(), name);
        }
    }

    #[test]
    fn anything_more_or_less_is_refused() {
        for (raw, why) in [
            ("", NotNode::Scheme),
            ("cache1:6081", NotNode::Scheme),
            ("ftp://cache1:6081", NotNode::Scheme),
            ("https://cache1:6081", NotNode::Tls),
            ("http://me:secret@cache1:6081", NotNode::UserInfo),
            ("http://cache1:6081/", NotNode::Path),
            ("http://cache1:6081?x", NotNode::Path),
            ("http://cache1", NotNode::Port),
            ("http://cache1:", NotNode::Port),
            ("http://cache1:+80", NotNode::Port),
            ("http://cache1:0", NotNode::Port),
            ("http://cache1:65536", NotNode::Port),
            ("http://:80", NotNode::Host(NotDomain::Empty)),
            ("http://::1:80", NotNode::Host(NotDomain::Port)),
            ("http://[1]:80", NotNode::Ipv6),
        ] {
            assert_eq!(Node::parse(raw), Err(why), "{raw}");
        }
    }

    #[test]
    fn a_path_is_kept_as_it_is() {
        let node = Node::parse("http://cache1:80").expect("a node");
        let path = PathAndQuery::from_static("//a/../b?c=%2F&d");
        assert_eq!(node.at(path).to_string(), "http://cache1:80//a/../b?c=%2F&d");
    }
}

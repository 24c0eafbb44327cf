//! The ways in: what stands before a protected API asks here. One adapter for each proxy family, each with a URL of its
//! own, because each says in other headers what it was asked for and takes other statuses for an answer (CONVENTIONS §0).
//! All build the same [`Question`](question::Question), and the gate answers.
//!
//! Stand before the router: no await, no lock, no allocation that grows with the number of tokens.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode},
};
use keygate_model::{Deny, Networks, Unsure};

use crate::front::Front;

mod answer;
mod assertion;
pub mod denial;
mod dialect;
pub(crate) mod envoy_grpc;
pub mod identity;
pub mod question;

use dialect::Odd;
use question::Outcome;

/// A proxy family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// nginx, `auth_request` (CONVENTIONS §1).
    Nginx,
    /// Traefik, `forwardAuth` (CONVENTIONS §2).
    Traefik,
    /// Caddy, `forward_auth` (CONVENTIONS §3).
    Caddy,
    /// HAProxy, from Lua (CONVENTIONS §5).
    Haproxy,
    /// Envoy and the Kubernetes Gateway API, `ext_authz` over HTTP (CONVENTIONS §4b, §4c).
    Envoy,
    /// The same over gRPC (CONVENTIONS §4).
    #[serde(rename = "envoy-grpc")]
    EnvoyGrpc,
    /// Keygate's own proxy, which asks in its own process and has no URL.
    #[serde(skip)]
    Proxy,
}

impl Way {
    /// All that are asked over a URL.
    pub const ALL: [Self; 6] =
        [Self::Nginx, Self::Traefik, Self::Caddy, Self::Haproxy, Self::Envoy, Self::EnvoyGrpc];

    /// What settings and metrics call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::EnvoyGrpc => "envoy-grpc",
            Self::Proxy => "proxy",
        }
    }

    /// Where it is. Envoy puts the client's path behind it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Nginx => "/authz/auth-request",
            Self::Traefik => "/authz/traefik",
            Self::Caddy => "/authz/caddy",
            Self::Haproxy => "/authz/haproxy",
            Self::Envoy => "/authz/envoy",
            Self::EnvoyGrpc => envoy_grpc::CHECK,
            Self::Proxy => "",
        }
    }

    /// The way that a path leads to.
    fn at(path: &str) -> Option<Self> {
        if matches!(path, envoy_grpc::CHECK | envoy_grpc::HEALTH) {
            return Some(Self::EnvoyGrpc);
        }
        let rest = path.strip_prefix("/authz/")?;
        let under_envoy =
            rest.strip_prefix("envoy").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if under_envoy { Some(Self::Envoy) } else { Self::ALL.into_iter().find(|way| way.path() == path) }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        let unknown = || format!("there is no way in for {name:?}: there are {names}");
        Self::ALL.into_iter().find(|way| way.name() == name).ok_or_else(unknown)
    }
}

/// Who has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address.
    At(SocketAddr),
    /// Whoever may open the socket in the file system.
    Local,
}

impl Peer {
    /// The address.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::At(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

/// What whoever is refused is answered.
pub(crate) fn refusal(way: Way, outcome: Outcome) -> Response<Body> {
    answer::render(way, outcome)
}

/// What is served at an address.
#[derive(Clone, Debug)]
pub struct Doorway {
    /// Keygate's own API.
    pub api: bool,
    /// Health and counters alone, for those who watch.
    pub admin: bool,
    /// The ways in.
    pub ways: Vec<Way>,
    /// Whose word about others is taken: proxies, by their addresses.
    pub trusted: Networks,
}

impl Doorway {
    /// Keygate's own API, and no way in.
    #[must_use]
    pub fn api(trusted: Networks) -> Self {
        Self { api: true, admin: false, ways: Vec::new(), trusted }
    }

    /// Ways in, and nothing else.
    #[must_use]
    pub fn ways(ways: Vec<Way>, trusted: Networks) -> Self {
        Self { api: false, admin: false, ways, trusted }
    }

    /// Everything at one address, for this machine alone: for tests and the demo.
    #[must_use]
    pub fn everything() -> Self {
        Self { api: true, admin: false, ways: Way::ALL.to_vec(), trusted: loopback() }
    }

    /// For those who watch: health and counters, to whoever connects.
    #[must_use]
    pub fn admin() -> Self {
        Self { api: false, admin: true, ways: Vec::new(), trusted: Networks::default() }
    }

    /// Whether a peer's word about others is taken.
    #[must_use]
    pub fn trusts(&self, peer: Peer) -> bool {
        match peer {
            Peer::Local => true,
            Peer::At(address) => self.trusted.admit(Some(address.ip())),
        }
    }

    /// The way that a request takes, if it is served here.
    pub(crate) fn way(&self, path: &str) -> Option<Way> {
        if self.ways.is_empty() {
            return None;
        }
        Way::at(path).filter(|way| self.ways.contains(way))
    }
}

/// This machine.
#[must_use]
pub fn loopback() -> Networks {
    // A constant that a test reads.
    Networks::parse("127.0.0.0/8,::1").unwrap_or_default()
}

/// Answers a proxy.
#[must_use]
pub fn answer<B>(
    app: &Front,
    way: Way,
    request: &Request<B>,
    peer: Peer,
    doorway: &Doorway,
) -> Response<Body> {
    let outcome = if doorway.trusts(peer) {
        match dialect::target(way, request, doorway) {
            Ok(target) => question::answer(app, way, &target, request.headers()),
            Err(odd) => unasked(app, way, odd),
        }
    } else {
        question::refused(app, way, Deny::UntrustedProxy)
    };
    answer::render(way, outcome)
}

/// What comes of a question that cannot be put.
fn unasked(app: &Front, way: Way, odd: Odd) -> Outcome {
    match odd {
        Odd::Misconfigured => {
            tracing::warn!(
                way = way.name(),
                "a proxy does not say what it was asked for: see docs/proxies.md"
            );
            question::unsure(app, way, Unsure::ProxyMisconfigured)
        }
        Odd::Deny(deny) => question::refused(app, way, deny),
    }
}

/// Who stands behind a proxy of ours; the peer itself if it names nobody. None: it names somebody, and nobody can tell
/// whom.
pub(crate) fn client_behind(headers: &HeaderMap, peer: Peer, doorway: &Doorway) -> Option<IpAddr> {
    match dialect::client(headers, doorway) {
        dialect::Client::At(ip) => Some(ip),
        dialect::Client::Unsaid => peer.ip(),
        dialect::Client::Unreadable => None,
    }
}

/// The answer to whoever asks for something else where only ways in are.
pub(crate) fn nothing_here() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_trusted_and_no_other() {
        let loopback = loopback();
        for (address, admitted) in
            [("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("192.0.2.1", false)]
        {
            assert_eq!(loopback.admit(address.parse().ok()), admitted, "{address}");
        }
    }

    #[test]
    fn each_way_has_its_own_path() {
        for way in Way::ALL {
            assert_eq!((way.name().parse(), Way::at(way.path())), (Ok(way), Some(way)));
        }
        assert_eq!(Way::at("/authz/envoy/a/b"), Some(Way::Envoy));
        for path in
            ["/authz", "/authz/", "/authz/envoyx", "/authz/caddy/", "/authz/caddy/x", "/x/authz/caddy"]
        {
            assert_eq!(Way::at(path), None, "{path}");
        }
    }
}

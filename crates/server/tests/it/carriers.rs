//! One question, whoever carries it (SECURITY-BAR K02): the same token and request through every carrier and every adapter
//! have one answer, one code and one line in the counters. And a million made-up tokens through them (K01).

use std::net::SocketAddr;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response},
};
use keygate_gate::{Client, http};
use keygate_model::{Deny, Verdict, policy::Access};
use keygate_server::{
    app::App,
    ways::{Doorway, Peer, Way, answer, identity, question},
};

use crate::house::House;

mod forged;
mod same;

const HOST: &str = "api.shop.example";
const CLIENT: &str = "192.0.2.1";

/// A request to a protected API, as it comes to the edge.
#[derive(Clone, Debug)]
struct Arriving {
    host: String,
    method: &'static str,
    target: String,
    /// What it shows, and in which header.
    credentials: Vec<(&'static str, Vec<u8>)>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    /// 200 if it was let in.
    status: u16,
    /// The stable word, if it was not.
    code: String,
    /// What the API is told of who asks, but for the id of the request.
    identity: Vec<(HeaderName, HeaderValue)>,
}

/// How a question is carried to the decision. One more adapter is one more line here.
type Carrier = (&'static str, fn(&App, &Arriving) -> Told);

const CARRIERS: [Carrier; 8] = [
    ("nginx", |app, arriving| through(app, Way::Nginx, arriving)),
    ("traefik", |app, arriving| through(app, Way::Traefik, arriving)),
    ("caddy", |app, arriving| through(app, Way::Caddy, arriving)),
    ("haproxy", |app, arriving| through(app, Way::Haproxy, arriving)),
    ("envoy", |app, arriving| through(app, Way::Envoy, arriving)),
    ("envoy-grpc", |app, arriving| asked(app, Way::EnvoyGrpc, arriving)),
    ("the proxy", |app, arriving| asked(app, Way::Proxy, arriving)),
    ("the library", library),
];

/// What the proxy of this family asks, as it stands in its documentation.
fn asked_by(way: Way, arriving: &Arriving) -> Request<()> {
    let Arriving { host, method, target, credentials } = arriving;
    let request = Request::builder();
    let mut request = match way {
        Way::Nginx => request
            .uri(way.path())
            .header("x-original-method", *method)
            .header("x-original-url", format!("https://{host}{target}")),
        Way::Traefik | Way::Caddy | Way::Haproxy => request
            .uri(way.path())
            .header("x-forwarded-method", *method)
            .header("x-forwarded-host", host)
            .header("x-forwarded-uri", target),
        Way::Envoy => request.uri(format!("{}{target}", way.path())).method(*method).header("host", host),
        Way::EnvoyGrpc | Way::Proxy => panic!("{} asks in no headers", way.name()),
    };
    for (name, value) in credentials {
        request = request.header(*name, HeaderValue::from_bytes(value).expect("a value that can be sent"));
    }
    request.header("x-forwarded-for", CLIENT).body(()).expect("a request")
}

/// By the function that answers proxies in production.
fn through(app: &App, way: Way, arriving: &Arriving) -> Told {
    let peer = Peer::At(SocketAddr::from(([127, 0, 0, 1], 4711)));
    told(&answer(app, way, &asked_by(way, arriving), peer, &Doorway::everything()))
}

fn told(response: &Response<Body>) -> Told {
    let text =
        |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let status =
        text("x-authz-status").map_or(response.status().as_u16(), |text| text.parse().expect("a status"));
    let names = identity::NAMES.into_iter().filter(|name| name != "x-request-id");
    let identity = names
        .filter_map(|name| Some((response.headers().get(&name)?.clone(), name)))
        .map(|(value, name)| (name, value));
    Told { status, code: text("x-authz-reason").unwrap_or_default(), identity: identity.collect() }
}

/// By the question that those ask whose carrier is no HTTP request of its own: what they read out of theirs, their own
/// tests have.
fn asked(app: &App, way: Way, arriving: &Arriving) -> Told {
    let (host, method, target) = (&arriving.host, arriving.method, &arriving.target);
    let target = http::Target { host, method, target, client: CLIENT.parse().ok() };
    match question::answer(app, way, &target, &shown(arriving)) {
        question::Outcome::Allow(identity) => {
            let pairs = identity.pairs().filter(|(name, _)| *name != "x-request-id");
            let identity = pairs.map(|(name, value)| (name.clone(), value)).collect();
            Told { status: 200, code: String::new(), identity }
        }
        question::Outcome::Deny(refusal) => {
            Told { status: refusal.status(), code: refusal.code.to_owned(), identity: Vec::new() }
        }
        question::Outcome::CannotTell(unsure) => {
            Told { status: 503, code: unsure.code().to_owned(), identity: Vec::new() }
        }
    }
}

fn shown(arriving: &Arriving) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &arriving.credentials {
        headers.append(*name, HeaderValue::from_bytes(value).expect("a value that can be sent"));
    }
    headers
}

/// By the library, as a service does that has the gate inside.
fn library(app: &App, arriving: &Arriving) -> Told {
    let headers = shown(arriving);
    let target = http::Target {
        host: &arriving.host,
        method: arriving.method,
        target: &arriving.target,
        client: CLIENT.parse().ok(),
    };
    let denied = |deny: Deny| Told {
        status: http::status(deny).as_u16(),
        code: deny.code().to_owned(),
        identity: Vec::new(),
    };
    let ask = match http::ask(&app.gate, &app.brand, &target, &headers) {
        Ok(ask) => ask,
        Err(deny) => return denied(deny),
    };
    let client = Client { ip: target.client, user_agent: "" };
    let decided = app.gate.authorize_with(&ask, client, app.clock.now(), |allowed| {
        let pairs = identity::Headers::of(allowed, "-", None);
        let pairs = pairs.pairs().filter(|(name, _)| *name != "x-request-id");
        pairs.map(|(name, value)| (name.clone(), value)).collect()
    });
    match decided.verdict {
        Verdict::Allow(_) => {
            Told { status: 200, code: String::new(), identity: decided.seen.expect("somebody") }
        }
        Verdict::Deny(deny) => denied(deny),
        Verdict::CannotTell(unsure) => {
            Told { status: 503, code: unsure.code().to_owned(), identity: Vec::new() }
        }
    }
}

/// Numbers that look random (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// How many of something: all of it in the nightly run, a share in everybody's.
fn many(all: usize, share: usize) -> usize {
    if std::env::var_os("KEYGATE_NIGHTLY").is_some() { all } else { share }
}

/// A house whose shop is protected.
async fn shop() -> House {
    let house = House::new().await;
    let text = format!(
        r#"
name = "shop"
hosts = ["{HOST}", "other.shop.example"]
customers = "all"
[actions]
"order:read" = {{ read = true, common = true }}
"order:write" = {{}}
"refund" = {{ sudo = true }}
[scopes]
"shop:read" = ["@read"]
"shop" = ["*"]
[roles]
"engineer" = ["*"]
[routes]
"GET /orders/{{order}}" = {{ action = "order:read" }}
"GET /orders/admin" = {{ action = "order:write" }}
"POST /orders" = {{ action = "order:write" }}
"POST /projects/{{project}}/orders" = {{ action = "order:write", service = "project" }}
"DELETE /orders/{{order}}" = {{ action = "refund" }}
"GET /files/{{*rest}}" = {{ action = "order:read", allow = ["%2f"] }}
"GET /health" = {{ public = true }}
"GET /new" = {{ unclassified = true }}
"#
    );
    let app = &house.node.app;
    let id = keygate_model::PolicyId::from_bytes(app.rng.bytes().expect("chance"));
    app.authority.apply_policy(&app.local_origin(), id, text).await.expect("a policy");
    let public = app.gate.policy().apis()[0]
        .routes
        .all()
        .iter()
        .filter(|route| route.access == Access::Public)
        .count();
    assert_eq!(public, 1);
    house
}

//! The question that every way in puts to the gate, and what comes of it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use keygate_authority::Origin;
use keygate_gate::{Client, Identity};
use keygate_model::{
    Ask, Deny, Digest, Host, Method, Path, Unsure, Verdict,
    token::{Presented, is_like_ours},
};

use super::{Way, denial, identity::Headers};
use crate::{
    app::{App, text_of},
    door::{METHOD_OVERRIDES, credential, user_agent},
    edge::Stopwatch,
    error::Problem,
    metrics::{Protocol, is_watched},
};

/// What somebody asks about: as it stood in the request that the proxy got.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The host.
    pub host: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, and the query if there is one.
    pub target: &'a str,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
}

/// What comes of a question.
pub enum Outcome {
    /// Let it pass, with these headers in the place of any that it had.
    Allow(Headers),
    /// Refuse it.
    Deny(Refusal),
    /// Refuse it for now.
    CannotTell(Unsure),
}

/// A refusal, ready to be told.
pub struct Refusal {
    /// The stable word for it.
    pub code: &'static str,
    /// Its id, for looking it up.
    pub id: String,
    /// The status and the words for it.
    pub(crate) problem: Problem,
}

/// Asks the gate, and notes how long that took.
#[must_use]
pub fn answer(app: &App, way: Way, target: &Target<'_>, headers: &HeaderMap) -> Outcome {
    let watch = is_watched().then(Stopwatch::start);
    let outcome = ask(app, way, target, headers);
    if let Some(watch) = watch {
        app.metrics.took(Protocol::Way(way), watch.elapsed());
    }
    outcome
}

fn ask(app: &App, way: Way, target: &Target<'_>, headers: &HeaderMap) -> Outcome {
    let (path, query) =
        target.target.split_once('?').map_or((target.target, None), |(path, query)| (path, Some(query)));
    let (Ok(host), Some(method)) = (Host::parse(target.host), Method::parse(target.method)) else {
        let deny = if Host::parse(target.host).is_err() { Deny::AmbiguousHost } else { Deny::NoRoute };
        return refused(app, way, deny);
    };
    if METHOD_OVERRIDES.iter().any(|name| headers.contains_key(*name)) {
        return refused(app, way, Deny::MethodOverride);
    }
    if query.is_some_and(|query| holds_secret(app, query)) {
        tracing::warn!(way = way.name(), "a credential in a URL: exposed, revoke it");
        return refused(app, way, Deny::InUrl);
    }
    let foreign = app.gate.foreign();
    let secret = credential(headers)
        .and_then(|secret| Presented::parse(secret, &app.brand, foreign).map_err(Deny::Malformed));
    let digest = secret.as_ref().ok().map(Presented::digest);
    let client = Client { ip: target.client, user_agent: user_agent(headers, &app.brand) };
    let now = app.clock.now();
    let ask = Ask { host: Some(host), method, path: Path::new(path), secret };
    let headers_of = |identity: &Identity<'_>| Headers::of(identity, app.request_id(headers));
    let (verdict, identity) = app.gate.authorize_with(&ask, client, now, headers_of);
    app.metrics.decided(Protocol::Way(way), &verdict);
    match (verdict, identity) {
        (Verdict::Allow(_), Some(identity)) => Outcome::Allow(identity),
        // Whoever is let in is always told of.
        (Verdict::Allow(_), None) => Outcome::CannotTell(Unsure::Stale),
        (Verdict::Deny(deny), _) => {
            if let (Deny::OwnerDisabled, Some(digest)) = (deny, digest) {
                let ip = target.client.map_or_else(String::new, text_of);
                app.stranded.note(digest, || Origin { now, ip, request_id: way.name().to_owned() });
            }
            explained(app, deny, digest.as_ref(), Some(&ask), target.client)
        }
        (Verdict::CannotTell(unsure), _) => Outcome::CannotTell(unsure),
    }
}

/// A refusal before the gate was asked.
#[must_use]
pub fn refused(app: &App, way: Way, deny: Deny) -> Outcome {
    app.metrics.denied(Protocol::Way(way), deny);
    explained(app, deny, None, None, None)
}

/// A doubt before the gate was asked.
#[must_use]
pub fn unsure(app: &App, way: Way, unsure: Unsure) -> Outcome {
    app.metrics.decided(Protocol::Way(way), &Verdict::CannotTell(unsure));
    Outcome::CannotTell(unsure)
}

fn explained(
    app: &App,
    deny: Deny,
    digest: Option<&Digest>,
    ask: Option<&Ask<'_>>,
    client: Option<IpAddr>,
) -> Outcome {
    let code = deny.code();
    let id = denial::id(app, deny, digest, ask, client);
    Outcome::Deny(Refusal { code, id, problem: Problem::denied_ahead(deny, &app.gate.policy()) })
}

/// Whether a secret of ours stands in a query. Names are the API's own business.
fn holds_secret(app: &App, query: &str) -> bool {
    query.contains(app.brand.as_str())
        && form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| [name, value].iter().any(|text| is_like_ours(text.as_bytes(), &app.brand)))
}

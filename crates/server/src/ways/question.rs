//! The question that every way in puts to the gate, and what comes of it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use keygate_authority::Origin;
pub use keygate_gate::http::Target;
use keygate_gate::{Client, Decided, Identity, http};
use keygate_model::{Ask, Deny, Digest, Policy, Unsure, Verdict, token::Presented};

use super::{Way, assertion, denial, identity::Headers};
use crate::{
    app::text_of,
    edge::Stopwatch,
    error::Problem,
    front::Front,
    metrics::{Protocol, is_watched},
};

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

impl Refusal {
    /// The status that it is told with, where that can be any.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.problem.status.as_u16()
    }
}

/// Asks the gate, and notes how long that took.
#[must_use]
pub fn answer(app: &Front, way: Way, target: &Target<'_>, headers: &HeaderMap) -> Outcome {
    let watch = is_watched().then(Stopwatch::start);
    let outcome = ask(app, way, target, headers);
    if let Some(watch) = watch {
        app.metrics.took(Protocol::Way(way), watch.elapsed());
    }
    outcome
}

fn ask(app: &Front, way: Way, target: &Target<'_>, headers: &HeaderMap) -> Outcome {
    let ask = match http::ask(&app.gate, &app.brand, target, headers) {
        Ok(ask) => ask,
        Err(deny) => {
            if deny == Deny::InUrl {
                tracing::warn!(way = way.name(), "a credential in a URL: exposed, revoke it");
            }
            return refused(app, way, deny);
        }
    };
    let digest = ask.secret.as_ref().ok().map(Presented::digest);
    let client = Client { ip: target.client, user_agent: http::user_agent(headers, &app.brand) };
    let now = app.clock.now();
    let headers_of = |identity: &Identity<'_>| {
        let jwt = assertion::of(app, ask.host.as_ref(), identity, now)?;
        Ok(Headers::of(identity, app.request_id(headers), jwt.as_deref()))
    };
    let Decided { verdict, seen, policy } = app.gate.authorize_with(&ask, client, now, headers_of);
    let (verdict, seen) = match seen.transpose() {
        Ok(seen) => (verdict, seen),
        Err(unsure) => (Verdict::CannotTell(unsure), None),
    };
    app.metrics.decided(Protocol::Way(way), &verdict);
    match (verdict, seen) {
        (Verdict::Allow(_), Some(identity)) => Outcome::Allow(identity),
        // Whoever is let in is always told of.
        (Verdict::Allow(_), None) => Outcome::CannotTell(Unsure::Stale),
        (Verdict::Deny(deny), _) => {
            if let (Deny::OwnerDisabled, Some(digest)) = (deny, digest) {
                let ip = target.client.map_or_else(String::new, text_of);
                app.stranded.note(digest, || Origin::new(now, ip, way.name().to_owned()));
            }
            let policy = policy.unwrap_or_else(|| app.gate.policy());
            explained(app, &policy, deny, digest.as_ref(), Some(&ask), target.client)
        }
        (Verdict::CannotTell(unsure), _) => Outcome::CannotTell(unsure),
    }
}

/// A refusal before the gate was asked.
#[must_use]
pub fn refused(app: &Front, way: Way, deny: Deny) -> Outcome {
    app.metrics.denied(Protocol::Way(way), deny);
    explained(app, &app.gate.policy(), deny, None, None, None)
}

/// A doubt before the gate was asked.
#[must_use]
pub fn unsure(app: &Front, way: Way, unsure: Unsure) -> Outcome {
    app.metrics.decided(Protocol::Way(way), &Verdict::CannotTell(unsure));
    Outcome::CannotTell(unsure)
}

fn explained(
    app: &Front,
    policy: &Policy,
    deny: Deny,
    digest: Option<&Digest>,
    ask: Option<&Ask<'_>>,
    client: Option<IpAddr>,
) -> Outcome {
    let code = deny.code();
    let id = denial::id(app, policy, deny, digest, ask, client);
    Outcome::Deny(Refusal { code, id, problem: Problem::denied_ahead(deny, policy) })
}

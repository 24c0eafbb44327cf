//! Who is calling, once the gate has said yes.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use keygate_authority::Origin;
use keygate_gate::Client;
use keygate_model::{
    Action, Actor, Circumstances, Digest, Permit, ServiceId, TokenId, UserId, Verdict, Want,
};

use crate::{app::App, error::Problem, patience::Patient};

/// A caller whom the gate let in, with what it let them in for.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) permit: Permit,
    pub(crate) origin: Origin,
    pub(crate) user_agent: Arc<str>,
    ip: Option<IpAddr>,
    digest: Digest,
    patient: Option<Patient>,
}

impl Caller {
    pub(crate) fn new(permit: Permit, digest: Digest, origin: Origin, client: Client<'_>) -> Self {
        Self { permit, origin, ip: client.ip, digest, user_agent: client.user_agent.into(), patient: None }
    }

    /// The same, on a connection.
    pub(crate) fn on(self, patient: Option<&Patient>) -> Self {
        Self { patient: patient.cloned(), ..self }
    }

    /// Keeps the connection for an answer that may take so long.
    pub(crate) fn waits_for(&self, time: Duration) {
        if let Some(patient) = &self.patient {
            patient.waits_for(time);
        }
    }

    /// Asks the gate for one thing more than the route was about.
    pub(crate) fn may(
        &self,
        app: &App,
        action: Action,
        service: Option<ServiceId>,
    ) -> Result<Permit, Problem> {
        match self.asks(app, action, service) {
            Verdict::Allow(permit) => Ok(permit),
            Verdict::Deny(deny) => Err(Problem::denied(deny, &app.gate.policy())),
            Verdict::CannotTell(unsure) => Err(Problem::unsure(unsure)),
        }
    }

    /// The proof for a wider action if they may do that, else the one they came with. If that cannot be told, nor can what
    /// they would find: "there is no such thing" would be a lie.
    pub(crate) fn widest(&self, app: &App, wider: Action) -> Result<Permit, Problem> {
        match self.asks(app, wider, None) {
            Verdict::Allow(permit) => Ok(permit),
            Verdict::Deny(_) => Ok(self.permit),
            Verdict::CannotTell(unsure) => Err(Problem::unsure(unsure)),
        }
    }

    fn asks(&self, app: &App, action: Action, service: Option<ServiceId>) -> Verdict {
        let want = Want { action, service: service.map(|id| app.gate.wanted_id(id)) };
        app.gate.decide(&self.digest, &want, Circumstances::of(self.origin.now, self.ip))
    }

    /// Whether this is their customer's id: another's is as missing as one that never was.
    pub(crate) fn is_of(&self, customer: &str) -> Result<(), Problem> {
        if customer.parse() == Ok(self.permit.customer()) {
            Ok(())
        } else {
            Err(Problem::missing("customer", customer))
        }
    }

    /// The token that asks.
    pub(crate) fn token(&self) -> Option<TokenId> {
        match self.permit.actor() {
            Actor::Token { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The person behind it, if it is bound to one.
    pub(crate) fn user(&self) -> Option<UserId> {
        match self.permit.actor() {
            Actor::Token { user, .. } => user,
            _ => None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The door puts it there or answers itself: a handler that comes here has a route that asks for no credential.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::no_caller)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

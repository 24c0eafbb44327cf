//! Whom the gate has let in, for whoever tells it to the API behind.

use std::time::Duration;

use keygate_model::{Actor, Expiry};

use crate::replica::Seen;

/// Who asks, with what.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Who. A stranger where the route is public: no credential was looked at.
    pub actor: Actor,
    /// The names of the token's scopes, separated by a space.
    pub scopes: &'a str,
    /// The role of its owner today.
    pub role: &'a str,
    /// Until when it is alive.
    pub expires: Expiry,
    /// How old the knowledge is that let it in, where the policy lets in whoever is known although the gate is cut off.
    pub stale: Option<Duration>,
}

impl<'a> Identity<'a> {
    /// Nobody in particular.
    pub(crate) const NOBODY: Identity<'static> =
        Identity { actor: Actor::Stranger, scopes: "", role: "", expires: Expiry::Never, stale: None };

    pub(crate) fn of(seen: &Seen<'a>) -> Self {
        Self {
            actor: seen.standing.actor,
            scopes: seen.scopes,
            role: seen.role,
            expires: seen.standing.expires,
            stale: None,
        }
    }
}

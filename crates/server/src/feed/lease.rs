//! Leases of gates.

use keygate_model::Position;
use serde::Serialize;

use crate::{app::App, caller::Caller, error::Problem};

/// What a gate sends each second.
pub(crate) struct Renewal {
    /// The stream that it follows, as its beginning called it.
    pub(crate) session: String,
    /// What the gate is called.
    pub(crate) name: String,
    /// What only this renewal says.
    pub(crate) nonce: String,
    /// The position that the gate has applied.
    pub(crate) applied: Position,
}

/// The answer.
#[derive(Serialize)]
pub(crate) struct Renewed {
    /// The same.
    pub(crate) nonce: String,
    /// The position of this node.
    pub(crate) position: i64,
}

/// Renews the lease of a gate.
#[expect(clippy::unused_async, reason = "a heartbeat will be committed here")]
pub(crate) async fn renew(app: &App, caller: &Caller, renewal: Renewal) -> Result<Renewed, Problem> {
    let Renewal { session, name, nonce, applied } = renewal;
    let customer = caller.permit.customer();
    tracing::trace!(session, name, %customer, position = applied.0, "a gate renews its lease");
    Ok(Renewed { nonce, position: app.gate.position().0 })
}

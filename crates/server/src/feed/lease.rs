//! Leases of gates elsewhere.

use keygate_authority::Fault;
use keygate_model::enforce::{Heartbeat, Session};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{app::App, caller::Caller, error::Problem};

/// The answer to a heartbeat.
#[derive(Serialize)]
pub(crate) struct Renewed {
    /// The heartbeat's own.
    pub(crate) nonce: String,
    /// The position of the record when the heartbeat was committed.
    pub(crate) position: i64,
    /// For how long at most the gate may let anybody in by it, counted from when it sent the heartbeat.
    pub(crate) granted_milliseconds: u64,
    /// The node's time.
    pub(crate) time_microseconds: i64,
}

/// Commits a heartbeat of a gate, and answers it.
pub(crate) async fn renew(
    app: &App,
    caller: &Caller,
    heartbeat: Heartbeat,
    name: String,
) -> Result<Renewed, Problem> {
    if heartbeat.epoch.0 != super::EPOCH {
        return Err(Problem::epoch_regression());
    }
    let session = spoken_for(caller, heartbeat.session)?;
    let echo = app.enforcer.heard(app, Heartbeat { session, ..heartbeat }, name).await?;
    Ok(Renewed {
        nonce: format!("{:032x}", echo.nonce.0),
        position: echo.position.0,
        granted_milliseconds: u64::try_from(echo.granted.duration().as_millis()).unwrap_or(0),
        time_microseconds: app.clock.now().micros(),
    })
}

/// The run of a gate as the record calls it: nobody speaks for the gates of another token.
fn spoken_for(caller: &Caller, session: Session) -> Result<Session, Problem> {
    let token = caller.token().ok_or_else(|| Problem::from(Fault::Unavailable))?;
    let digest =
        Sha256::new().chain_update(token.to_bytes()).chain_update(session.0.to_be_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Ok(Session(u128::from_be_bytes(bytes)))
}

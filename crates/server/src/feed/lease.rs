//! Leases of gates elsewhere.

use data_encoding::HEXLOWER;
use keygate_authority::{Fault, gates::About};
use keygate_model::{
    Digest,
    enforce::{Heartbeat, Session},
};
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
    /// The digest of a canary: what the gate decides about it, the next heartbeat says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<String>,
    /// The node's time.
    pub(crate) time_microseconds: i64,
}

/// Commits a heartbeat of a gate, and answers it.
pub(crate) async fn renew(
    app: &App,
    caller: &Caller,
    heartbeat: Heartbeat,
    (name, version): (String, String),
    decided: Option<(Digest, bool)>,
) -> Result<Renewed, Problem> {
    if heartbeat.epoch.0 != app.authority.epoch() {
        return Err(Problem::epoch_regression());
    }
    let session = spoken_for(caller, heartbeat.session)?;
    // Before the heartbeat is heard: who finds it confirmed finds what it decided.
    if let Some((digest, allows)) = decided {
        app.canary.note(session, &digest, allows, heartbeat.applied);
    }
    let customer = caller.permit.customer();
    let everybody = app.feed.view(customer) == super::View::All;
    let about = About { customer: Some(customer), everybody, version, heard_at: app.clock.now() };
    let echo = app.enforcer.heard(app, Heartbeat { session, ..heartbeat }, name, about).await?;
    Ok(Renewed {
        nonce: format!("{:032x}", echo.nonce.0),
        position: echo.position.0,
        granted_milliseconds: u64::try_from(echo.granted.duration().as_millis()).unwrap_or(0),
        // The canary's customer is nobody's whose gates are told of one alone.
        canary: everybody
            .then(|| app.canary.ask(session))
            .flatten()
            .map(|digest| HEXLOWER.encode(digest.bytes())),
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

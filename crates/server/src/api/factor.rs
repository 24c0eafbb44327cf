//! `/current_user/two_factor`: one's own second factor. Only for a person in sudo.

use axum::{Json, extract::State, http::StatusCode};
use keygate_authority::factor::FactorState;
use serde_json::json;

use super::{Ap, Reply};
use crate::{body::Fields, caller::Caller, error::Problem};

/// Sets one up, which waits for its first code. Seed and recovery codes are shown here and never again.
pub(crate) async fn enrol(State(app): Ap, caller: Caller) -> Reply {
    let user = caller.user().ok_or_else(Problem::not_a_person)?;
    let entropy = app.rng.factor()?;
    let (permit, origin) = (&caller.permit, &caller.origin);
    let shown = app.authority.enrol_factor(permit, origin, user, entropy, FactorState::Waiting).await?;
    let codes: Vec<&str> = shown.recovery_codes.iter().map(|code| code.as_str()).collect();
    Ok(Json(json!({ "secret": *shown.secret, "uri": *shown.uri, "recovery_codes": codes })))
}

/// Puts it in force, by its first code.
pub(crate) async fn confirm(State(app): Ap, caller: Caller, fields: Fields) -> Reply {
    fields.only(&["code"])?;
    let user = caller.user().ok_or_else(Problem::not_a_person)?;
    let missing = || Problem::bad_request("otp_malformed", "Send the code that your authenticator shows");
    let code = fields.text("code")?.ok_or_else(missing)?;
    app.authority.confirm_factor(&caller.permit, &caller.origin, user, code.as_bytes()).await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// Takes it away.
pub(crate) async fn disable(State(app): Ap, caller: Caller) -> Reply<StatusCode> {
    let user = caller.user().ok_or_else(Problem::not_a_person)?;
    app.authority.disable_factor(&caller.permit, &caller.origin, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

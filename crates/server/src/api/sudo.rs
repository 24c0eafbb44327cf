//! `POST /sudo` (CONTRACT §9).

use axum::{Json, extract::State};
use keygate_authority::{Fault, LoginRefusal, password::Password};
use serde_json::json;

use super::{Ap, Reply};
use crate::{body::Fields, caller::Caller, error::Problem, json::time_with_offset};

/// Starts five minutes of sudo on the token that asks. Fields that belong to the token to be made are sent along by
/// Fastly's command line, and mean nothing here.
pub(crate) async fn start(State(app): Ap, caller: Caller, fields: Fields) -> Reply {
    caller.user().ok_or_else(Problem::not_a_person)?;
    let login = fields.text("username")?.or(fields.text("user")?);
    let Some(password) = fields.text("password")? else {
        return Err(Problem::bad_request(
            "password_missing",
            "Send the password of the person behind this token",
        ));
    };
    let password = Password::parse(password)?;
    let until =
        app.authority.start_sudo(&caller.permit, &caller.origin, login, password).await.map_err(refused)?;
    Ok(Json(json!({ "expiry_time": time_with_offset(until) })))
}

fn refused(fault: Fault) -> Problem {
    match fault {
        Fault::Login(LoginRefusal::Failed) => {
            let msg = "The supplied username/password combination is not correct";
            Problem::new(axum::http::StatusCode::FORBIDDEN, "login_failed", msg)
        }
        other => other.into(),
    }
}

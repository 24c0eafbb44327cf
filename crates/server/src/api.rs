//! The handlers, a noun a file. Each is a sentence: take the caller, ask the authority, show the answer.

pub(crate) mod authorizations;
pub(crate) mod automation_tokens;
pub(crate) mod customers;
pub(crate) mod denials;
mod document;
pub(crate) mod events;
pub(crate) mod factor;
pub(crate) mod feed;
pub(crate) mod health;
pub(crate) mod iam;
pub(crate) mod invitations;
pub(crate) mod mass_revokes;
pub(crate) mod oauth;
pub(crate) mod openapi;
mod page;
pub(crate) mod purge;
pub(crate) mod receipts;
pub(crate) mod services;
pub(crate) mod sudo;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod verify;
pub(crate) mod versions;
pub(crate) mod well_known;

use axum::extract::{Extension, State};
use keygate_authority::Origin;

use crate::{app::App, error::Problem};

/// The application, as handlers take it.
pub(crate) type Ap = State<std::sync::Arc<App>>;
/// Where and when the request came in.
pub(crate) type From = Extension<Origin>;
/// What a handler answers.
pub(crate) type Reply<T = axum::Json<serde_json::Value>> = Result<T, Problem>;

/// The one role that is asked for: in `roles`, which goes before `role` (CONTRACT §10).
fn one_role<'f>(role: Option<&'f str>, roles: &[&'f str]) -> Result<Option<&'f str>, Problem> {
    match roles {
        [] => Ok(role),
        [one] => Ok(Some(one)),
        _ => Err(Problem::bad_request("role_invalid", "There is one role, not several")),
    }
}

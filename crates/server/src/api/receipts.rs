//! Revokes that are answered when they are enforced (RFC 7240 `Prefer: enforced`), with a receipt.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use keygate_authority::mass_revoke::MassRevoked;
use keygate_gate::lease::uptime;
use keygate_model::{
    Position, TokenId, Uptime,
    enforce::{Enforcement, How, Line},
};
use serde_json::{Value, json};

use crate::{app::App, caller::Caller, error::Problem, json::time};

/// How long an answer waits if the caller names no bound: longer than any gate that lost its lease is waited for.
const WAIT: Duration = Duration::from_secs(60);

/// The longest bound that a caller may name.
const WAIT_MAX: Duration = Duration::from_secs(900);

/// What the answer to a revoke waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The commit.
    Committed,
    /// Every gate, this long at most.
    Enforced(Duration),
}

/// What was revoked.
#[derive(Clone, Copy)]
pub(crate) enum Revoked<'r> {
    /// These tokens.
    Tokens(&'r [TokenId]),
    /// All that a mass revoke was about.
    Mass(MassRevoked),
}

impl Revoked<'_> {
    fn json(self) -> Value {
        match self {
            Self::Tokens(tokens) => json!({ "tokens": tokens }),
            Self::Mass(done) => json!({ "mass_revoke": done.id, "tokens_revoked": done.tokens }),
        }
    }
}

impl Wait {
    /// Reads `Prefer`. What is not understood is left out, as RFC 7240 §2 wants; a bound that is no number is said.
    ///
    /// # Errors
    /// `prefer_invalid`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let lines = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
        let (mut enforced, mut bound) = (false, None);
        for preference in lines.flat_map(|line| line.split([',', ';'])) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "enforced" => enforced = true,
                "wait" => {
                    let seconds = value.trim().trim_matches('"').parse().map_err(|_| {
                        Problem::bad_request(
                            "prefer_invalid",
                            "In Prefer, wait is a number of seconds, like wait=10",
                        )
                    })?;
                    bound.get_or_insert(Duration::from_secs(seconds));
                }
                _ => {}
            }
        }
        Ok(if enforced { Self::Enforced(bound.unwrap_or(WAIT).min(WAIT_MAX)) } else { Self::Committed })
    }

    /// The answer to a revoke that has just been committed. Whatever fails from here on, it is done.
    pub(crate) async fn answer(self, app: &App, caller: &Caller, revoked: Revoked<'_>) -> Response {
        let reached = caller.origin.reached();
        let (committed, position) = (uptime(), reached.unwrap_or_else(|| app.gate.position()));
        let Self::Enforced(bound) = self else {
            return match revoked {
                Revoked::Tokens(_) => StatusCode::NO_CONTENT.into_response(),
                Revoked::Mass(_) => {
                    (StatusCode::OK, Json(with_position(revoked.json(), position))).into_response()
                }
            };
        };
        caller.waits_for(bound);
        let enforcement = app.enforcer.wait(app, position, committed, bound).await;
        let receipt = Receipt { revoked, position, committed, enforcement: &enforcement };
        let mut body = receipt.json(app);
        let status = match enforcement {
            Enforcement::Enforced(_) => {
                let signed = app.authority.signer().sign_receipt(body.to_string().as_bytes());
                body["receipt"] = signed.map_or(Value::Null, Value::String);
                StatusCode::OK
            }
            Enforcement::Waiting { .. } => StatusCode::ACCEPTED,
        };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::OK {
            response.headers_mut().insert("preference-applied", HeaderValue::from_static("enforced"));
        }
        response
    }
}

/// What is known of a revoke's enforcement.
struct Receipt<'r> {
    revoked: Revoked<'r>,
    position: Position,
    committed: Uptime,
    enforcement: &'r Enforcement,
}

impl Receipt<'_> {
    fn json(&self, app: &App) -> Value {
        let now = uptime();
        let (enforced, lines) = match self.enforcement {
            Enforcement::Enforced(lines) => (true, lines),
            Enforcement::Waiting { lines, .. } => (false, lines),
        };
        let mut told = with_position(self.revoked.json(), self.position);
        told["enforced"] = json!(enforced);
        told["at"] = json!(time(app.clock.now()));
        told["issuer"] = json!(app.public_url);
        told["milliseconds"] = millis(now.since(self.committed));
        told["gates"] = lines.iter().map(|line| self.line(line, now)).collect();
        told
    }

    fn line(&self, line: &Line, now: Uptime) -> Value {
        let (state, after) = match line.how {
            How::Confirmed { after } => ("confirmed", after),
            How::LeaseEnded { after } => ("lease_ended", after),
            How::Waiting { until } => ("waiting", until.since(now)),
        };
        let session = data_encoding::HEXLOWER.encode(&line.session.0.to_be_bytes());
        let waits = state == "waiting";
        let mut told =
            json!({ "name": line.name, "session": session, "position": line.position.0, "state": state });
        // How long it took; of one that is waited for, how long that may take at most.
        told[if waits { "at_most_milliseconds" } else { "milliseconds" }] = millis(after);
        told
    }
}

fn with_position(mut told: Value, position: Position) -> Value {
    told["position"] = json!(position.0);
    told
}

fn millis(time: Duration) -> Value {
    json!((time.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefer_is_read_as_rfc_7240_has_it() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| {
                headers.append("prefer", HeaderValue::from_static(line));
            });
            Wait::of(&headers).ok()
        };
        let enforced = |seconds| Some(Wait::Enforced(Duration::from_secs(seconds)));
        assert_eq!(of(&[]), Some(Wait::Committed));
        assert_eq!(of(&["respond-async, wait=10"]), Some(Wait::Committed));
        assert_eq!(of(&["enforced"]), enforced(60));
        assert_eq!(of(&["Enforced; wait=5"]), enforced(5));
        assert_eq!(of(&["wait=\"7\"", "enforced"]), enforced(7));
        assert_eq!(of(&["enforced, wait=7, wait=9"]), enforced(7), "the first counts");
        assert_eq!(of(&["enforced, wait=100000"]), enforced(900));
        assert_eq!(of(&["enforced, wait=soon"]), None);
        assert_eq!(of(&["enforced, wait=-1"]), None);
    }
}

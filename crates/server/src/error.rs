//! The one place that turns what went wrong into an answer (CONTRACT §0.3, §0.4, §2).
//!
//! `msg` and `detail` are the contract's, `code` is ours and stable. A stranger learns nothing; the holder of a token
//! learns what was missing and how to mend it. The inner error goes to the log alone.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use keygate_authority::{Fault, LoginRefusal};
use keygate_model::{Deny, Policy, Timestamp, TokenId, Unsure};
use serde_json::{Map, Value};

use crate::{edge::NoEntropy, json, quota::Exceeded};

mod ahead;

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    msg: String,
    detail: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The code of a refusal, for the log and the counters.
#[derive(Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

const CREDENTIALS: &str = "Provided credentials are missing or invalid";
const RATE_LIMITED: &str = "You have exceeded your hourly rate limit. Please contact support@fastly.com if you think this is a mistake.";
const SUDO: &str = "You must POST /sudo to access this endpoint";
const NOT_AUTHORIZED: &str = "You are not authorized to perform this action";

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, msg: impl Into<String>) -> Self {
        Self { status, code, msg: msg.into(), detail: None, headers: Vec::new() }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// A request that cannot be what it says.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, "Bad request").detail(detail)
    }

    /// Something that is not there, or not for this caller.
    pub(crate) fn missing(noun: &str, id: &str) -> Self {
        let detail = format!("Cannot find {noun} '{}'", said_back(id));
        Self::new(StatusCode::NOT_FOUND, "not_found", "Record not found").detail(detail)
    }

    /// A handler wants a caller where the policy asks for none: refused, since nobody decided.
    pub(crate) fn no_caller() -> Self {
        credentials("credential_missing", "")
    }

    /// Something that only a person can do or be, asked by a machine.
    pub(crate) fn not_a_person() -> Self {
        let why = "An automation token has no person behind it";
        Self::new(StatusCode::FORBIDDEN, "token_type_not_allowed", NOT_AUTHORIZED).detail(why)
    }

    /// A gate that has applied what is not in the log of events here.
    pub(crate) fn epoch_regression() -> Self {
        Self::new(StatusCode::CONFLICT, "epoch_regression", "This node is behind, or has another past").detail(
            "What the gate has applied never happened here, or not yet: ask another node; where this one was restored from a \
             backup, see docs/many-nodes.md",
        )
    }

    /// What only a node can do, asked of a gate without a database.
    pub(crate) fn kept_elsewhere() -> Self {
        Self::new(StatusCode::NOT_FOUND, "gate_only", "Not found")
            .detail("This is a gate: it decides, and keeps no record. Ask a node")
    }

    /// A token that was revoked: told to the holder of its secret only.
    pub(crate) fn revoked(token: TokenId, at: Timestamp) -> Self {
        let detail = format!("Token {token} was revoked at {}", json::time(at));
        credentials("token_revoked", "invalid_token").detail(detail)
    }

    /// What a refusal of the law answers.
    pub(crate) fn denied(deny: Deny, policy: &Policy) -> Self {
        let code = deny.code();
        match deny {
            Deny::Missing => credentials(code, "").detail("Send your token in the header Fastly-Key"),
            Deny::Scheme => {
                credentials(code, "").detail("Send your token in Fastly-Key, or as Authorization: Bearer")
            }
            Deny::Unknown => credentials(code, "invalid_token"),
            Deny::Malformed(why) => credentials(code, "invalid_token").detail(why.to_string()),
            Deny::Expired { token, at } => {
                let msg = format!("Token {token} expired at {}", json::time(at));
                let expired = Self::new(StatusCode::UNAUTHORIZED, code, msg);
                expired.header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
            }
            Deny::OwnerDisabled => {
                credentials(code, "invalid_token").detail("The person behind this token is locked or gone")
            }
            Deny::Multiple => {
                Self::bad_request(code, "Send one credential: one Fastly-Key, or one Authorization")
            }
            Deny::InUrl => Self::bad_request(
                code,
                "A credential in a URL or form ends up in logs; revoke it, and use Fastly-Key",
            ),
            Deny::AmbiguousPath => {
                Self::bad_request(code, "This path can be read in two ways; write it plainly")
            }
            Deny::MethodOverride => {
                Self::bad_request(code, "Use the method itself, not a header that overrides it")
            }
            Deny::PositionInvalid => Self::bad_request(
                code,
                "Keygate-Min-Position is a number as Keygate-Position has it, and stands there once",
            ),
            Deny::ServiceUnknown => Self::new(StatusCode::NOT_FOUND, code, "Record not found"),
            Deny::NoRoute => {
                Self::new(StatusCode::NOT_FOUND, code, "Not found").detail("There is no such endpoint")
            }
            _ => Self::forbidden(deny, policy),
        }
    }

    /// What a refusal answers to whoever is known and may not: what was missing, and how to mend it.
    fn forbidden(deny: Deny, policy: &Policy) -> Self {
        let forbidden = |msg: &str| Self::new(StatusCode::FORBIDDEN, deny.code(), msg);
        match deny {
            Deny::Machine(action) => forbidden(NOT_AUTHORIZED).detail(format!(
                "An automation token has no person behind it, and {} is a person's own business",
                policy.name(action)
            )),
            Deny::Kind => forbidden(NOT_AUTHORIZED).detail("This kind of token is not for the API"),
            Deny::CustomerSuspended => forbidden(NOT_AUTHORIZED).detail("This account is suspended"),
            Deny::Network => forbidden(NOT_AUTHORIZED).detail(
                "This account may be used from its own networks only, and your address is not among them; a superuser \
                 changes ip_whitelist",
            ),
            Deny::FactorMissing => forbidden(NOT_AUTHORIZED).detail(
                "Your account wants a second factor of everybody: set yours up with POST /current_user/two_factor",
            ),
            Deny::ReadOnly(_) => forbidden("Read only tokens are not allowed to access this endpoint"),
            Deny::Scope(action) => forbidden(NOT_AUTHORIZED).detail(format!(
                "The token's scope does not contain {}; use one whose scope does",
                policy.name(action)
            )),
            Deny::Role(action) => forbidden(NOT_AUTHORIZED)
                .detail(format!("Your role does not allow {}; ask a superuser", policy.name(action))),
            Deny::Forbidden(action) => forbidden(NOT_AUTHORIZED)
                .detail(format!("Your account has switched {} off", policy.name(action))),
            Deny::Permission(id, action) => forbidden(NOT_AUTHORIZED).detail(format!(
                "What you were given on service '{id}' does not contain {}; ask a superuser",
                policy.name(action)
            )),
            Deny::Account(action) => forbidden(NOT_AUTHORIZED).detail(format!(
                "You or your token are limited to services, and {} is about the whole account",
                policy.name(action)
            )),
            Deny::Service(id) => forbidden(NOT_AUTHORIZED)
                .detail(format!("You or your token are limited to other services than '{id}'")),
            Deny::Sudo => forbidden(SUDO),
            Deny::Interactive => forbidden(SUDO)
                .detail("Only a person who has just shown their password may do this"),
            _ => forbidden(NOT_AUTHORIZED),
        }
    }

    /// What an answer is that cannot be told.
    pub(crate) fn unsure(unsure: Unsure) -> Self {
        let why = "Cannot tell now whether you may; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, unsure.code(), why).retry_after(1)
    }

    /// The body.
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("msg".to_owned(), self.msg.clone().into());
        if let Some(detail) = &self.detail {
            body.insert("detail".to_owned(), detail.clone().into());
        }
        body.insert("code".to_owned(), self.code.into());
        body.into()
    }
}

/// Text of the caller's as an answer repeats it. Answers end up in logs, so what may be a secret in the wrong place is
/// left out: only what is as short and plain as an id or a field's name is repeated.
pub(crate) fn said_back(text: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte);
    if text.len() <= 24 && text.bytes().all(plain) { text } else { "…" }
}

/// 401 in the recorded words. RFC 6750 §3 names an error only where a credential was shown.
fn credentials(code: &'static str, error: &str) -> Problem {
    let challenge = if error.is_empty() { "Bearer" } else { "Bearer error=\"invalid_token\"" };
    Problem::new(StatusCode::UNAUTHORIZED, code, CREDENTIALS)
        .header(header::WWW_AUTHENTICATE, challenge)
        .header(header::RETRY_AFTER, "0")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Code(self.code));
        response
    }
}

impl From<NoEntropy> for Problem {
    fn from(why: NoEntropy) -> Self {
        tracing::error!(error = %why, "nothing can be made");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_entropy", "Temporarily unavailable").retry_after(1)
    }
}

/// In the recorded words. What is left, nothing, and until when, stands in the headers of the contract too.
impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let why = "Nothing was done; the quota is for requests that change something, and is new at every full hour";
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", RATE_LIMITED).detail(why);
        problem.headers.extend(exceeded.left.headers());
        problem.retry_after(exceeded.retry_after_seconds)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let words = fault.to_string();
        match fault {
            Fault::Missing { noun, id } => Self::missing(noun, &id),
            Fault::Deleted { noun, id } => {
                let noun = capitalised(noun);
                Self::bad_request("deleted", format!("{noun} '{id}' is deleted"))
            }
            Fault::Invalid { code, .. } => invalid(code, words),
            // Somebody else may, so it is no conflict.
            Fault::Refused { code: code @ ("not_yours_to_change" | "not_the_owner"), .. } => {
                Self::new(StatusCode::FORBIDDEN, code, NOT_AUTHORIZED).detail(words)
            }
            Fault::Refused { code, .. } => Self::new(StatusCode::CONFLICT, code, "Conflict").detail(words),
            Fault::VersionLocked { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "version_locked", "Version locked").detail(capitalised(&words))
            }
            Fault::Taken { noun, what } => Self::new(StatusCode::CONFLICT, "taken", "Duplicate record")
                .detail(format!("Duplicate {noun}: '{what}'")),
            Fault::Wider { excess } => Self::new(StatusCode::FORBIDDEN, "scope_exceeds_caller", NOT_AUTHORIZED)
                .detail(format!("A token cannot make a wider one than itself; it lacks: {excess}")),
            Fault::SudoRequired => {
                Self::new(StatusCode::FORBIDDEN, "sudo_required", SUDO).detail("To give this role, or another login, show your password first")
            }
            Fault::Login(refusal) => login(refusal),
            Fault::IdempotencyMismatch => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", "Idempotency-Key was used before")
                    .detail(words)
            }
            Fault::IdempotencyReplayed { .. } => {
                Self::new(StatusCode::CONFLICT, "idempotency_replayed", "This was done before").detail(words)
            }
            Fault::AlreadyDone => Self::new(StatusCode::CONFLICT, "already_done", words),
            Fault::Overloaded => {
                let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much at once; try again");
                busy.detail(words).retry_after(1)
            }
            Fault::OutcomeUnknown => unavailable("outcome_unknown")
                .detail("Whether it was done is not known: look before you repeat it, or repeat it with an Idempotency-Key"),
            Fault::Storage(_) | Fault::Unavailable | Fault::Stopped | Fault::KeyFile(_) => {
                tracing::error!(error = ?fault, "storage failed");
                unavailable("storage_unavailable").detail("Nothing was changed; try again")
            }
            Fault::Tampered { noun, id } => {
                tracing::error!(noun, id, "a row fails its seal: run `keygate audit verify`");
                unavailable("record_tampered")
            }
            Fault::Permit(wrong) => {
                tracing::error!(error = %wrong, "a mistake in Keygate");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
            }
        }
    }
}

fn unavailable(code: &'static str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, "Temporarily unavailable").retry_after(1)
}

/// Input that cannot be. The contract decides the status and `msg`, SECURITY-BAR the code.
fn invalid(code: &'static str, why: String) -> Problem {
    match code {
        "scope_invalid" => Problem::new(StatusCode::BAD_REQUEST, code, "invalid_scope").detail(why),
        "service_type_invalid" => Problem::new(StatusCode::BAD_REQUEST, code, why),
        "expiry_invalid" | "service_not_found" | "services_invalid" | "user_not_found"
        | "password_breached" => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, "Unprocessable entity").detail(why)
        }
        _ => Problem::bad_request(code, why),
    }
}

/// A login that was not good enough. `msg` is what Fastly's clients look at, `code` is SECURITY-BAR's.
fn login(refusal: LoginRefusal) -> Problem {
    let bad = |code, msg: &str| Problem::new(StatusCode::BAD_REQUEST, code, msg).detail(refusal.to_string());
    match refusal {
        LoginRefusal::Failed => bad("login_failed", "invalid_grant"),
        LoginRefusal::CodeRequired => bad("otp_required", "2fa.verify").header(OTP, "required"),
        LoginRefusal::CodeWrong => bad("login_failed", "2fa.verify").header(OTP, "required"),
        LoginRefusal::CodeReused => bad("otp_already_used", "2fa.verify").header(OTP, "required"),
        LoginRefusal::CodeMalformed => bad("otp_malformed", "2fa.verify").header(OTP, "required"),
        LoginRefusal::OverQuota => Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", RATE_LIMITED),
        LoginRefusal::PasswordExpired => bad("password_expired", "invalid_grant").header(PASSWORD, "rotate"),
        LoginRefusal::FactorLocked => bad("factor_locked", "account_locked"),
        LoginRefusal::TokenWithoutFactor => {
            Problem::new(StatusCode::FORBIDDEN, "otp_required", NOT_AUTHORIZED).detail(refusal.to_string())
        }
        LoginRefusal::TooMany { retry_after_seconds } => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "Too many attempts")
                .detail(refusal.to_string())
                .retry_after(retry_after_seconds)
        }
    }
}

/// Says to a client that a new password is wanted (CONTRACT §2).
const PASSWORD: HeaderName = HeaderName::from_static("fastly-password");

/// Says to a client that a code is wanted (CONTRACT §2).
const OTP: HeaderName = HeaderName::from_static("fastly-otp");

fn capitalised(noun: &str) -> String {
    let mut letters = noun.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

//! The abuse cases of SECURITY-BAR §4 that this server has an answer to, each by its number. The contract decides the
//! wire where the two disagree; `crates/server/src/error.rs` says how.

use keygate_authority::service::NewService;
use serde_json::{Value, json};

use crate::house::Reply;

mod credential;
mod factor;
mod lifecycle;
mod login;
mod order;
mod privilege;
mod storage;
mod tenant;

const CREDENTIALS: &str = "Provided credentials are missing or invalid";
const NOT_AUTHORIZED: &str = "You are not authorized to perform this action";
const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// A service to do something with.
pub(crate) fn shop() -> NewService {
    NewService { name: "shop".to_owned(), ..NewService::default() }
}

/// Checks that this is exactly the answer, with the headers that every refusal carries.
#[track_caller]
fn refused(reply: &Reply, status: u16, body: &Value) {
    assert_eq!((reply.status, &reply.json()), (status, body), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("status"), Some(reply.status_text().as_str()));
    assert_eq!(reply.header("x-request-id").map(str::len), Some(20));
    assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{reply:?}");
}

/// Refused for want of a credential that is one: 401, and the words of the recordings.
#[track_caller]
fn unauthorized(reply: &Reply, challenge: &str, code: &str, detail: Option<&str>) {
    let mut body = json!({ "msg": CREDENTIALS, "code": code });
    if let Some(detail) = detail {
        body["detail"] = detail.into();
    }
    refused(reply, 401, &body);
    assert_eq!(reply.header("www-authenticate"), Some(challenge));
    assert_eq!(reply.header("retry-after"), Some("0"));
}

/// Refused for a reason that is the token's.
#[track_caller]
fn forbidden(reply: &Reply, code: &str, detail: &str) {
    refused(reply, 403, &json!({ "msg": NOT_AUTHORIZED, "detail": detail, "code": code }));
}

/// Refused because it cannot be what it says.
#[track_caller]
fn bad_request(reply: &Reply, code: &str, detail: &str) {
    refused(reply, 400, &json!({ "msg": "Bad request", "detail": detail, "code": code }));
}

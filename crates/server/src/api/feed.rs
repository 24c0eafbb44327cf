//! `/feed`: what gates elsewhere follow (docs/many-nodes.md).

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;
use keygate_model::{
    Digest, Position,
    enforce::{Epoch, Heartbeat, Nonce, Session},
};

use super::{Ap, Reply};
use crate::{
    body::Fields,
    caller::Caller,
    error::{Problem, said_back},
    feed::{
        Resume,
        lease::{self, Renewed},
        stream,
    },
};

/// How long the name of a gate may be, in bytes.
const NAME_LEN_MAX: usize = 64;

/// How long its version may be.
const VERSION_LEN_MAX: usize = 32;

/// Everything there is and what changes, for as long as the gate reads and may.
pub(crate) async fn follow(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply<Response> {
    let resume = resume(query.as_deref().unwrap_or_default())?;
    let feed = stream(&app, caller, resume).await?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.keygate.feed")], feed).into_response())
}

/// Renews the lease of a gate.
pub(crate) async fn renew(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    fields: Fields,
) -> Reply<Json<Renewed>> {
    fields.only(&["session", "name", "nonce", "epoch", "applied", "canary", "canary_allowed"])?;
    let bad = |why: &str| Problem::bad_request("field_invalid", why.to_owned());
    let name = fields
        .text("name")?
        .filter(|name| (1..=NAME_LEN_MAX).contains(&name.len()) && !name.chars().any(char::is_control));
    let name = name.ok_or_else(|| bad("The field 'name' is a short text"))?.to_owned();
    let number = |name| {
        let hex = fields.text(name)?.filter(|text| text.len() == 32);
        let number = hex.and_then(|text| u128::from_str_radix(text, 16).ok());
        number.ok_or_else(|| bad(&format!("The field '{name}' is 32 hexadecimal digits")))
    };
    let whole = |name| fields.raw(name).and_then(serde_json::Value::as_i64).filter(|number| *number >= 0);
    let heartbeat = Heartbeat {
        session: Session(number("session")?),
        nonce: Nonce(number("nonce")?),
        epoch: Epoch(whole("epoch").ok_or_else(|| bad("The field 'epoch' is a number"))?.unsigned_abs()),
        applied: Position(whole("applied").ok_or_else(|| bad("The field 'applied' is a position"))?),
    };
    let decided = decided(&fields)?;
    lease::renew(&app, &caller, heartbeat, (name, version(&headers)), decided).await.map(Json)
}

/// What the gate has decided about a canary, if it was asked.
fn decided(fields: &Fields) -> Result<Option<(Digest, bool)>, Problem> {
    let Some(text) = fields.text("canary")? else { return Ok(None) };
    let digest = HEXLOWER.decode(text.as_bytes()).ok().and_then(|digest| digest.try_into().ok());
    match (digest, fields.raw("canary_allowed").and_then(serde_json::Value::as_bool)) {
        (Some(digest), Some(allowed)) => Ok(Some((Digest::from_bytes(digest), allowed))),
        _ => Err(Problem::bad_request(
            "field_invalid",
            "canary is 64 hexadecimal digits, and canary_allowed a boolean",
        )),
    }
}

/// What a gate says that it is, if it is one of ours.
fn version(headers: &HeaderMap) -> String {
    let said = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let version = said.and_then(|said| said.strip_prefix("keygate-gate/"));
    version.filter(|version| version.len() <= VERSION_LEN_MAX).unwrap_or_default().to_owned()
}

/// Where the gate has been: all of it, or nothing.
fn resume(query: &str) -> Result<Option<Resume>, Problem> {
    let (mut from, mut hash, mut epoch, mut anew) = (None, None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let bad = || Problem::bad_request("field_invalid", format!("{} cannot be read", said_back(&name)));
        match &*name {
            "from" => from = Some(Position(value.parse().map_err(|_| bad())?)),
            "hash" => {
                let read = data_encoding::HEXLOWER.decode(value.as_bytes()).ok();
                hash = Some(read.and_then(|hash| hash.try_into().ok()).ok_or_else(bad)?);
            }
            "epoch" => epoch = Some(value.parse().map_err(|_| bad())?),
            "anew" => anew = Some(value.parse().map_err(|_| bad())?),
            _ => {
                let why = format!("There is no parameter '{}' here", said_back(&name));
                return Err(Problem::bad_request("unknown_field", why));
            }
        }
    }
    match (from, hash, epoch) {
        (None, None, None) if anew.is_none() => Ok(None),
        (Some(from), Some(hash), Some(epoch)) => {
            Ok(Some(Resume { from, hash, epoch, anew: anew.unwrap_or_default() }))
        }
        _ => Err(Problem::bad_request("field_invalid", "from, hash and epoch go together")),
    }
}

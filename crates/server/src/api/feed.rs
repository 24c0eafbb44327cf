//! `/feed`: what gates elsewhere follow (docs/many-nodes.md).

use axum::{
    Json,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use keygate_model::Position;

use super::{Ap, Reply};
use crate::{
    body::Fields,
    caller::Caller,
    error::{Problem, said_back},
    feed::{
        Resume,
        lease::{self, Renewal, Renewed},
        stream,
    },
};

/// How long the texts of a renewal may be, in bytes.
const TEXT_LEN_MAX: usize = 255;

/// Everything there is and what changes, for as long as the gate reads and may.
pub(crate) async fn follow(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply<Response> {
    let resume = resume(query.as_deref().unwrap_or_default())?;
    let feed = stream(&app, caller, resume).await?;
    Ok(([(header::CONTENT_TYPE, "application/vnd.keygate.feed")], feed).into_response())
}

/// Renews the lease of a gate.
pub(crate) async fn renew(State(app): Ap, caller: Caller, fields: Fields) -> Reply<Json<Renewed>> {
    fields.only(&["session", "name", "nonce", "applied"])?;
    let text = |name| {
        let given = fields.text(name)?.filter(|text| (1..=TEXT_LEN_MAX).contains(&text.len()));
        let missing = || Problem::bad_request("field_invalid", format!("The field '{name}' is a short text"));
        given.map(str::to_owned).ok_or_else(missing)
    };
    let applied = fields.raw("applied").and_then(serde_json::Value::as_i64).map(Position);
    let applied =
        applied.ok_or_else(|| Problem::bad_request("field_invalid", "The field 'applied' is a position"))?;
    let renewal = Renewal { session: text("session")?, name: text("name")?, nonce: text("nonce")?, applied };
    lease::renew(&app, &caller, renewal).await.map(Json)
}

/// From where to go on: all of it, or nothing.
fn resume(query: &str) -> Result<Option<Resume>, Problem> {
    let (mut from, mut hash, mut epoch) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let bad = || Problem::bad_request("field_invalid", format!("{} cannot be read", said_back(&name)));
        match &*name {
            "from" => from = Some(Position(value.parse().map_err(|_| bad())?)),
            "hash" => {
                let read = data_encoding::HEXLOWER.decode(value.as_bytes()).ok();
                hash = Some(read.and_then(|hash| hash.try_into().ok()).ok_or_else(bad)?);
            }
            "epoch" => epoch = Some(value.parse().map_err(|_| bad())?),
            _ => {
                let why = format!("There is no parameter '{}' here", said_back(&name));
                return Err(Problem::bad_request("unknown_field", why));
            }
        }
    }
    match (from, hash, epoch) {
        (None, None, None) => Ok(None),
        (Some(from), Some(hash), Some(epoch)) => Ok(Some(Resume { from, hash, epoch })),
        _ => Err(Problem::bad_request("field_invalid", "from, hash and epoch go together")),
    }
}

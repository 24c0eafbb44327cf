//! `/events`, the audit log (CONTRACT §14).

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use keygate_authority::event::{Filter, Row};
use keygate_model::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Ap, Reply};
use crate::{
    app::App,
    caller::Caller,
    error::{Problem, said_back},
    json::{read_time, time},
};

const SIZE_DEFAULT: u64 = 20;
const SIZE_MAX: u64 = 1000;

/// A page of the customer's events, newest first unless asked otherwise.
pub(crate) async fn list(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Reply<Response> {
    let mut wanted = Wanted::parse(query.as_deref().unwrap_or_default(), &caller)?;
    let oldest = oldest(&app, &caller);
    wanted.filter.from = Some(wanted.filter.from.map_or(oldest, |from| from.max(oldest)));
    let Wanted { filter, number, size, nothing, .. } = &wanted;
    let page = app.authority.events(&caller.permit, filter.clone(), *number, *size).await?;
    let (rows, total) = if *nothing { (Vec::new(), 0) } else { (page.rows, page.total) };
    let pages = total.div_ceil(*size).max(1);
    let base = crate::api::services::base_url(&app, &headers);
    let link = |number: u64| format!("{base}/events?{}page[number]={number}&page[size]={size}", wanted.rest);
    let mut links = Map::new();
    if *number > 1 {
        links.insert("first".to_owned(), link(1).into());
        links.insert("prev".to_owned(), link(number - 1).into());
    }
    if *number < pages {
        links.insert("next".to_owned(), link(number + 1).into());
    }
    links.insert("last".to_owned(), link(pages).into());
    document(&json!({
        "data": rows.iter().map(event_json).collect::<Vec<_>>(),
        "links": links,
        "meta": { "record_count": total, "current_page": number, "total_pages": pages, "per_page": size },
    }))
}

/// One event.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<Response> {
    let event = id.parse().map_err(|_| Problem::missing("event", &id))?;
    let event = app.authority.event(&caller.permit, event).await?;
    if event.at < oldest(&app, &caller) {
        return Err(Problem::missing("event", &id));
    }
    document(&json!({ "data": event_json(&event) }))
}

/// How far back events are shown. What is older is kept, because the chain and the seals of rows rest on it: the setting
/// is about looking, and never stands in the way of a write.
fn oldest(app: &App, caller: &Caller) -> Timestamp {
    Timestamp::from_seconds(caller.origin.now.seconds() - i64::from(app.event_retention_days) * 24 * 3600)
}

/// What a query asks for.
#[derive(Default)]
struct Wanted {
    filter: Filter,
    number: u64,
    size: u64,
    /// An id that nothing has: the answer is an empty page.
    nothing: bool,
    /// The query without its page, for links: literal brackets, as recorded.
    rest: String,
}

impl Wanted {
    fn parse(query: &str, caller: &Caller) -> Result<Self, Problem> {
        let mut wanted = Self { number: 1, size: SIZE_DEFAULT, ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "page[number]" => wanted.number = number(&name, &value)?.max(1),
                "page[size]" => wanted.size = number(&name, &value)?.clamp(1, SIZE_MAX),
                _ => {
                    wanted.take(&name, &value, caller)?;
                    let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
                    wanted.rest.push_str(&format!("{name}={value}&"));
                }
            }
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &str, caller: &Caller) -> Result<(), Problem> {
        let filter = &mut self.filter;
        let next = |at: Timestamp| Timestamp::from_seconds(at.seconds() + 1);
        match name {
            "filter[customer_id]" => self.nothing |= value.parse() != Ok(caller.permit.customer()),
            "filter[event_type]" => filter.kind = Some(value.to_owned()),
            "filter[user_id]" => self.nothing |= set(&mut filter.user, value.parse().ok()),
            "filter[service_id]" => self.nothing |= set(&mut filter.service, value.parse().ok()),
            "filter[token_id]" => self.nothing |= set(&mut filter.token, value.parse().ok()),
            // Times are shown in whole seconds, so a bound is about the whole second.
            "filter[created_at][gte]" => filter.from = Some(date(name, value)?),
            "filter[created_at][gt]" => filter.from = Some(next(date(name, value)?)),
            "filter[created_at][lt]" => filter.before = Some(date(name, value)?),
            "filter[created_at][lte]" => filter.before = Some(next(date(name, value)?)),
            "sort" if value == "created_at" => filter.oldest_first = true,
            "sort" if value == "-created_at" => filter.oldest_first = false,
            "sort" => return Err(Problem::bad_request("sort_invalid", "sort is created_at or -created_at")),
            // A filter that is ignored would show more than was asked for.
            _ => {
                return Err(Problem::bad_request(
                    "unknown_field",
                    format!("There is no parameter '{}' here", said_back(name)),
                ));
            }
        }
        Ok(())
    }
}

/// Sets a filter; true if there is nothing it could find.
fn set<T>(filter: &mut Option<T>, id: Option<T>) -> bool {
    let nothing = id.is_none();
    *filter = id;
    nothing
}

fn number(name: &str, value: &str) -> Result<u64, Problem> {
    value.parse().map_err(|_| Problem::bad_request("page_invalid", format!("{name} is a whole number")))
}

fn date(name: &str, value: &str) -> Result<Timestamp, Problem> {
    read_time(value).ok_or_else(|| {
        Problem::bad_request("date_invalid", format!("{name} is an ISO 8601 time, like 2026-01-31T00:00:00Z"))
    })
}

/// Absent rather than null where there is nothing: Fastly's Python client refuses null.
fn event_json(row: &Row) -> Value {
    let mut attributes = Map::new();
    let ids = [
        ("customer_id", row.customer.map(|id| id.to_string())),
        ("service_id", row.service.map(|id| id.to_string())),
        ("user_id", row.user.map(|id| id.to_string())),
        ("token_id", row.token.map(|id| id.to_string())),
    ];
    for (name, id) in ids {
        if let Some(id) = id {
            attributes.insert(name.to_owned(), id.into());
        }
    }
    let metadata: Value = serde_json::from_str(&row.metadata).unwrap_or_default();
    let rest = json!({
        "description": row.description,
        "event_type": row.kind,
        "ip": row.ip,
        "metadata": metadata,
        "created_at": time(row.at),
        "admin": row.actor == "operator",
        "actor": row.actor,
        "request_id": row.request_id,
        "position": row.position.0,
    });
    if let Value::Object(rest) = rest {
        attributes.extend(rest);
    }
    if !row.actor_name.is_empty() {
        attributes.insert("actor_name".to_owned(), row.actor_name.as_str().into());
    }
    json!({ "id": row.id, "type": "event", "attributes": attributes })
}

/// A JSON:API answer with its tag.
fn document(body: &Value) -> Reply<Response> {
    let tag = data_encoding::HEXLOWER.encode(&Sha256::digest(body.to_string())[..16]);
    let mut response = Json(body).into_response();
    let mut set = |name: HeaderName, value: &str| {
        HeaderValue::from_str(value).map(|value| response.headers_mut().insert(name, value))
    };
    let done = set(header::CONTENT_TYPE, "application/vnd.api+json")
        .and(set(header::CACHE_CONTROL, "max-age=0, private, must-revalidate"))
        .and(set(header::ETAG, &format!("W/\"{tag}\"")));
    done.map(|_| response).map_err(|_| Problem::bad_request("internal", "The answer could not be written"))
}

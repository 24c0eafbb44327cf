//! `/tokens` (CONTRACT §2–8).

use std::sync::{Arc, OnceLock};

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use keygate_authority::{
    login::Attempt,
    password::Password,
    token::{Idempotency, Issued, Order, Used},
};
use keygate_model::{
    Action, TokenId,
    otp::{MalformedOtp, Otp},
    token::Kind,
    user::Login,
};
use serde_json::{Value, json};

use super::{
    Ap, From, Reply,
    receipts::{Revoked, Wait},
};
use crate::{
    app::App,
    body::{self, Fields, basic},
    caller::Caller,
    error::Problem,
    json::{read_time, time},
    quota::{Left, Spender},
};

/// Fields that mean something in `POST /tokens`.
const FIELDS: [&str; 11] = [
    "username",
    "user",
    "password",
    "name",
    "scope",
    "scopes",
    "services",
    "services[]",
    "service_id",
    "expires_at",
    "customer",
];

/// The most tokens that one request may revoke.
const BULK_MAX: usize = 1000;

/// Makes a token: for a person by password and code, or for the person behind a token in sudo. The secret is shown
/// here and never again.
pub(crate) async fn create(
    State(app): Ap,
    Extension(origin): From,
    caller: Option<Caller>,
    headers: HeaderMap,
    fields: Fields,
) -> Reply<(Option<Extension<Left>>, Json<Value>)> {
    if fields.raw("access_token").is_some() || fields.raw("api_key").is_some() {
        return Err(Problem::denied(keygate_model::Deny::InUrl, &app.gate.policy()));
    }
    fields.only(&FIELDS)?;
    let order = order(&headers, &fields)?;
    let minted = app.mint(Kind::User)?;
    if let Some(caller) = caller {
        let issued = app.authority.create_token(&caller.permit, &caller.origin, order, minted).await?;
        return Ok((None, Json(issued_json(issued))));
    }
    let attempt = attempt(&headers, &fields)?;
    // The door knew of nobody to count this for.
    let (quota, spent, now) = (Arc::clone(&app), Arc::new(OnceLock::new()), origin.now);
    let told = Arc::clone(&spent);
    let admit = move |user| {
        let left = quota.quota.spend(Spender { token: None, person: Some(user) }, now);
        told.get_or_init(|| left).is_ok()
    };
    let issued = app.authority.create_token_by_password(&origin, attempt, order, minted, admit).await;
    let left = spent.get().copied().transpose()?;
    Ok((left.map(Extension), Json(issued_json(issued?))))
}

/// The caller's own tokens.
pub(crate) async fn list(State(app): Ap, caller: Caller) -> Reply {
    app.settle_marks().await;
    let Some(user) = caller.user() else { return Ok(Json(json!([]))) };
    let tokens = app.authority.tokens_of_user(&caller.permit, user).await?;
    Ok(Json(tokens.iter().map(|token| token_json(token, &caller)).collect()))
}

/// The token that asks.
pub(crate) async fn show_self(State(app): Ap, caller: Caller) -> Reply {
    let id = caller.token().ok_or_else(Problem::no_caller)?;
    let token = app.authority.token(&caller.permit, id).await?;
    Ok(Json(token_json(&token, &caller)))
}

/// One of the caller's tokens; a superuser sees those of everybody.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    let permit = caller.widest(&app, Action::TOKEN_READ_ANY)?;
    app.settle_marks().await;
    let token = app.authority.token(&permit, parse(&id)?).await?;
    Ok(Json(token_json(&token, &caller)))
}

/// Revokes the token that asks.
pub(crate) async fn revoke_self(State(app): Ap, caller: Caller, headers: HeaderMap) -> Reply<Response> {
    let (wait, id) = (Wait::of(&headers)?, caller.token().ok_or_else(Problem::no_caller)?);
    app.authority.revoke_self(&caller.permit, &caller.origin).await?;
    Ok(wait.answer(&app, &caller, Revoked::Tokens(&[id])).await)
}

/// Revokes one of the caller's tokens; a superuser, anybody's.
pub(crate) async fn revoke(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    revoke_each(&app, &caller, vec![parse(&id)?], &headers).await
}

/// Revokes several: all, or none if one of them is not there for this caller.
pub(crate) async fn revoke_many(State(app): Ap, caller: Caller, request: Request) -> Reply<Response> {
    let (parts, body) = request.into_parts();
    revoke_each(&app, &caller, bulk_ids(&body::collect(body).await?)?, &parts.headers).await
}

async fn revoke_each(app: &App, caller: &Caller, ids: Vec<TokenId>, headers: &HeaderMap) -> Reply<Response> {
    let wait = Wait::of(headers)?;
    let permit = caller.widest(app, Action::TOKEN_REVOKE_ANY)?;
    app.authority.revoke(&permit, &caller.origin, ids.clone()).await?;
    Ok(wait.answer(app, caller, Revoked::Tokens(&ids)).await)
}

/// A token as every `GET` shows it. The one that asks shows this very request.
pub(crate) fn token_json(token: &Used, caller: &Caller) -> Value {
    let row = &token.row;
    let (used_at, ip, user_agent) = match &token.mark {
        _ if caller.token() == Some(row.id) => {
            (Some(caller.origin.now), Some(caller.origin.ip.as_str()), Some(&*caller.user_agent))
        }
        Some(mark) => (Some(mark.at), Some(mark.ip.as_str()), Some(mark.user_agent.as_str())),
        None => (None, None, None),
    };
    json!({
        "id": row.id,
        "user_id": row.user(),
        "customer_id": row.customer,
        "name": row.name,
        "last_used_at": used_at.map(time),
        "created_at": time(row.created_at),
        "expires_at": row.expires.date().map(time),
        "ip": ip,
        "user_agent": user_agent,
        "sudo_expires_at": row.sudo_until.map(time),
        "scopes": row.scope.split(' ').collect::<Vec<_>>(),
        "scope": row.scope,
        "services": row.services.listed(),
        "service_id": row.services.listed().last(),
    })
}

/// A token as its creation shows it, with its secret.
fn issued_json(issued: Issued) -> Value {
    let Issued { row, secret } = issued;
    json!({
        "id": row.id,
        "name": row.name,
        "user_id": row.user(),
        "customer_id": row.customer,
        "service_id": row.services.listed().last(),
        "expires_at": row.expires.date().map(time),
        "created_at": time(row.created_at),
        "updated_at": time(row.updated_at),
        "scope": row.scope,
        "services": row.services.listed(),
        "access_token": *secret.reveal(),
    })
}

pub(crate) fn parse(id: &str) -> Result<TokenId, Problem> {
    id.parse().map_err(|_| Problem::missing("token", id))
}

/// What is wanted of the new token.
fn order(headers: &HeaderMap, fields: &Fields) -> Result<Order, Problem> {
    let services: Vec<_> = fields.texts(&["services", "services[]", "service_id"])?;
    let services: Vec<_> = services.into_iter().filter(|id| !id.is_empty()).map(str::to_owned).collect();
    Ok(Order {
        name: fields.text("name")?.map(str::to_owned),
        scope: scope(fields)?,
        // The contract writes "all services" as an empty list, and clients send one.
        services: (!services.is_empty()).then_some(services),
        expires: expires(fields)?,
        idempotency: idempotency(headers, fields, Kind::User)?,
    })
}

/// `scope`, one text, or `scopes`, a list. One that is there and says nothing is refused: nothing is not everything.
pub(crate) fn scope(fields: &Fields) -> Result<Option<String>, Problem> {
    let invalid =
        |why: &str| Problem::new(StatusCode::BAD_REQUEST, "scope_invalid", "invalid_scope").detail(why);
    match (fields.raw("scope"), fields.raw("scopes")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(invalid("Send scope or scopes, not both")),
        (Some(Value::String(one)), None) | (None, Some(Value::String(one))) => Ok(Some(one.clone())),
        (Some(Value::Array(many)), None) | (None, Some(Value::Array(many))) => {
            let names: Option<Vec<_>> = many.iter().map(Value::as_str).collect();
            let names = names.filter(|names| !names.is_empty());
            names
                .map(|names| Some(names.join(" ")))
                .ok_or_else(|| invalid("An empty scope grants nothing; name one"))
        }
        _ => Err(invalid("A scope is text: one name, or several with a space between them")),
    }
}

pub(crate) fn expires(fields: &Fields) -> Result<Option<keygate_model::Timestamp>, Problem> {
    let invalid = || {
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "expiry_invalid", "Unprocessable entity");
        problem.detail("expires_at is an ISO 8601 time with an offset, like 2030-07-28T19:24:50+00:00")
    };
    match fields.raw("expires_at") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => read_time(text).map(Some).ok_or_else(invalid),
        Some(_) => Err(invalid()),
    }
}

/// `Idempotency-Key`, bound to the kind of token and to everything in the body that makes it what it is.
pub(crate) fn idempotency(
    headers: &HeaderMap,
    fields: &Fields,
    kind: Kind,
) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > 255 {
        return Err(Problem::bad_request(
            "idempotency_key_invalid",
            "An Idempotency-Key has 1 to 255 characters",
        ));
    }
    let names = [
        "name",
        "scope",
        "scopes",
        "services",
        "services[]",
        "service_id",
        "expires_at",
        "role",
        "roles",
        "tls_access",
    ];
    let body = json!([format!("{kind:?}"), names.map(|name| fields.raw(name))]);
    Ok(Some(Idempotency::new(key.as_bytes(), body.to_string().as_bytes())))
}

/// The login, password and code that a request shows: as fields, or as `Basic`, which is all that generated clients have.
fn attempt(headers: &HeaderMap, fields: &Fields) -> Result<Attempt, Problem> {
    let missing = || {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "credential_missing", "invalid_request");
        problem.detail("Send username and password, or a Fastly-Key whose token is in sudo")
    };
    let shown = basic(headers);
    let (name, secret) = shown.as_ref().map(|(name, secret)| (name.as_str(), secret.as_str())).unzip();
    let username = fields.text("username")?.or(fields.text("user")?).or(name).ok_or_else(missing)?;
    let password = fields.text("password")?.or(secret).ok_or_else(missing)?;
    Ok(Attempt { login: login_of(username)?, password: Password::parse(password)?, otp: code(headers)? })
}

/// What cannot be a login is nobody's: it is refused in the same words as an unknown one, after the same work.
pub(crate) fn login_of(username: &str) -> Result<Login, Problem> {
    let nobody = |_| Login::parse("\u{fffd}");
    Login::parse(username)
        .or_else(nobody)
        .map_err(|why| Problem::bad_request("login_invalid", why.to_string()))
}

/// The one-time code of `Fastly-OTP`.
pub(crate) fn code(headers: &HeaderMap) -> Result<Option<Result<Otp, MalformedOtp>>, Problem> {
    let mut codes = headers.get_all("fastly-otp").iter();
    let code = codes.next();
    if codes.next().is_some() {
        return Err(Problem::bad_request("multiple_credentials", "Send one Fastly-OTP"));
    }
    Ok(code.map(|code| Otp::parse(code.as_bytes())))
}

/// The ids in `{"data":[{"type":"token","id":"…"}, …]}` (CONTRACT §8).
fn bulk_ids(body: &Bytes) -> Result<Vec<TokenId>, Problem> {
    let shape =
        || Problem::bad_request("body_invalid", r#"The body is {"data":[{"type":"token","id":"…"}]}"#);
    let body: Value = serde_json::from_slice(body).map_err(|_| shape())?;
    let items = body.get("data").and_then(Value::as_array).ok_or_else(shape)?;
    if items.is_empty() || items.len() > BULK_MAX {
        return Err(Problem::bad_request("body_invalid", format!("A list of 1 to {BULK_MAX} tokens")));
    }
    let id = |item: &Value| match (
        item.get("type").and_then(Value::as_str),
        item.get("id").and_then(Value::as_str),
    ) {
        (Some("token"), Some(id)) => parse(id),
        _ => Err(shape()),
    };
    items.iter().map(id).collect()
}

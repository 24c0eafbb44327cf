//! `/automation-tokens` (CONTRACT §10).

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use keygate_authority::{
    token::{AutomationOrder, Issued, Order, Row, Used},
    usage::Mark,
};
use keygate_model::token::Kind;
use serde_json::{Value, json};

use super::{
    Ap, Reply, one_role,
    page::{Page, cursor_invalid},
    tokens::{expires, idempotency, parse, scope},
};
use crate::{body::Fields, caller::Caller, error::Problem, json::time};

/// Fields that mean something in `POST /automation-tokens`, and those that clients send along.
const FIELDS: [&str; 12] = [
    "name",
    "role",
    "roles",
    "scope",
    "scopes",
    "services",
    "services[]",
    "limit_services",
    "workspaces",
    "limit_workspaces",
    "tls_access",
    "expires_at",
];

/// The role of an automation token if nobody says: the least there is.
const ROLE: &str = "user";

/// Makes an automation token. The secret is shown here and never again.
pub(crate) async fn create(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    fields: Fields,
) -> Reply<Response> {
    fields.only(&FIELDS)?;
    let name =
        fields.text("name")?.ok_or_else(|| Problem::bad_request("name_invalid", "Name can't be blank"))?;
    let services: Vec<_> = fields.texts(&["services", "services[]"])?;
    let services: Vec<_> = services.into_iter().filter(|id| !id.is_empty()).map(str::to_owned).collect();
    if fields.flag("limit_services")? == Some(true) && services.is_empty() {
        let why = "limit_services with no services would grant nothing; name some, or leave both out";
        return Err(Problem::bad_request("services_invalid", why));
    }
    let wanted = AutomationOrder {
        order: Order {
            name: Some(name.to_owned()),
            scope: scope(&fields)?,
            services: (!services.is_empty()).then_some(services),
            expires: expires(&fields)?,
            idempotency: idempotency(&headers, &fields, Kind::Automation)?,
        },
        role: one_role(fields.text("role")?, &fields.texts(&["roles"])?)?.unwrap_or(ROLE).to_owned(),
        tls_access: fields.flag("tls_access")?.unwrap_or(false),
    };
    let minted = app.mint(Kind::Automation)?;
    let issued =
        app.authority.create_automation_token(&caller.permit, &caller.origin, wanted, minted).await?;
    Ok(line(&issued_json(issued)))
}

/// The automation tokens of the customer, a page at a time.
pub(crate) async fn list(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply<Response> {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    app.settle_marks().await;
    let tokens = app.authority.automation_tokens(&caller.permit).await?;
    let data: Vec<_> = page.of(&tokens).iter().map(listed_json).collect();
    Ok(line(&json!({ "data": data, "meta": page.meta(tokens.len()) })))
}

/// One of them.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<Response> {
    app.settle_marks().await;
    let token = app.authority.automation_token(&caller.permit, parse(&id)?).await?;
    Ok(line(&shown_json(&token)))
}

/// The services that one is limited to; none listed means all.
pub(crate) async fn services(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Reply<Response> {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let token = app.authority.automation_token(&caller.permit, parse(&id)?).await?;
    Ok(line(&json!({ "data": page.of(token.row.services.listed()) })))
}

/// The workspaces of one: Keygate has none, and so has never given a cursor out.
pub(crate) async fn workspaces(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Reply<Response> {
    let query = query.unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "cursor" && !value.is_empty()) {
        return Err(cursor_invalid());
    }
    app.authority.automation_token(&caller.permit, parse(&id)?).await?;
    let meta = json!({ "limit": 20, "next_cursor": "", "previous_cursor": "" });
    Ok(line(&json!({ "data": [], "meta": meta, "limit_workspaces": true })))
}

/// Revokes one. A person's token is not there to be revoked here.
pub(crate) async fn revoke(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<Response> {
    let id = parse(&id)?;
    let read = caller.may(&app, keygate_model::Action::AUTOMATION_TOKEN_READ, None)?;
    app.authority.automation_token(&read, id).await?;
    app.authority.revoke(&caller.permit, &caller.origin, vec![id]).await?;
    Ok(line(&json!({ "title": "Revoked", "status": 200, "detail": "", "errors": [] })))
}

/// Empty rather than null where there is nothing, as recorded.
fn issued_json(issued: Issued) -> Value {
    let Issued { row, secret } = issued;
    json!({
        "id": row.id,
        "services": row.services.listed(),
        "name": row.name,
        "role": row.role(),
        "access_token": *secret.reveal(),
        "scope": row.scope,
        "ip": "",
        "created_at": time(row.created_at),
        "last_used_at": "",
        "expires_at": row.expires.date().map(time).unwrap_or_default(),
        "user_agent": "",
        "tls_access": row.tls_access,
        "customer_id": row.customer,
    })
}

fn listed_json(token: &Used) -> Value {
    let row = &token.row;
    json!({
        "id": row.id,
        "creator_id": row.creator,
        "customer_id": row.customer,
        "name": row.name,
        "access_token": "",
        "role": row.role(),
        "ip": used(token, |mark| mark.ip.clone()),
        "user_agent": used(token, |mark| mark.user_agent.clone()),
        "scopes": row.scope,
        "services": row.services.listed(),
        "service_id": null,
        "sudo_expires_at": null,
        "last_used_at": used(token, |mark| time(mark.at)),
        "created_at": time(row.created_at),
        "expires_at": row.expires.date().map(time),
        "tls_access": row.tls_access,
    })
}

/// As recorded, and beside it what the list shows: who made it, and whose it is.
fn shown_json(token: &Used) -> Value {
    let row: &Row = &token.row;
    json!({
        "id": row.id,
        "services": row.services.listed(),
        "name": row.name,
        "role": row.role(),
        "access_token": "",
        "scope": row.scope,
        "ip": used(token, |mark| mark.ip.clone()),
        "created_at": time(row.created_at),
        "last_used_at": used(token, |mark| time(mark.at)),
        "expires_at": row.expires.date().map(time),
        "user_agent": used(token, |mark| mark.user_agent.clone()),
        "creator_id": row.creator,
        "customer_id": row.customer,
        "created_by_token": row.parent,
        "tls_access": row.tls_access,
    })
}

fn used(token: &Used, what: impl Fn(&Mark) -> String) -> Option<String> {
    token.mark.as_ref().map(what)
}

/// JSON and a line end, which this family of endpoints is recorded with.
fn line(body: &Value) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([kind], format!("{body}\n")).into_response()
}

//! `/service-authorizations` (CONTRACT §17).

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use keygate_authority::user::{Authorization, NewAuthorization};
use keygate_model::{AuthorizationId, Timestamp, authorization::Permission};
use serde_json::{Value, json};

use super::{
    Ap, Reply,
    document::{Document, Resource, answer},
    page::Page,
    services::base_url,
};
use crate::{caller::Caller, error::Problem, json::time};

/// The most authorisations that one request may change.
const BULK_MAX: usize = 100;

/// Those of everybody in the customer, a page at a time.
pub(crate) async fn list(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Reply<Response> {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let all = app.authority.authorizations(&caller.permit).await?;
    let address = format!("{}/service-authorizations", base_url(&app, &headers));
    Ok(answer(&page.document(&address, &all, authorization_json)))
}

/// One of them.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<Response> {
    let one = app.authority.authorization(&caller.permit, parse(&id)?).await?;
    Ok(answer(&json!({ "data": authorization_json(&one) })))
}

/// Gives a person something on a service.
pub(crate) async fn create(State(app): Ap, caller: Caller, document: Document) -> Reply<Response> {
    let resource = document.one();
    resource.only(&["permission"])?;
    let missing = |noun: &str| {
        Problem::bad_request("body_invalid", format!("relationships.{noun}.data.id says which {noun}"))
    };
    let user = resource.related("user").ok_or_else(|| missing("user"))?;
    let service = resource.related("service").ok_or_else(|| missing("service"))?;
    let new = NewAuthorization {
        id: AuthorizationId::from_bytes(app.rng.bytes()?),
        user: user.parse().map_err(|_| Problem::missing("user", user))?,
        service: service.parse().map_err(|_| Problem::missing("service", service))?,
        permission: permission(resource)?.unwrap_or(Permission::Full),
    };
    let one = app.authority.create_authorization(&caller.permit, &caller.origin, new).await?;
    Ok(answer(&json!({ "data": authorization_json(&one) })))
}

/// Changes one.
pub(crate) async fn update(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    document: Document,
) -> Reply<Response> {
    let change = (parse(&id)?, needed(document.one())?);
    let changed = app.authority.update_authorizations(&caller.permit, &caller.origin, vec![change]).await?;
    Ok(answer(&json!({ "data": changed.first().map(authorization_json) })))
}

/// Changes several: all, or none if one of them is not there.
pub(crate) async fn update_many(State(app): Ap, caller: Caller, document: Document) -> Reply<Response> {
    let change = |resource: Resource<'_>| Ok((parse(resource.id()?)?, needed(resource)?));
    let changes: Vec<_> = document.many(BULK_MAX)?.into_iter().map(change).collect::<Result<_, Problem>>()?;
    let changed = app.authority.update_authorizations(&caller.permit, &caller.origin, changes).await?;
    Ok(answer(&json!({ "data": changed.iter().map(authorization_json).collect::<Vec<_>>() })))
}

/// Takes one away.
pub(crate) async fn delete(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<Response> {
    app.authority.delete_authorizations(&caller.permit, &caller.origin, vec![parse(&id)?]).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes several away: all, or none if one of them is not there.
pub(crate) async fn delete_many(State(app): Ap, caller: Caller, document: Document) -> Reply<Response> {
    let ids = document.many(BULK_MAX)?.into_iter().map(|resource| parse(resource.id()?));
    let ids: Vec<_> = ids.collect::<Result<_, Problem>>()?;
    let gone = app.authority.delete_authorizations(&caller.permit, &caller.origin, ids).await?;
    Ok(answer(&json!({ "data": gone.iter().map(authorization_json).collect::<Vec<_>>() })))
}

/// The permission that a resource names.
pub(crate) fn permission(resource: Resource<'_>) -> Result<Option<Permission>, Problem> {
    let Some(word) = resource.text("permission")? else { return Ok(None) };
    let known = Permission::ALL.map(Permission::as_str).join(", ");
    let wrong = || Problem::bad_request("permission_invalid", format!("permission is one of: {known}"));
    Permission::of(word).map(Some).ok_or_else(wrong)
}

fn needed(resource: Resource<'_>) -> Result<Permission, Problem> {
    resource.only(&["permission"])?;
    permission(resource)?.ok_or_else(|| Problem::bad_request("permission_invalid", "Name the permission"))
}

fn authorization_json(one: &Authorization) -> Value {
    let grant = &one.grant;
    json!({
        "id": grant.id,
        "type": "service_authorization",
        "attributes": {
            "created_at": time(Timestamp::from_micros(grant.created_at)),
            "updated_at": time(Timestamp::from_micros(grant.updated_at)),
            "deleted_at": null,
            "permission": grant.permission.as_str(),
        },
        "relationships": {
            "service": { "data": { "id": grant.service, "type": "service" } },
            "user": { "data": { "id": one.user, "type": "user" } },
        },
    })
}

fn parse(id: &str) -> Result<AuthorizationId, Problem> {
    id.parse().map_err(|_| Problem::missing("serviceauthorization", id))
}

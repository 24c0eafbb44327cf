//! `/invitations` (CONTRACT §18).

use axum::{
    Json,
    extract::{Extension, Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use keygate_authority::{
    invitation::{NewInvitation, Row},
    password::{NewPassword, Password},
};
use keygate_model::{AuthorizationId, InvitationId, authorization::Permission, link::LinkCode};
use serde_json::{Value, json};

use super::{
    Ap, From, Reply,
    authorizations::permission,
    document::{Document, Resource, answer},
    one_role,
    page::Page,
    services::base_url,
    users::parse_login,
};
use crate::{app::App, body::Fields, caller::Caller, error::Problem, json::time, outbox::Letter};

/// Those of the customer that stand, a page at a time.
pub(crate) async fn list(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Reply<Response> {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let all = app.authority.invitations(&caller.permit).await?;
    let address = format!("{}/invitations", base_url(&app, &headers));
    Ok(answer(&page.document(&address, &all, invitation_json)))
}

/// Invites somebody. The code goes to them, never into an answer.
pub(crate) async fn create(State(app): Ap, caller: Caller, document: Document) -> Reply<Response> {
    let resource = document.one();
    resource.only(&["email", "role", "roles", "limit_services", "status_code"])?;
    if let Some(customer) = resource.related("customer") {
        caller.is_of(customer)?;
    }
    let new = NewInvitation {
        id: InvitationId::from_bytes(app.rng.bytes()?),
        email: parse_login(resource.text("email")?.unwrap_or_default())?,
        role: one_role(resource.text("role")?, &resource.texts("roles")?)?.unwrap_or("user").to_owned(),
        limited: resource.flag("limit_services")?.unwrap_or(false),
        grants: grants(&app, resource)?,
        code: LinkCode::new(&app.rng.bytes()?),
    };
    let sent = app.authority.invite(&caller.permit, &caller.origin, new).await?;
    let body = json!({ "data": invitation_json(&sent.row) });
    app.outbox.put(Letter::invitation(sent)).await;
    Ok(answer(&body))
}

/// Takes an invitation back.
pub(crate) async fn delete(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<StatusCode> {
    let id = id.parse().map_err(|_| Problem::missing("invitation", &id))?;
    app.authority.delete_invitation(&caller.permit, &caller.origin, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes one up, by whoever has its code.
pub(crate) async fn accept(
    State(app): Ap,
    Extension(origin): From,
    Path(code): Path<String>,
    fields: Fields,
) -> Reply {
    fields.only(&["name", "password", "marketing_opt_in"])?;
    let both = || Problem::bad_request("password_missing", "Send name and password");
    let (name, password) = fields.text("name")?.zip(fields.text("password")?).ok_or_else(both)?;
    let new = NewPassword { password: Password::parse(password)?, salt: app.rng.bytes()? };
    app.authority.accept_invitation(&origin, &code, app.user_id()?, name, new).await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// What the invited person will be given on which service.
fn grants(
    app: &App,
    resource: Resource<'_>,
) -> Result<Vec<(AuthorizationId, keygate_model::ServiceId, Permission)>, Problem> {
    let mut grants = Vec::new();
    for carried in resource.carried("service_invitations")? {
        let service = carried.related("service").unwrap_or_default();
        let id = service.parse().map_err(|_| Problem::missing("service", service))?;
        let permission = permission(carried)?.unwrap_or(Permission::Full);
        grants.push((AuthorizationId::from_bytes(app.rng.bytes()?), id, permission));
    }
    Ok(grants)
}

fn invitation_json(row: &Row) -> Value {
    json!({
        "id": row.id,
        "type": "invitation",
        "attributes": {
            "created_at": time(row.created_at),
            "updated_at": time(row.updated_at),
            "deleted_at": null,
            "email": row.email.as_str(),
            "role": row.role,
            "status_code": 1,
            "limit_services": row.limited,
            "expires_at": time(row.expires_at),
        },
        "relationships": { "customer": { "data": { "id": row.customer, "type": "customer" } } },
    })
}

//! `/customer/{id}`, `/current_customer` and the customer's contacts (CONTRACT §5, §13).

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequest as _, Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use keygate_authority::customer::{Changes, Contact, Makers, NewContact, PROFILE, Row};
use keygate_model::{CustomerId, EventId, Networks, Timestamp, UserId};
use serde_json::{Value, json};

use super::{
    Ap, Reply,
    document::{Document, answer},
    tokens::token_json,
};
use crate::{app::App, body::Fields, caller::Caller, error::Problem, json::time};

/// Fields that mean something in `PUT /customer/{id}` beside those of the profile, and those that clients echo.
const FIELDS: [&str; 8] = [
    "id",
    "name",
    "owner_id",
    "force_2fa",
    "ip_whitelist",
    "token_lifetime_max_days",
    "never_expiring_tokens",
    "automation_token_makers",
];

/// The tokens of everybody in the customer. Another's customer is as missing as one that never was.
pub(crate) async fn tokens(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    caller.is_of(&id)?;
    app.settle_marks().await;
    let tokens = app.authority.tokens_of_customer(&caller.permit).await?;
    Ok(Json(tokens.iter().map(|token| token_json(token, &caller)).collect()))
}

/// The customer behind the token.
pub(crate) async fn current(State(app): Ap, caller: Caller) -> Reply {
    let customer = app.authority.customer(caller.permit.customer()).await?;
    shown(&app, &customer).await
}

/// The same, by its id.
pub(crate) async fn show(state: Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    caller.is_of(&id)?;
    current(state, caller).await
}

/// Changes it.
pub(crate) async fn update(State(app): Ap, caller: Caller, Path(id): Path<String>, fields: Fields) -> Reply {
    caller.is_of(&id)?;
    fields.only(&[&FIELDS[..], &PROFILE[..]].concat())?;
    let changes = changes(&fields)?;
    let customer = app.authority.update_customer(&caller.permit, &caller.origin, changes).await?;
    shown(&app, &customer).await
}

/// Closes it, for ever.
pub(crate) async fn delete(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    caller.is_of(&id)?;
    app.authority.close_customer(&caller.permit, &caller.origin).await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// Its contacts.
pub(crate) async fn contacts(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply<Response> {
    caller.is_of(&id)?;
    let customer = app.authority.customer(caller.permit.customer()).await?;
    let all: Vec<_> = customer.contacts.iter().map(|contact| contact_json(contact, customer.id)).collect();
    let meta = json!({ "record_count": all.len(), "current_page": 1, "total_pages": 1, "per_page": 100 });
    Ok(answer(&json!({ "data": all, "meta": meta })))
}

/// Adds one: a form, as documented, or a JSON:API document, as recorded.
pub(crate) async fn create_contact(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Reply<Response> {
    caller.is_of(&id)?;
    let new = new_contact(&app, request).await?;
    let id = EventId::from_bytes(app.rng.bytes()?);
    let contact = app.authority.create_contact(&caller.permit, &caller.origin, id, new).await?;
    let data = contact_json(&contact, caller.permit.customer());
    Ok((StatusCode::CREATED, answer(&json!({ "data": data }))).into_response())
}

/// Takes one away.
pub(crate) async fn delete_contact(
    State(app): Ap,
    caller: Caller,
    Path((id, contact)): Path<(String, String)>,
) -> Reply<StatusCode> {
    caller.is_of(&id)?;
    app.authority.delete_contact(&caller.permit, &caller.origin, &contact).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn changes(fields: &Fields) -> Result<Changes, Problem> {
    let networks = |text: &str| {
        Networks::parse(text).map_err(|why| Problem::bad_request("ip_whitelist_invalid", why.to_string()))
    };
    let mut changes = Changes {
        name: fields.text("name")?.map(str::to_owned),
        ip_whitelist: fields.text("ip_whitelist")?.map(networks).transpose()?,
        force_2fa: fields.flag("force_2fa")?,
        token_lifetime_max_days: days(fields)?,
        never_expiring_tokens: fields.flag("never_expiring_tokens")?,
        automation_token_makers: makers(fields)?,
        ..Changes::default()
    };
    for name in PROFILE {
        if let Some(value) = fields.text(name)? {
            changes.profile.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(changes)
}

/// Whole days, at least one; null or nothing lifts the limit.
fn days(fields: &Fields) -> Result<Option<Option<u32>>, Problem> {
    let wrong = || {
        Problem::bad_request("field_invalid", "token_lifetime_max_days is a whole number of days, or null")
    };
    let number = |days: Option<u32>| {
        days.filter(|days| (1..=3650).contains(days)).map(Some).map(Some).ok_or_else(wrong)
    };
    match fields.raw("token_lifetime_max_days") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) if text.is_empty() => Ok(Some(None)),
        Some(Value::String(text)) => number(text.parse().ok()),
        Some(value) => number(value.as_u64().and_then(|days| days.try_into().ok())),
    }
}

fn makers(fields: &Fields) -> Result<Option<Makers>, Problem> {
    let Some(word) = fields.text("automation_token_makers")? else { return Ok(None) };
    let wrong = |_| {
        let why = "automation_token_makers is one of: nobody, superusers, superusers_and_tokens";
        Problem::bad_request("field_invalid", why)
    };
    serde_json::from_value(word.into()).map(Some).map_err(wrong)
}

async fn shown(app: &App, customer: &Row) -> Reply {
    let owner = app.authority.owner_of(customer.id).await?;
    Ok(Json(customer_json(customer, owner)))
}

fn customer_json(customer: &Row, owner: Option<UserId>) -> Value {
    let settings = &customer.settings;
    let mut body = json!({
        "id": customer.id,
        "name": customer.name,
        "owner_id": owner,
        "billing_contact_id": null,
        "billing_network_type": "public",
        "billing_ref": null,
        "can_configure_wordpress": null,
        "can_reset_passwords": true,
        "can_upload_vcl": false,
        "force_2fa": settings.force_2fa,
        "force_sso": false,
        "has_account_panel": false,
        "has_improved_events": true,
        "has_improved_ssl_config": false,
        "has_openstack_logging": false,
        "has_pci": false,
        "has_pci_passwords": false,
        "ip_whitelist": settings.ip_whitelist,
        "legal_contact_id": null,
        "phone_number": "",
        "postal_address": null,
        "pricing_plan": "",
        "pricing_plan_id": "",
        "security_contact_id": null,
        "technical_contact_id": null,
        "created_at": time(customer.created_at),
        "updated_at": time(customer.updated_at),
        "deleted_at": null,
        "token_lifetime_max_days": settings.token_lifetime_max_days,
        "never_expiring_tokens": settings.never_expiring_tokens,
        "automation_token_makers": settings.automation_token_makers,
    });
    for (name, value) in &customer.profile {
        body[name.as_str()] = value.as_str().into();
    }
    body
}

async fn new_contact(app: &Arc<App>, request: Request) -> Result<NewContact, Problem> {
    const FIELDS: [&str; 6] = ["contact_type", "name", "email", "phone", "user_id", "customer_id"];
    let kind = request.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded")) {
        let fields = Fields::from_request(request, app).await?;
        fields.only(&FIELDS)?;
        return contact_of(|name| fields.text(name));
    }
    let document = Document::from_request(request, app).await?;
    document.one().only(&FIELDS)?;
    contact_of(|name| document.one().text(name))
}

fn contact_of<'f>(
    text: impl Fn(&'static str) -> Result<Option<&'f str>, Problem>,
) -> Result<NewContact, Problem> {
    let needed = |name| Ok::<_, Problem>(text(name)?.unwrap_or_default().to_owned());
    let user = text("user_id")?.filter(|id| !id.is_empty());
    Ok(NewContact {
        kind: needed("contact_type")?,
        name: needed("name")?,
        email: needed("email")?,
        phone: needed("phone")?,
        user: user.map(|id| id.parse().map_err(|_| Problem::missing("user", id))).transpose()?,
    })
}

fn contact_json(contact: &Contact, customer: CustomerId) -> Value {
    json!({
        "id": contact.id,
        "type": "customer_contact",
        "attributes": {
            "contact_type": contact.kind,
            "customer_id": customer,
            "user_id": contact.user,
            "name": contact.name,
            "email": contact.email,
            "phone": contact.phone,
            "created_at": time(Timestamp::from_micros(contact.created_at)),
            "updated_at": time(Timestamp::from_micros(contact.updated_at)),
            "deleted_at": null,
        },
    })
}

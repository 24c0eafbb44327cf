//! `GET /verify`: who am I, and what may I do (CONTRACT §11).

use axum::{Json, extract::State};
use keygate_authority::service;
use keygate_model::Action;
use serde_json::{Map, Value, json};

use super::{Ap, Reply};
use crate::{caller::Caller, error::Problem, json::time};

/// The token, the person and the customer behind it, and the services it reaches. A token that may not read services
/// sees none of them.
pub(crate) async fn show(State(app): Ap, caller: Caller) -> Reply {
    let (id, user) = caller.token().zip(caller.user()).ok_or_else(Problem::no_caller)?;
    let customer = app.authority.customer(caller.permit.customer()).await?;
    let user = app.authority.user(customer.id, user).await?;
    let token = app.authority.token(&caller.permit, id).await?.row;
    let services = match caller.may(&app, Action::SERVICE_LIST, None) {
        Ok(permit) => names(&app.authority.services(&permit).await?),
        Err(_) => Value::Null,
    };
    let limited_to = match token.services.listed() {
        [] => json!([{ "service_id": "all_services", "permissions": [] }]),
        some => some.iter().map(|id| json!({ "service_id": id, "permissions": [] })).collect(),
    };
    Ok(Json(json!({
        "customer": { "id": customer.id, "name": customer.name },
        "user": { "id": user.id, "name": user.name, "login": user.login.as_str(), "role": user.role },
        "services": services,
        "token": {
            "id": token.id,
            "name": token.name,
            "created_at": time(token.created_at),
            "expires_at": token.expires.date().map(time),
            "scope": token.scope,
        },
        "features": [],
        "authorized_permissions": { "account_permissions": [], "service_permissions": limited_to },
    })))
}

fn names(services: &[service::Row]) -> Value {
    let names = services.iter().map(|service| (service.id.to_string(), Value::from(service.name.as_str())));
    names.collect::<Map<_, _>>().into()
}

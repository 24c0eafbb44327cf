//! `GET /verify`: who am I, and what may I do (CONTRACT §11).

use axum::{Json, extract::State};
use keygate_authority::{service, token::Row, user};
use keygate_model::{Action, ServiceId};
use serde_json::{Map, Value, json};

use super::{Ap, Reply};
use crate::{app::App, caller::Caller, error::Problem, json::time};

/// The token, whoever is behind it, the customer, and the services it reaches. A token that may not read services sees
/// none of them.
pub(crate) async fn show(State(app): Ap, caller: Caller) -> Reply {
    let id = caller.token().ok_or_else(Problem::no_caller)?;
    let customer = app.authority.customer(caller.permit.customer()).await?;
    let token = app.authority.token(&caller.permit, id).await?.row;
    let person = match token.user() {
        Some(user) => Some(app.authority.user(token.customer, user).await?),
        None => None,
    };
    let services = match caller.may(&app, Action::SERVICE_LIST, None) {
        Ok(permit) => names(&app.authority.services(&permit).await?),
        Err(_) => Value::Null,
    };
    let may = |action, service| caller.may(&app, action, service).is_ok();
    Ok(Json(json!({
        "customer": { "id": customer.id, "name": customer.name },
        "user": behind(&token, person.as_ref()),
        "services": services,
        "token": {
            "id": token.id,
            "name": token.name,
            "created_at": time(token.created_at),
            "expires_at": token.expires.date().map(time),
            "scope": token.scope,
        },
        "features": [],
        "authorized_permissions": permissions(&app, may, reached(&token, person.as_ref())),
    })))
}

/// The person behind a token; of an automation token, the token itself, which is who acts.
fn behind(token: &Row, person: Option<&user::Row>) -> Value {
    let Some(user) = person else {
        let login = format!("automation token {}", token.id);
        return json!({ "id": null, "name": token.name, "login": login, "role": token.role() });
    };
    json!({ "id": user.id, "name": user.name, "login": user.login.as_str(), "role": user.role })
}

/// The services that a token is limited to, or its person; none if neither is.
pub(super) fn reached(token: &Row, person: Option<&user::Row>) -> Option<Vec<ServiceId>> {
    let own = person.filter(|user| user.limited);
    let granted = own.map(|user| user.grants.iter().map(|grant| grant.service).collect());
    if token.services.is_limited() { Some(token.services.listed().to_vec()) } else { granted }
}

/// What the law lets a token do now, asked action by action.
pub(super) fn permissions(
    app: &App,
    may: impl Fn(Action, Option<ServiceId>) -> bool,
    reached: Option<Vec<ServiceId>>,
) -> Value {
    let policy = app.gate.policy();
    let may = |name: &&str, service| policy.action(name).is_some_and(|action| may(action, service));
    let (about_services, account): (Vec<&str>, Vec<&str>) = policy
        .names(policy.all())
        .into_iter()
        .partition(|name| name.starts_with("service:") || name.starts_with("purge:"));
    let account: Vec<_> = account.into_iter().filter(|name| may(name, None)).collect();
    let on = |service: Option<ServiceId>| {
        let named = service.map_or_else(|| "all_services".to_owned(), |id| id.to_string());
        let may: Vec<_> = about_services.iter().filter(|name| may(name, service)).collect();
        json!({ "service_id": named, "permissions": may })
    };
    let services: Vec<_> = match reached {
        None => vec![on(None)],
        Some(some) => some.into_iter().map(|id| on(Some(id))).collect(),
    };
    json!({ "account_permissions": account, "service_permissions": services })
}

fn names(services: &[service::Row]) -> Value {
    let names = services.iter().map(|service| (service.id.to_string(), Value::from(service.name.as_str())));
    names.collect::<Map<_, _>>().into()
}

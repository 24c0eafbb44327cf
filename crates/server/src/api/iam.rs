//! Roles, permissions and groups, to look at (CONTRACT §19). Roles and permissions are the policy's; there are no groups.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use keygate_model::{Action, ActionSet, Policy, policy::View};
use serde_json::{Value, json};

use super::{
    Ap, Reply,
    page::{Page, cursor_invalid},
};
use crate::{app::App, caller::Caller, error::Problem};

/// How many roles a page of `/iam/v1/roles` has if nobody says, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// The roles, by cursor.
pub(crate) async fn roles(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply {
    let wanted = Wanted::parse(&app, &caller, query.as_deref().unwrap_or_default())?;
    let policy = app.gate.policy();
    let seen = policy.seen_by(Some(caller.permit.customer()));
    let names = seen.role_names();
    let shown: Vec<_> = names
        .iter()
        .skip(wanted.start)
        .take(wanted.limit)
        .map(|name| role_json(&policy, &seen, name, true))
        .collect();
    let end = wanted.start.saturating_add(wanted.limit);
    let next = (end < names.len()).then(|| cursor(&app, &caller, end));
    Ok(Json(json!({ "limit": wanted.limit, "next_cursor": next.unwrap_or_default(), "data": shown })))
}

/// One role, with its permissions if they are asked for.
pub(crate) async fn role(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Reply {
    let query = query.unwrap_or_default();
    let with = form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "include" && value == "permissions");
    let policy = app.gate.policy();
    let seen = policy.seen_by(Some(caller.permit.customer()));
    find(&seen, &id).map(|name| Json(role_json(&policy, &seen, name, with)))
}

/// The roles in the older shape.
pub(crate) async fn old_roles(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let policy = app.gate.policy();
    let seen = policy.seen_by(Some(caller.permit.customer()));
    let names = seen.role_names();
    let data: Vec<_> = page.of(&names).iter().map(|name| old_role_json(&policy, &seen, name)).collect();
    Ok(Json(json!({ "data": data, "meta": page.meta(names.len()) })))
}

/// One of them.
pub(crate) async fn old_role(State(app): Ap, caller: Caller, Path(id): Path<String>) -> Reply {
    let policy = app.gate.policy();
    let seen = policy.seen_by(Some(caller.permit.customer()));
    find(&seen, &id).map(|name| Json(old_role_json(&policy, &seen, name)))
}

/// What a role may do.
pub(crate) async fn role_permissions(
    State(app): Ap,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Reply {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let policy = app.gate.policy();
    let seen = policy.seen_by(Some(caller.permit.customer()));
    let set = seen.role(find(&seen, &id)?);
    Ok(Json(permissions_json(&policy, set, &page)))
}

/// Everything that can be done.
pub(crate) async fn permissions(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let policy = app.gate.policy();
    Ok(Json(permissions_json(&policy, policy.seen_by(Some(caller.permit.customer())).actions(), &page)))
}

/// Groups, of which there are none.
pub(crate) async fn no_groups(RawQuery(query): RawQuery) -> Reply {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    Ok(Json(json!({ "data": [], "meta": page.meta(0) })))
}

/// A service group, which is not there.
pub(crate) async fn no_service_group(Path(id): Path<String>) -> Reply {
    Err(Problem::missing("service group", &id))
}

/// A user group, which is not there.
pub(crate) async fn no_user_group(Path(id): Path<String>) -> Reply {
    Err(Problem::missing("user group", &id))
}

/// Where a list by cursor goes on.
struct Wanted {
    limit: usize,
    start: usize,
}

impl Wanted {
    fn parse(app: &App, caller: &Caller, query: &str) -> Result<Self, Problem> {
        let mut wanted = Self { limit: LIMIT, start: 0 };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => {
                    let wrong = || Problem::bad_request("page_invalid", "limit is a number from 1 on");
                    let limit = value.parse::<usize>().ok().filter(|limit| *limit > 0);
                    wanted.limit = limit.ok_or_else(wrong)?.min(LIMIT_MAX);
                }
                "cursor" if value.is_empty() => {}
                "cursor" => {
                    let start = value.split_once('.').and_then(|(start, _)| start.parse().ok());
                    let start = start.filter(|start| cursor(app, caller, *start) == *value);
                    wanted.start = start.ok_or_else(cursor_invalid)?;
                }
                _ => {}
            }
        }
        Ok(wanted)
    }
}

/// A cursor that only this customer's list takes back (SECURITY-BAR B58).
fn cursor(app: &App, caller: &Caller, start: usize) -> String {
    let bound = format!("/iam/v1/roles {} {start}", caller.permit.customer());
    format!("{start}.{}", app.authority.cursor_tag(&bound))
}

fn find<'a>(seen: &View<'a>, id: &str) -> Result<&'a str, Problem> {
    let names = seen.role_names();
    names.into_iter().find(|name| *name == id).ok_or_else(|| Problem::missing("role", id))
}

fn role_json(policy: &Policy, seen: &View<'_>, name: &str, with_permissions: bool) -> Value {
    let mut body = json!({
        "id": name,
        "name": name,
        "display_name": name,
        "description": format!("What somebody with the role {name} may do"),
    });
    if with_permissions {
        body["permissions"] = policy.names(seen.role(name)).into();
    }
    body
}

fn old_role_json(policy: &Policy, seen: &View<'_>, name: &str) -> Value {
    json!({
        "id": name,
        "object": "role",
        "name": name,
        "description": format!("What somebody with the role {name} may do"),
        "custom": !["superuser", "engineer", "billing", "user"].contains(&name),
        "permissions_count": policy.names(seen.role(name)).len(),
    })
}

fn permissions_json(policy: &Policy, set: ActionSet, page: &Page) -> Value {
    let actions: Vec<Action> = policy.names(set).into_iter().filter_map(|name| policy.action(name)).collect();
    let data: Vec<_> = page.of(&actions).iter().map(|action| permission_json(policy, *action)).collect();
    json!({ "data": data, "meta": page.meta(actions.len()) })
}

fn permission_json(policy: &Policy, action: Action) -> Value {
    let name = policy.name(action);
    let resource = name.split(':').next().unwrap_or_default();
    json!({
        "id": name,
        "object": "permission",
        "name": name,
        "description": format!("May do {name}"),
        "resource_name": resource,
        "resource_description": resource.replace('_', " "),
        "scope": if ["service", "purge"].contains(&resource) { "service" } else { "account" },
    })
}

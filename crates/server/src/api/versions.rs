//! `/service/{service}/version` (CONTRACT §16).

use axum::{
    Json,
    extract::{Path, State},
};
use keygate_authority::service::Row;
use keygate_model::{
    ServiceId,
    version::{Environment, Version},
};
use serde_json::{Value, json};

use super::{Ap, Reply, services::domains_json};
use crate::{body::Fields, caller::Caller, error::Problem, json::time};

/// What stands in the path behind the service: a number, and an environment where one is named.
type Number = Path<(String, String)>;
type NumberAndPlace = Path<(String, String, String)>;

/// The versions of a service.
pub(crate) async fn list(State(app): Ap, caller: Caller) -> Reply {
    let service = app.authority.service(&caller.permit).await?;
    let versions = service.versions.all().iter();
    Ok(Json(versions.map(|version| version_json(service.id, version)).collect()))
}

/// Makes an empty version. Recorded with these three fields alone.
pub(crate) async fn create(State(app): Ap, caller: Caller, fields: Fields) -> Reply {
    let comment = fields.text("comment")?.unwrap_or_default();
    let version = app.authority.create_version(&caller.permit, &caller.origin, comment).await?;
    let service = caller.permit.service();
    Ok(Json(json!({ "comment": version.comment, "service_id": service, "number": version.number })))
}

/// One version.
pub(crate) async fn show(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let service = app.authority.service(&caller.permit).await?;
    Ok(Json(version_json(service.id, find(&service, &number)?)))
}

/// The domains of a version, which are the service's.
pub(crate) async fn domains(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let service = app.authority.service(&caller.permit).await?;
    Ok(Json(domains_json(&service, find(&service, &number)?)))
}

/// Whether a version could be activated: always, there is nothing in it that could be wrong.
pub(crate) async fn validate(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let service = app.authority.service(&caller.permit).await?;
    find(&service, &number)?;
    Ok(Json(json!({ "status": "ok", "msg": null })))
}

/// Changes the comment. Without one there is nothing to change.
pub(crate) async fn update(
    State(app): Ap,
    caller: Caller,
    Path((_, number)): Number,
    fields: Fields,
) -> Reply {
    let comment = fields.text("comment")?;
    let comment = comment.ok_or_else(|| Problem::bad_request("comment_missing", "Say what: comment=…"))?;
    let number = parse(&number)?;
    changed(&caller, app.authority.update_version(&caller.permit, &caller.origin, number, comment).await)
}

/// Makes a version of another.
pub(crate) async fn copy(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let number = parse(&number)?;
    changed(&caller, app.authority.clone_version(&caller.permit, &caller.origin, number).await)
}

/// Locks a version.
pub(crate) async fn lock(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let number = parse(&number)?;
    changed(&caller, app.authority.lock_version(&caller.permit, &caller.origin, number).await)
}

/// Puts a version to use in production.
pub(crate) async fn activate(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let (number, at) = (parse(&number)?, Environment::Production);
    changed(&caller, app.authority.activate_version(&caller.permit, &caller.origin, number, at).await)
}

/// Puts a version to use in an environment.
pub(crate) async fn activate_at(
    State(app): Ap,
    caller: Caller,
    Path((_, number, place)): NumberAndPlace,
) -> Reply {
    let (number, at) = (parse(&number)?, environment(&place)?);
    changed(&caller, app.authority.activate_version(&caller.permit, &caller.origin, number, at).await)
}

/// Takes a version out of production.
pub(crate) async fn deactivate(State(app): Ap, caller: Caller, Path((_, number)): Number) -> Reply {
    let (number, at) = (parse(&number)?, Environment::Production);
    changed(&caller, app.authority.deactivate_version(&caller.permit, &caller.origin, number, at).await)
}

/// Takes a version out of use in an environment.
pub(crate) async fn deactivate_at(
    State(app): Ap,
    caller: Caller,
    Path((_, number, place)): NumberAndPlace,
) -> Reply {
    let (number, at) = (parse(&number)?, environment(&place)?);
    changed(&caller, app.authority.deactivate_version(&caller.permit, &caller.origin, number, at).await)
}

/// A version as every answer but that of its creation shows it.
pub(crate) fn version_json(service: ServiceId, version: &Version) -> Value {
    json!({
        "number": version.number,
        "service_id": service,
        "comment": version.comment,
        "active": version.active,
        "locked": version.locked,
        "testing": false,
        "staging": version.staging,
        "deployed": false,
        "environments": environments(service, version),
        "created_at": time(version.created_at),
        "updated_at": time(version.updated_at),
        "deleted_at": null,
    })
}

/// Where a version is in use beside production, in the documented shape.
pub(super) fn environments(service: ServiceId, version: &Version) -> Vec<Value> {
    let staged = || json!({ "name": STAGING, "service_id": service, "active_version": version.number });
    if version.staging { vec![staged()] } else { vec![] }
}

/// The version with this number, as a path or a query says it.
pub(super) fn find<'s>(service: &'s Row, number: &str) -> Result<&'s Version, Problem> {
    service.versions.get(parse(number)?).ok_or_else(|| missing(number))
}

/// The one environment beside production, as paths and answers name it.
const STAGING: &str = "staging";

fn changed(caller: &Caller, version: Result<Version, keygate_authority::Fault>) -> Reply {
    let service = caller.permit.service().ok_or_else(Problem::no_caller)?;
    Ok(Json(version_json(service, &version?)))
}

fn parse(number: &str) -> Result<u32, Problem> {
    let plain = |parsed: &u32| parsed.to_string() == number;
    number.parse().ok().filter(plain).ok_or_else(|| missing(number))
}

fn missing(number: &str) -> Problem {
    Problem::missing("version", number)
}

fn environment(name: &str) -> Result<Environment, Problem> {
    let odd =
        || Problem::bad_request("environment_invalid", "The environment is staging, or none for production");
    if name == STAGING { Ok(Environment::Staging) } else { Err(odd()) }
}

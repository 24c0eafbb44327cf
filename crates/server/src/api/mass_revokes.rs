//! `POST /tokens/mass-revoke`: any number of tokens in one change.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use keygate_authority::mass_revoke::LONGEST;
use keygate_model::{
    Timestamp,
    id::Id,
    mass_revoke::{BadTargets, Criteria, Sort, Targets, Whose},
};
use serde_json::json;

use super::{
    Ap, Reply,
    receipts::{Revoked, Wait},
};
use crate::{body::Fields, caller::Caller, error::Problem, json::read_time};

const FIELDS: [&str; 11] = [
    "owner",
    "service",
    "issuer",
    "parent",
    "created_from",
    "created_before",
    "kind",
    "name_prefix",
    "all",
    "keep_caller",
    "dry_run",
];

/// Revokes every token of the account that fits.
pub(crate) async fn create(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    fields: Fields,
) -> Reply<Response> {
    fields.only(&FIELDS)?;
    let wait = Wait::of(&headers)?;
    let all = fields.flag("all")?.unwrap_or_default();
    let targets = Targets::new(Whose::Customer(caller.permit.customer()), criteria(&fields)?, all)
        .map_err(|why| Problem::bad_request(code(why), why.to_string()))?;
    let targets = match (fields.flag("keep_caller")?, caller.token()) {
        (Some(true), Some(token)) => targets.sparing(token),
        _ => targets,
    };
    let (permit, origin, id) = (&caller.permit, &caller.origin, app.rng.bytes()?);
    caller.waits_for(LONGEST);
    if fields.flag("dry_run")? == Some(true) {
        let tokens = app.authority.count_mass_revoke(permit, origin, id, targets).await?;
        let would = json!({ "dry_run": true, "tokens_revoked": tokens });
        return Ok((StatusCode::OK, axum::Json(would)).into_response());
    }
    let done = app.authority.mass_revoke(permit, origin, id, targets).await?;
    Ok(wait.answer(&app, &caller, Revoked::Mass(done)).await)
}

fn criteria(fields: &Fields) -> Result<Criteria, Problem> {
    let sort = fields.text("kind")?.map(|word| {
        Sort::of(word).ok_or_else(|| {
            Problem::bad_request("field_invalid", "The field 'kind' is user, automation or imported")
        })
    });
    Ok(Criteria {
        owner: id(fields, "owner")?,
        service: id(fields, "service")?,
        issuer: id(fields, "issuer")?,
        parent: id(fields, "parent")?,
        created_from: moment(fields, "created_from")?,
        created_before: moment(fields, "created_before")?,
        sort: sort.transpose()?,
        name_prefix: fields.text("name_prefix")?.map(str::to_owned),
    })
}

fn id<N>(fields: &Fields, name: &str) -> Result<Option<Id<N>>, Problem> {
    let invalid = |_| Problem::bad_request("field_invalid", format!("The field '{name}' is an id"));
    fields.text(name)?.map(|text| text.parse().map_err(invalid)).transpose()
}

fn moment(fields: &Fields, name: &str) -> Result<Option<Timestamp>, Problem> {
    let invalid = || {
        let why = format!("The field '{name}' is an ISO 8601 time with an offset, like 2030-07-28T19:24:50Z");
        Problem::bad_request("date_invalid", why)
    };
    fields.text(name)?.map(|text| read_time(text).ok_or_else(invalid)).transpose()
}

fn code(why: BadTargets) -> &'static str {
    match why {
        BadTargets::NothingNamed | BadTargets::Both => "targets_invalid",
        BadTargets::Name => "name_invalid",
        BadTargets::Times => "date_invalid",
    }
}

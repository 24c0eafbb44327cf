//! `/service` (CONTRACT §16).

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use keygate_authority::service::{Changes, NewService, Row};
use keygate_model::version::Version;
use serde_json::{Value, json};

use super::{
    Ap, Reply,
    versions::{self, environments, version_json},
};
use crate::{app::App, body::Fields, caller::Caller, error::Problem, json::time};

const PER_PAGE_DEFAULT: usize = 20;
const PER_PAGE_MAX: usize = 1000;

/// The services that the token reaches, a page at a time; the pages are in `Link`.
pub(crate) async fn list(
    State(app): Ap,
    caller: Caller,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Reply<Response> {
    let page = Page::parse(query.as_deref().unwrap_or_default())?;
    let mut services = app.authority.services(&caller.permit).await?;
    match page.sort.as_str() {
        "name" => services.sort_by(|one, other| one.name.cmp(&other.name)),
        "updated" => services.sort_by_key(|service| service.updated_at),
        _ => {}
    }
    if page.descending {
        services.reverse();
    }
    let pages = services.len().div_ceil(page.size).max(1);
    let shown = services.iter().skip((page.number - 1).saturating_mul(page.size)).take(page.size);
    let shown: Vec<_> = shown.map(listed_json).collect();
    let mut response = Json(shown).into_response();
    let links = page.links(&base_url(&app, &headers), pages);
    if let Some(links) = HeaderValue::from_str(&links).ok().filter(|links| !links.is_empty()) {
        response.headers_mut().insert(header::LINK, links);
    }
    Ok(response)
}

/// Makes a service.
pub(crate) async fn create(State(app): Ap, caller: Caller, fields: Fields) -> Reply {
    let new = NewService {
        name: fields.text("name")?.unwrap_or_default().to_owned(),
        kind: fields.text("type")?.map(str::to_owned),
        comment: fields.text("comment")?.unwrap_or_default().to_owned(),
        ..NewService::default()
    };
    let service =
        app.authority.create_service(&caller.permit, &caller.origin, app.service_id()?, new).await?;
    Ok(Json(service_json(&service)))
}

/// The service of this name.
pub(crate) async fn search(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply {
    let query = query.unwrap_or_default();
    let name =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "name").map(|(_, value)| value);
    let name = name.ok_or_else(|| Problem::bad_request("name_missing", "Say which: ?name=…"))?;
    let services = app.authority.services(&caller.permit).await?;
    let service = services.iter().find(|service| service.name == name);
    let service = service.ok_or_else(|| Problem::missing("service", &name))?;
    let mut found = service_json(service);
    if let Value::Object(found) = &mut found {
        found.retain(|name, _| !["paused", "publish_key"].contains(&name.as_str()));
    }
    Ok(Json(found))
}

/// One service.
pub(crate) async fn show(State(app): Ap, caller: Caller) -> Reply {
    Ok(Json(service_json(&app.authority.service(&caller.permit).await?)))
}

/// Changes name or comment. Domains and cache nodes are the operator's to name: a purge goes wherever a node says, and a
/// domain belongs to whoever was given it.
pub(crate) async fn update(State(app): Ap, caller: Caller, fields: Fields) -> Reply {
    // The rest is what clients echo.
    fields.only(&["name", "comment", "id", "customer_id", "type", "ServiceID"])?;
    let changes = Changes {
        name: fields.text("name")?.map(str::to_owned),
        comment: fields.text("comment")?.map(str::to_owned),
        ..Changes::default()
    };
    Ok(Json(service_json(&app.authority.update_service(&caller.permit, &caller.origin, changes).await?)))
}

/// Deletes a service.
pub(crate) async fn delete(State(app): Ap, caller: Caller) -> Reply {
    app.authority.delete_service(&caller.permit, &caller.origin).await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// What a service's version has in it for Fastly. Keygate keeps no VCL configuration, so the lists are empty.
const NO_CONFIGURATION: [&str; 14] = [
    "acls",
    "backends",
    "cache_settings",
    "conditions",
    "dictionaries",
    "directors",
    "gzips",
    "headers",
    "healthchecks",
    "request_settings",
    "response_objects",
    "snippets",
    "vcls",
    "wordpress",
];

/// One service with everything about the version that is asked for, and about the active one.
pub(crate) async fn details(State(app): Ap, caller: Caller, RawQuery(query): RawQuery) -> Reply {
    let service = app.authority.service(&caller.permit).await?;
    let version = asked_for(&service, query.as_deref().unwrap_or_default())?;
    let mut details = service_json(&service);
    if let Value::Object(details) = &mut details {
        details.retain(|name, _| !["paused", "publish_key"].contains(&name.as_str()));
    }
    details["version"] = detailed_json(&service, version);
    details["active_version"] =
        service.versions.active().map_or(Value::Null, |active| detailed_json(&service, active));
    Ok(Json(details))
}

/// The domains of a service.
pub(crate) async fn domains(State(app): Ap, caller: Caller) -> Reply {
    let service = app.authority.service(&caller.permit).await?;
    Ok(Json(domains_json(&service, service.versions.current())))
}

/// Where clients reach this server, for links.
pub(crate) fn base_url(app: &App, headers: &HeaderMap) -> String {
    let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    app.public_url.clone().unwrap_or_else(|| format!("http://{}", host()))
}

fn service_json(service: &Row) -> Value {
    let versions = service.versions.all();
    json!({
        "id": service.id,
        "customer_id": service.customer,
        "name": service.name,
        "type": service.kind,
        "comment": service.comment,
        "paused": false,
        "publish_key": "",
        "versions": versions.iter().map(|version| version_json(service.id, version)).collect::<Vec<_>>(),
        "environments": versions.iter().flat_map(|version| environments(service.id, version)).collect::<Vec<_>>(),
        "created_at": time(service.created_at),
        "updated_at": time(service.updated_at),
        "deleted_at": service.deleted_at.map(time),
    })
}

/// The version that a query asks for: `version=2`, or by a filter, which Fastly's CLI looks the staged one up with. One
/// that finds none is recorded to answer like none at all: with the active version, or the latest.
fn asked_for<'s>(service: &'s Row, query: &str) -> Result<&'s Version, Problem> {
    let mut found = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("version", number) => return versions::find(service, number),
            ("filter[versions.staged]", "true") => {
                found = service.versions.all().iter().find(|version| version.staging);
            }
            _ => {}
        }
    }
    Ok(found.unwrap_or_else(|| service.versions.current()))
}

fn detailed_json(service: &Row, version: &Version) -> Value {
    let mut detailed = version_json(service.id, version);
    for list in NO_CONFIGURATION {
        detailed[list] = json!([]);
    }
    detailed["domains"] = domains_json(service, version);
    detailed["settings"] = json!({
        "general.default_ttl": 3600,
        "general.stale_if_error_ttl": 43200,
        "general.stale_if_error": false,
        "general.default_pci": 0,
        "general.default_host": "",
    });
    detailed
}

fn listed_json(service: &Row) -> Value {
    let mut listed = service_json(service);
    listed["version"] = json!(service.versions.current().number);
    if let Value::Object(listed) = &mut listed {
        listed.remove("publish_key");
    }
    listed
}

/// The domains of a service. They are the service's, so every version shows the same.
pub(super) fn domains_json(service: &Row, version: &Version) -> Value {
    let domain = |name: &String| {
        json!({
            "name": name,
            "comment": "",
            "service_id": service.id,
            "version": version.number,
            "created_at": time(service.created_at),
            "updated_at": time(service.updated_at),
            "deleted_at": null,
        })
    };
    service.domains.iter().map(domain).collect()
}

/// Which page of a list is wanted.
struct Page {
    number: usize,
    size: usize,
    sort: String,
    descending: bool,
}

impl Page {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut page =
            Self { number: 1, size: PER_PAGE_DEFAULT, sort: "created".to_owned(), descending: false };
        let odd =
            |name: &str, wants: &str| Problem::bad_request("page_invalid", format!("{name} is {wants}"));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || value.parse::<usize>().ok().filter(|number| *number > 0);
            match (&*name, &*value) {
                ("page", _) => page.number = number().ok_or_else(|| odd("page", "a number from 1 on"))?,
                ("per_page", _) => {
                    page.size =
                        number().ok_or_else(|| odd("per_page", "a number from 1 on"))?.min(PER_PAGE_MAX);
                }
                ("direction", "ascend") => page.descending = false,
                ("direction", "descend") => page.descending = true,
                ("direction", _) => return Err(odd("direction", "ascend or descend")),
                ("sort", "created" | "name" | "updated") => page.sort = value.into_owned(),
                ("sort", _) => return Err(odd("sort", "created, name or updated")),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The `Link` header, in the recorded order.
    fn links(&self, base: &str, pages: usize) -> String {
        let direction = if self.descending { "descend" } else { "ascend" };
        let link = |number: usize, rel: &str| {
            let (size, sort) = (self.size, &self.sort);
            format!(
                "<{base}/service?direction={direction}&page={number}&per_page={size}&sort={sort}>; rel=\"{rel}\""
            )
        };
        let mut links = Vec::new();
        if self.number < pages {
            links.extend([link(pages, "last"), link(self.number + 1, "next")]);
        }
        if self.number > 1 {
            links.extend([link(self.number - 1, "prev"), link(1, "first")]);
        }
        links.join(", ")
    }
}

//! The areas of the API that the scripts go through. An area is on as soon as the policy names its route: its scripts
//! must then succeed in full. Until then every call of theirs must be answered that there is no such endpoint.

use std::{collections::BTreeSet, fs};

use keygate_model::policy::OWN_POLICY;
use toml::Table;

use crate::client::{CLIENTS, Client};

/// An area, named as its scripts are, and the route that switches it on; `{}` is any parameter.
const AREAS: [(&str, &str); 18] = [
    ("tokens", "POST /tokens"),
    ("events", "GET /events"),
    ("services", "POST /service"),
    ("purge", "POST /service/{}/purge"),
    ("current", "GET /current_user"),
    ("automation_tokens", "POST /automation-tokens"),
    ("automation_token_parts", "DELETE /automation-tokens/{}"),
    ("users", "POST /user"),
    ("password", "POST /current_user/password"),
    ("customer", "PUT /customer/{}"),
    ("contacts", "POST /customer/{}/contacts"),
    ("invitations", "POST /invitations"),
    ("service_authorizations", "POST /service-authorizations"),
    ("iam_roles", "GET /iam/v1/roles"),
    ("roles", "GET /roles"),
    ("permissions", "GET /permissions"),
    ("service_groups", "GET /service-groups"),
    ("user_groups", "GET /user-groups"),
];

/// Areas that a client has no call for: this JavaScript client has the older roles, the others have the newer.
const NOT_IN: [(Client, &str); 3] =
    [(Client::Js, "iam_roles"), (Client::Python, "roles"), (Client::Rust, "roles")];

/// Whether the policy names the route of this area.
pub(crate) fn is_on(area: &str) -> bool {
    let (_, route) = AREAS.iter().find(|(name, _)| *name == area).expect("AREAS has a row for it");
    let policy: Table = OWN_POLICY.parse().expect("TOML");
    let routes = policy["routes"].as_table().expect("a table");
    routes.keys().any(|named| nameless(named) == *route)
}

/// Parameters without their names.
fn nameless(route: &str) -> String {
    let parts = route.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_area_has_a_script_of_each_client_and_every_script_an_area() {
    for client in CLIENTS {
        let areas = AREAS.iter().map(|(area, _)| (*area).to_owned());
        let expected: BTreeSet<_> = areas.filter(|area| !NOT_IN.contains(&(client, area))).collect();
        assert_eq!(scripts(client), expected, "{client:?}");
    }
}

#[test]
fn every_area_is_on() {
    for (area, route) in AREAS {
        assert!(is_on(area), "{area}: the policy has no {route}");
    }
}

#[test]
fn parameters_of_routes_have_no_names_here() {
    assert_eq!(nameless("POST /service/{service}/purge"), "POST /service/{}/purge");
    assert!(is_on("purge") && is_on("tokens"));
}

fn scripts(client: Client) -> BTreeSet<String> {
    let folder = client.folder();
    if client == Client::Rust {
        let main = fs::read_to_string(folder.join("src/main.rs")).expect("its main.rs");
        let arms = main.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" => "));
        return arms.map(|(area, _)| area.to_owned()).collect();
    }
    let files = fs::read_dir(folder).expect("its scripts").map(|entry| entry.expect("an entry").path());
    let named = files.filter(|path| path.extension().is_some_and(|ending| ending == "py" || ending == "js"));
    let names = named.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned());
    names.filter(|name| name != "steps").collect()
}

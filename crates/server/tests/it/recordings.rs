//! Every recording of the real API, asked again here: the same request must have an answer of the same shape.

use std::collections::BTreeMap;

use keygate_model::{Method, Path, Policy, policy::OWN_POLICY};
use serde_json::Value;

use self::{
    cassette::{Cassette, Interaction},
    scene::Stage,
    shape::{Shape, message, skeleton},
};
use crate::house::Reply;

mod cassette;
mod scene;
mod shape;

/// Who asks again, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Ada, with a token that is limited to nothing, of a service that lives.
    Usual,
    /// With a token that is limited to a service.
    Limited,
    /// Of something that was deleted.
    Deleted,
    /// Of the token of a machine, where a token's id stands.
    Machine,
    /// Of 258 services.
    Fleet,
    /// With a token whose time is over.
    Expired,
    /// With a token that is nobody's, of this route. The recorded one is not served here yet; the answer does not
    /// depend on it, it was given before anybody looked.
    Elsewhere(&'static str),
}

use Scene::{Deleted, Elsewhere, Expired, Fleet, Limited, Machine, Usual};

const AGAIN: [(&str, Scene); 69] = [
    ("errors/2d03f387__fastly__fixtures__service_authorizations__delete.yaml", Deleted),
    ("errors/39baf34a__fastly__fixtures__service_authorizations__cleanup.yaml", Deleted),
    ("errors/506c4511__fastly__fixtures__users__cleanup.yaml", Deleted),
    ("errors/623bdd50__fastly__fixtures__services__details_with_filters__cleanup.yaml", Deleted),
    ("errors/63d93e20__fastly__fixtures__users__cleanup.yaml", Deleted),
    (
        "errors/6cf7faff__fastly__fixtures__azureblobs__version.yaml",
        Elsewhere("POST /service/{service}/version"),
    ),
    ("errors/9f07f752__fastly__fixtures__wasm_package__service_create.yaml", Expired),
    ("errors/bd4187d1__fastly__fixtures__pool__cleanup.yaml", Elsewhere("DELETE /service/{service}")),
    ("errors/f164336f__fastly__fixtures__wasm_package__service_create.yaml", Usual),
    ("go-fastly-2019/tokens_create.yaml", Usual),
    ("go-fastly-2019/tokens_delete.yaml", Usual),
    ("go-fastly-2019/tokens_delete_self.yaml", Usual),
    ("go-fastly-2019/tokens_get_self.yaml", Usual),
    ("go-fastly-2019/tokens_list.yaml", Usual),
    ("go-fastly-2019/tokens_list_customer.yaml", Usual),
    ("go-fastly/automation_tokens/create.yaml", Usual),
    ("go-fastly/automation_tokens/delete.yaml", Machine),
    ("go-fastly/automation_tokens/get.yaml", Machine),
    ("go-fastly/automation_tokens/list.yaml", Machine),
    ("go-fastly/events/get_event.yaml", Usual),
    ("go-fastly/events/get_events.yaml", Usual),
    ("go-fastly/purges/compute/purge_all.yaml", Usual),
    ("go-fastly/purges/compute/purge_by_key.yaml", Usual),
    ("go-fastly/purges/compute/purge_by_keys.yaml", Usual),
    ("go-fastly/purges/purge_all.yaml", Usual),
    ("go-fastly/purges/purge_by_key.yaml", Usual),
    ("go-fastly/purges/purge_by_keys.yaml", Usual),
    ("go-fastly/service_authorizations/cleanup.yaml", Deleted),
    ("go-fastly/service_authorizations/create.yaml", Usual),
    ("go-fastly/service_authorizations/delete.yaml", Usual),
    ("go-fastly/service_authorizations/get.yaml", Usual),
    ("go-fastly/service_authorizations/list.yaml", Usual),
    ("go-fastly/service_authorizations/update.yaml", Usual),
    ("go-fastly/services/cleanup.yaml", Usual),
    ("go-fastly/services/create.yaml", Usual),
    ("go-fastly/services/delete.yaml", Usual),
    ("go-fastly/services/details.yaml", Usual),
    ("go-fastly/services/details_with_filters/active.yaml", Usual),
    ("go-fastly/services/details_with_filters/cleanup.yaml", Deleted),
    ("go-fastly/services/details_with_filters/create.yaml", Usual),
    ("go-fastly/services/details_with_filters/delete.yaml", Usual),
    ("go-fastly/services/details_with_filters/multiple.yaml", Usual),
    ("go-fastly/services/details_with_filters/version.yaml", Usual),
    ("go-fastly/services/domain.yaml", Usual),
    ("go-fastly/services/get.yaml", Usual),
    ("go-fastly/services/list.yaml", Fleet),
    ("go-fastly/services/search.yaml", Usual),
    ("go-fastly/services/update.yaml", Usual),
    ("go-fastly/tokens/create.yaml", Usual),
    ("go-fastly/tokens/create_and_bulk_delete.yaml", Usual),
    ("go-fastly/tokens/delete.yaml", Usual),
    ("go-fastly/tokens/delete_self.yaml", Usual),
    ("go-fastly/tokens/get_self.yaml", Limited),
    ("go-fastly/tokens/list.yaml", Limited),
    ("go-fastly/tokens/list_customer.yaml", Usual),
    ("go-fastly/users/cleanup.yaml", Usual),
    ("go-fastly/users/create.yaml", Usual),
    ("go-fastly/users/delete.yaml", Usual),
    ("go-fastly/users/get.yaml", Usual),
    ("go-fastly/users/get_current_user.yaml", Usual),
    ("go-fastly/users/list.yaml", Usual),
    ("go-fastly/users/reset_password.yaml", Usual),
    ("go-fastly/users/update.yaml", Usual),
    ("go-fastly/versions/clone.yaml", Usual),
    ("go-fastly/versions/create.yaml", Usual),
    ("go-fastly/versions/get.yaml", Usual),
    ("go-fastly/versions/list.yaml", Usual),
    ("go-fastly/versions/lock.yaml", Usual),
    ("go-fastly/versions/update.yaml", Usual),
];

/// What is not asked again: the start of a file's name, and why not. A row whose route exists fails the test, so that it
/// moves up.
const LATER: [(&str, &str); 2] = [
    ("errors/35259708", "products are not for an authorisation server"),
    ("errors/3d87c3fb", "products are not for an authorisation server"),
];

/// Keys that we have and a recording lacks: where, which, and why that is right.
const MORE: [(&str, &str, &str); 19] = [
    ("/service", "environments", "recorded since 2026, of the same endpoints"),
    ("POST /tokens", "customer_id", "recorded since 2021"),
    ("user", "email_hash", "recorded since 2026, of the same endpoints"),
    ("user", "roles", "recorded since 2026"),
    ("user", "two_factor_setup_required", "recorded since 2026"),
    ("user", "limit_workspaces", "recorded since 2026"),
    ("user", "bypass_sso", "recorded since 2026"),
    ("user", "ignores_two_factor_requirement", "recorded since 2026"),
    ("/automation-tokens/", "creator_id", "recorded in the list of the same tokens"),
    ("/automation-tokens/", "customer_id", "recorded in the list"),
    ("/automation-tokens/", "tls_access", "recorded in the list"),
    ("/automation-tokens/", "created_by_token", "whether a machine made it, and which"),
    ("error", "code", "the stable word for what went wrong; clients print msg and detail"),
    ("error", "detail", "what to do about it; clients print it behind msg"),
    ("/events", "token_id", "documented; the recorded event was not made by a token that shows"),
    ("/events", "actor", "who it was, in a word"),
    ("/events", "actor_name", "and what they were called then"),
    ("/events", "request_id", "the one in the answer's header and in the log"),
    ("/events", "position", "where it stands in the chain"),
];

fn scene_of(name: &str) -> Option<Scene> {
    AGAIN.iter().find(|(known, _)| *known == name).map(|(_, scene)| *scene)
}

fn is_later(name: &str) -> bool {
    LATER.iter().any(|(start, _)| name.starts_with(start))
}

#[test]
fn no_recording_escapes() {
    let recordings = cassette::load_all();
    let policy = Policy::compile(OWN_POLICY).expect("the own policy compiles");
    for (name, _) in AGAIN.iter() {
        assert!(recordings.contains_key(*name), "{name} is to be asked again and is no recording");
    }
    for (start, _) in &LATER {
        assert!(
            recordings.keys().any(|name| name.starts_with(start)),
            "{start} is put off and is no recording"
        );
    }
    for (name, cassette) in &recordings {
        let again = scene_of(name);
        for Interaction { request, .. } in &cassette.interactions {
            let endpoint = request.endpoint();
            let later = is_later(name);
            assert!(again.is_some() != later, "{name}: {endpoint} is either asked again or put off");
            let method = Method::parse(&request.method).expect("a method");
            let path = request.template().0.replace(['{', '}'], "");
            let served = policy.route(method, &Path::new(&path)).is_ok();
            assert!(!(later && served), "{name}: {endpoint} is served now; ask it again");
        }
    }
}

#[tokio::test]
async fn every_recorded_request_has_an_answer_of_the_recorded_shape() {
    let recordings = cassette::load_all();
    let mut endpoints: BTreeMap<String, Shape> = BTreeMap::new();
    for Interaction { request, response } in recordings.values().flat_map(|cassette| &cassette.interactions) {
        if response.code < 400 {
            endpoints.entry(request.endpoint()).or_default().merge(Shape::of(&response.json()));
        }
    }
    let mut wrong = Vec::new();
    for (name, cassette) in &recordings {
        if let Some(scene) = scene_of(name) {
            wrong.extend(ask_again(name, cassette, scene, &endpoints).await);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn ask_again(
    name: &str,
    cassette: &Cassette,
    scene: Scene,
    endpoints: &BTreeMap<String, Shape>,
) -> Vec<String> {
    let mut stage = Stage::new(scene).await;
    let mut wrong = Vec::new();
    for interaction in &cassette.interactions {
        let endpoint = interaction.request.endpoint();
        let reply = stage.ask(&interaction.request).await;
        let mut odd = headers(interaction, &reply, &stage.base());
        odd.extend(body(interaction, &reply, endpoints));
        wrong.extend(odd.iter().map(|odd| format!("{name}: {endpoint}: {odd}")));
        if !odd.is_empty() {
            wrong.push(format!("    {}", reply.body.chars().take(300).collect::<String>()));
        }
    }
    stage.check(name).await;
    wrong
}

/// What is wrong with status and headers.
fn headers(Interaction { response, .. }: &Interaction, reply: &Reply, base: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |name: &str, recorded: Option<String>, ours: Option<String>| {
        if recorded != ours {
            wrong.push(format!("{name} is {ours:?}; recorded is {recorded:?}"));
        }
    };
    same("the status", Some(response.code.to_string()), Some(reply.status.to_string()));
    let theirs = |name: &str| response.header(name).map(str::to_owned);
    let ours = |name: &str| reply.header(&name.to_lowercase()).map(str::to_owned);
    same("Content-Type", theirs("Content-Type"), ours("Content-Type"));
    same("Link", theirs("Link").map(|link| link.replace("https://api.fastly.com", base)), ours("Link"));
    let recorded =
        ["Status", "Pragma", "Strict-Transport-Security", "Fastly-Surrogate-Key-Count", "Retry-After"];
    for name in recorded.into_iter().filter(|name| response.header(name).is_some()) {
        same(name, theirs(name), ours(name));
    }
    // Both or none, as plain integers. How much is left differs, and when the hour ends.
    let integer =
        |text: String| text.parse::<u64>().map_or_else(|_| format!("{text:?}"), |_| "an integer".to_owned());
    for name in ["Fastly-Ratelimit-Remaining", "Fastly-Ratelimit-Reset"] {
        same(name, theirs(name).map(integer), ours(name).map(integer));
    }
    // `no-cache` until 2021, `no-store` since.
    if let Some(cache) = theirs("Cache-Control").filter(|cache| cache != "no-cache") {
        same("Cache-Control", Some(cache), ours("Cache-Control"));
    }
    same(
        "an ETag",
        theirs("Etag").map(|tag| tag[..3].to_owned()),
        ours("Etag").map(|tag| tag[..3].to_owned()),
    );
    wrong
}

/// What is wrong with the body.
fn body(interaction: &Interaction, reply: &Reply, endpoints: &BTreeMap<String, Shape>) -> Vec<String> {
    let Interaction { request, response } = interaction;
    let (theirs, ours) = (response.json(), reply.json());
    let endpoint = request.endpoint();
    let is_error = response.code >= 400;
    let is_known = |key: &str| {
        let here = |place: &str| if is_error { place == "error" } else { endpoint.contains(place) };
        MORE.iter().any(|(place, known, _)| *known == key && here(place))
    };
    let anywhere = |key: &str| endpoints.values().flat_map(|shape| shape.kinds_under(key)).collect();
    let recorded = Shape::of(&theirs);
    let seen = endpoints.get(&endpoint).cloned().unwrap_or_default();
    let mut wrong = recorded.compare(&Shape::of(&ours), &seen, anywhere, is_known);
    let said = |body: &Value, key: &str| message(&body[key]);
    for key in ["msg", "detail"].into_iter().filter(|key| is_error && theirs.get(key).is_some()) {
        if said(&theirs, key) != said(&ours, key) {
            wrong.push(format!("{key} is {:?}; recorded is {:?}", ours[key], theirs[key]));
        }
    }
    let links = |body: &Value| {
        body["links"].as_object().map(|links| links.iter().map(link_skeleton).collect::<Vec<_>>())
    };
    if links(&theirs) != links(&ours) {
        wrong.push(format!("links are {}; recorded are {}", ours["links"], theirs["links"]));
    }
    if response.body.ends_with('\n') != reply.body.ends_with('\n') {
        wrong.push(format!(
            "it ends in {:?}; recorded is {:?}",
            reply.body.chars().last(),
            response.body.chars().last()
        ));
    }
    // Written by hand, in another place than the rest: its blanks are recorded.
    if endpoint.contains("/purge") && skeleton(&response.body) != skeleton(&reply.body) {
        wrong.push(format!("written {:?}; recorded is {:?}", reply.body, response.body));
    }
    wrong
}

fn link_skeleton((name, link): (&String, &Value)) -> String {
    let link = link.as_str().unwrap_or_default();
    let path = link.splitn(4, '/').nth(3).unwrap_or_default();
    format!("{name}: {}", skeleton(path))
}

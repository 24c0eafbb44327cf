//! A policy for some customers is nobody else's to know of (SECURITY-BAR T-28, B62): not its routes, and not the names of
//! its scopes, roles and actions. And strangers are told of no route at all.

use keygate_model::{
    CustomerId,
    customer::CustomerState,
    token::{Brand, Kind, Secret},
};
use keygate_server::app::App;
use serde_json::json;

use super::{apply, authority};
use crate::house::{House, PASSWORD, Person, Token};

const HOST: &str = "zebra.example";

/// Whose every name has a zebra in it, so that one that gets out is seen.
fn zebra(customers: &str) -> String {
    format!(
        r#"
name = "zebra"
hosts = ["{HOST}"]
customers = {customers}

[actions]
"zebra:read" = {{ read = true }}
"zebra:write" = {{}}

[scopes]
"zebra-readers" = ["@read"]

[roles]
"zebra-keeper" = ["*"]
"engineer" = ["*"]

[routes]
"GET /orders/{{order}}" = {{ action = "zebra:read" }}
"GET /orders/admin" = {{ action = "zebra:write" }}
"GET /new" = {{ unclassified = true }}
"GET /files/{{name}}" = {{ action = "zebra:read", allow = ["%2f"] }}
"#
    )
}

/// Paths of every kind: a route, a twin of one, what nobody has classified, and nothing.
const PATHS: [&str; 5] = ["/orders/1", "/orders/ADMIN", "/orders/admin", "/new", "/nowhere"];

struct Two {
    house: House,
    /// A superuser in another customer.
    eve: Person,
    eves: CustomerId,
    token: Token,
}

impl Two {
    async fn new() -> Self {
        let house = House::new().await;
        let app: &App = &house.node.app;
        let id = app.customer_id().expect("chance");
        let eves = authority(&house).create_customer(&app.local_origin(), id, "Eve's").await.expect("one").id;
        let eve = house.node.person(eves, "eve@example.com", "superuser", PASSWORD).await;
        apply(&house, &zebra(&format!("[\"{}\"]", house.customer))).await.expect("a policy");
        let token = house.token(&eve, &[]).await;
        Self { house, eve, eves, token }
    }

    /// What is told of each of the paths with this secret; all the same, or it is a fault.
    async fn told(&self, secret: &str) -> (u16, String) {
        let mut told = Vec::new();
        for path in PATHS {
            told.push(at(&self.house, secret, path).await);
        }
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
        told.remove(0)
    }
}

async fn at(house: &House, secret: &str, path: &str) -> (u16, String) {
    at_host(house, secret, HOST, path).await
}

async fn at_host(house: &House, secret: &str, host: &str, path: &str) -> (u16, String) {
    let anon = house.anon();
    let caller = if secret.is_empty() { anon.clone() } else { anon.showing(secret) };
    let ask = caller.ask("GET", "/authz/traefik").header("X-Forwarded-Method", "GET");
    let ask = ask.header("X-Forwarded-Host", host).header("X-Forwarded-Uri", path);
    let reply = ask.header("X-Forwarded-For", "192.0.2.1").send().await;
    let code = reply.header("x-authz-reason").unwrap_or("allow").to_owned();
    let mut body = reply.body.clone();
    if let Some(id) = reply.header("x-authz-id") {
        body = body.replace(id, "");
    }
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    (reply.status, format!("{code} {body} {challenge}"))
}

#[tokio::test]
async fn every_path_looks_alike_to_who_could_be_let_in_at_none() {
    let two = Two::new().await;
    let house = &two.house;
    // Whoever it is for sees which routes there are.
    let bob = house.token(&house.bob, &[]).await;
    for (path, code) in [
        ("/orders/1", "allow"),
        ("/new", "unclassified"),
        ("/orders/ADMIN", "ambiguous_path"),
        ("/x", "no_rule"),
    ] {
        assert!(at(house, &bob.secret, path).await.1.starts_with(code), "{path}");
    }
    assert!(two.told("").await.1.starts_with("credential_missing"));
    // Nor is it seen which hosts there are.
    for path in ["/nowhere", "//x", "/a/../b"] {
        assert_eq!(
            at_host(house, "", HOST, path).await,
            at_host(house, "", "nobody.example", path).await,
            "{path}"
        );
    }
    assert!(two.told(&two.token.secret).await.1.starts_with("no_rule"));
    let forged = |kind| Secret::mint(&Brand::default(), kind, &[9; 32]).reveal().to_string();
    assert!(two.told(&forged(Kind::User)).await.1.starts_with("token_unknown"));
    assert!(two.told(&forged(Kind::Session)).await.1.starts_with("token_type_not_allowed"));
    let (origin, operator) =
        (house.node.app.local_origin(), keygate_model::Permit::of_the_operator(two.eves));
    let suspend = authority(house).set_customer_state(&operator, &origin, CustomerState::Suspended);
    suspend.await.expect("suspended");
    assert!(two.told(&two.token.secret).await.1.starts_with("tenant_suspended"));
    let short = house.token(&house.bob, &[("expires_at", "2027-01-15T09:00:00Z")]).await;
    house.advance(std::time::Duration::from_secs(7200));
    assert!(two.told(&short.secret).await.1.starts_with("token_expired"));
}

#[tokio::test]
async fn names_of_a_policy_for_others_are_in_no_answer() {
    let two = Two::new().await;
    let house = &two.house;
    house.sudo(&two.token).await;
    let eve = house.with(&two.token);
    let mut answers = Vec::new();
    for path in [
        "/iam/v1/roles",
        "/iam/v1/roles/zebra-keeper",
        "/iam/v1/roles/superuser?include=permissions",
        "/roles",
        "/roles/superuser/permissions",
        "/roles/engineer",
        "/permissions",
        "/verify",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
        "/openapi.json",
    ] {
        answers.push((path, eve.get(path).await));
    }
    let scopes = [("scope", "zebra-readers")];
    answers.push(("a scope", house.log_in(&two.eve.login, PASSWORD, None, &scopes).send().await));
    let never = house.log_in(&two.eve.login, PASSWORD, None, &[("scope", "never-was")]).send().await;
    assert_eq!(answers.last().map(|(_, reply)| reply.json()), Some(never.json()), "as one that never was");
    let bot = json!({ "name": "bot", "role": "zebra-keeper", "scope": "global" });
    answers.push(("a role for a machine", eve.ask("POST", "/automation-tokens").json(&bot).send().await));
    let person = json!({ "login": "x@example.com", "name": "X", "role": "zebra-keeper" });
    answers.push(("a role for a person", eve.ask("POST", "/users").json(&person).send().await));
    let engineer = house.node.person(two.eves, "ed@example.com", "engineer", PASSWORD).await;
    let engineer = house.token(&engineer, &[]).await;
    answers.push(("an invitation", house.with(&engineer).ask("POST", "/invitations").json(&json!({
        "data": { "type": "invitation", "attributes": { "email": "y@example.com", "role": "superuser" } }
    })).send().await));
    for (what, reply) in &answers {
        let told = format!("{reply:?}").replace("zebra-keeper'", "");
        assert!(!told.contains("zebra"), "{what}: {told}");
    }
    // Whoever it is for sees them.
    let ada = house.token(&house.ada, &[]).await;
    let roles = house.with(&ada).get("/iam/v1/roles").await;
    assert!(roles.body.contains("zebra-keeper") && roles.body.contains("zebra/zebra:write"), "{roles:?}");
}

#[tokio::test]
async fn an_explanation_says_nothing_of_others_routes() {
    let two = Two::new().await;
    let house = &two.house;
    for path in PATHS {
        let ask = house.with(&two.token).ask("GET", "/authz/caddy").header("X-Forwarded-Method", "GET");
        let ask = ask.header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", path);
        let reply = ask.header("X-Forwarded-For", "192.0.2.1").send().await;
        let id = reply.header("x-authz-id").expect("an id").to_owned();
        let told = house.with(&two.token).get(&format!("/denials/{id}")).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert!(!told.body.contains("zebra"), "{path}: {told:?}");
        // Nor to anybody else at all.
        let bob = house.token(&house.bob, &[]).await;
        assert_eq!(house.with(&bob).get(&format!("/denials/{id}")).await.status, 404);
    }
}

/// Was wrong once: nginx passes what a client sends on to the subrequest. Where it says `X-Original-URI`, a client's own
/// `X-Original-URL` was believed instead.
#[tokio::test]
async fn a_proxys_word_has_one_form() {
    let two = Two::new().await;
    let house = &two.house;
    let bob = house.token(&house.bob, &[]).await;
    let ask = house.with(&bob).ask("GET", "/authz/auth-request").header("X-Original-Method", "GET");
    let ask = ask.header("X-Original-URI", "/orders/admin").header("X-Forwarded-For", "192.0.2.1");
    let reply = ask.header("X-Original-URL", format!("https://{HOST}/orders/1")).send().await;
    assert_eq!(reply.header("x-authz-reason"), Some("conflicting_forward_headers"), "{reply:?}");
}

/// Was wrong once: what is retired was judged by what this process knew, and a word that another one had brought in and
/// this one took out was forgotten.
#[tokio::test]
async fn a_policy_that_another_process_changed_is_remembered_with_all_its_words() {
    let house = House::new().await;
    let beside = house.beside().await;
    let all = zebra("\"all\"");
    apply(&house, &all.replace("zebra-readers", "old-word")).await.expect("a policy");
    let id = keygate_model::PolicyId::from_bits(77);
    let origin = beside.app.local_origin();
    // Both wait for the same commit, or nearly: neither has heard of the other's words.
    let other = beside.app.authority.apply_policy(&origin, id, all.replace("zebra-readers", "middle-word"));
    other.await.expect("a policy");
    apply(&house, &all).await.expect("a policy");
    let rows = authority(&house).policies().await.expect("policies");
    assert_eq!(rows[0].retired, ["scope middle-word", "scope old-word"]);
}

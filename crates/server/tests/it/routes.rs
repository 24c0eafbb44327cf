//! Every route of the router, held against the policy and against strangers.

use std::collections::{BTreeMap, BTreeSet};

use keygate_authority::service::NewService;
use keygate_model::{
    Policy,
    policy::{Access, OWN_POLICY},
};
use keygate_server::router::table;
use serde_json::{Value, json};

use crate::house::{House, Reply};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn policy() -> Policy {
    Policy::compile(OWN_POLICY).expect("the own policy compiles")
}

/// `GET /service/{service}` as method and a path that somebody could ask for.
fn filled(on: &str, service: &str) -> (String, String) {
    let (method, path) = on.split_once(' ').expect("a method and a path");
    let path = path.replace("{service}", service).replace("{*url}", "example.com/a");
    let path = path.replace("{number}", "1").replace("{environment}", "staging");
    let known = "4vjQmcqGgQXyCx7MnPqVLk";
    let segment =
        |segment: &str| if segment.starts_with('{') { known.to_owned() } else { segment.to_owned() };
    (method.to_owned(), path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

fn no_rule(reply: &Reply) {
    let body = json!({ "msg": "Not found", "detail": "There is no such endpoint", "code": "no_rule" });
    assert_eq!((reply.status, reply.json()), (404, body), "{reply:?}");
}

#[test]
fn every_route_has_a_row_in_the_policy_and_every_row_a_route() {
    let routes: Vec<_> = table().into_iter().map(|(on, _)| on.to_owned()).collect();
    let rows: BTreeSet<_> = policy().routes().iter().map(|route| route.on.clone()).collect();
    let once: BTreeSet<_> = routes.iter().cloned().collect();
    assert_eq!(once.len(), routes.len(), "a route stands twice in the router's table");
    assert_eq!(once, rows, "left: the router's table; right: the policy");
}

#[tokio::test]
async fn a_stranger_is_refused_everywhere_but_where_the_policy_says_public() {
    let house = House::new().await;
    let service = house.service(NewService { name: "shop".to_owned(), ..NewService::default() }).await;
    // May only shrink: what is here needs no token, and this is what it answers to somebody who sends nothing.
    let mut open = BTreeMap::from([
        ("GET /livez", (200, Value::Null)),
        ("GET /metrics", (200, Value::Null)),
        // Nobody has told this server its address.
        ("GET /.well-known/oauth-authorization-server", (404, json!("not_found"))),
        ("GET /.well-known/oauth-protected-resource", (404, json!("not_found"))),
        ("GET /.well-known/jwks.json", (200, Value::Null)),
        ("GET /openapi.json", (200, Value::Null)),
        ("GET /readyz", (200, Value::Null)),
        ("GET /realms/fastly/.well-known/openid-configuration", (200, Value::Null)),
        ("POST /current_user/password", (400, json!("password_missing"))),
        // In OAuth's words, which have no code.
        ("POST /oauth/revoke", (400, Value::Null)),
        ("POST /password/reset", (400, json!("password_missing"))),
        ("POST /tokens", (400, json!("credential_missing"))),
        ("POST /user/{user}/password/request_reset", (200, Value::Null)),
        ("PUT /invitation/accept/{code}", (400, json!("password_missing"))),
    ]);
    for route in policy().routes() {
        let (method, path) = filled(&route.on, &service);
        let reply = house.anon().ask(&method, &path).send().await;
        let code =
            serde_json::from_str::<Value>(&reply.body).map(|body| body["code"].clone()).unwrap_or_default();
        let expected = match route.access {
            Access::Public | Access::ActionIfAny(_) => {
                open.remove(route.on.as_str()).expect("a known open route")
            }
            Access::Unclassified => panic!("{} is nobody's", route.on),
            Access::Action(_) => {
                assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
                (401, json!("credential_missing"))
            }
        };
        assert_eq!((reply.status, code), expected, "{}", route.on);
    }
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn what_no_policy_names_is_nowhere() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    for path in [
        "/",
        "/nowhere",
        "/tokens/",
        "/tokens/self/x",
        "/TOKENS",
        "/service/a/b",
        "/authz",
        "/authz/auth-request/x",
    ] {
        for method in METHODS {
            no_rule(&house.anon().ask(method, path).send().await);
            no_rule(&house.with(&token).ask(method, path).send().await);
        }
    }
}

#[tokio::test]
async fn another_method_on_a_known_path_is_nowhere_too() {
    let house = House::new().await;
    let token = house.token(&house.bob, &[]).await;
    let service = house.service(NewService { name: "shop".to_owned(), ..NewService::default() }).await;
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (on, _) in table() {
        let (method, path) = filled(on, &service);
        known.entry(path).or_default().insert(method);
    }
    // What `/tokens/{token}` answers, `/tokens/self` does as well; and so on.
    let policy = policy();
    let is_named = |method: &str, path: &str| {
        let method = keygate_model::Method::parse(method);
        method.is_some_and(|method| policy.route(method, &keygate_model::Path::new(path)).is_ok())
    };
    for (path, methods) in known {
        let others = METHODS.iter().filter(|method| !methods.contains(**method) && !is_named(method, &path));
        for method in others.chain(&["OPTIONS", "TRACE", "PROPFIND", "get", "G"]) {
            no_rule(&house.anon().ask(method, &path).send().await);
            no_rule(&house.with(&token).ask(method, &path).send().await);
        }
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let house = House::new().await;
    let token = house.token(&house.ada, &[]).await;
    let service = house.service(NewService { name: "shop".to_owned(), ..NewService::default() }).await;
    for (on, _) in table().into_iter().filter(|(on, _)| on.starts_with("GET ")) {
        let (_, path) = filled(on, &service);
        for caller in [house.anon().clone(), house.with(&token)] {
            let (get, head) = (caller.get(&path).await, caller.ask("HEAD", &path).send().await);
            assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{on}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{on}");
        }
    }
}

#[tokio::test]
async fn a_method_that_a_header_asks_for_is_refused() {
    let house = House::new().await;
    let token = house.token(&house.ada, &[]).await;
    let service = house.service(NewService { name: "shop".to_owned(), ..NewService::default() }).await;
    let body = json!({
        "msg": "Bad request",
        "detail": "Use the method itself, not a header that overrides it",
        "code": "method_override_refused",
    });
    for (on, _) in table() {
        let (method, path) = filled(on, &service);
        for name in ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"] {
            let reply = house.with(&token).ask(&method, &path).header(name, "DELETE").send().await;
            assert_eq!((reply.status, reply.json()), (400, body.clone()), "{on}");
        }
    }
    assert_eq!(house.with(&token).get("/tokens/self").await.status, 200, "nothing was deleted");
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_the_contract() {
    let house = House::new().await;
    let token = house.token(&house.ada, &[]).await;
    let service = house.service(NewService { name: "shop".to_owned(), ..NewService::default() }).await;
    let mut ids = BTreeSet::new();
    for (on, _) in table().into_iter().filter(|(on, _)| *on != "DELETE /tokens/self") {
        let (method, path) = filled(on, &service);
        let reply = house.with(&token).ask(&method, &path).send().await;
        assert_eq!(reply.header("status"), Some(reply.status_text().as_str()), "{on}");
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=31536000"), "{on}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{on}");
        let kind = reply.header("content-type").unwrap_or_default();
        assert!(on == "GET /metrics" || !kind.contains(';'), "{on}: {kind}");
        let id = reply.header("x-request-id").expect("a request id");
        assert!(ids.insert(id.to_owned()) && id.len() == 20, "{on}: {id}");
    }
}

//! OAuth's own doors: introspection (RFC 7662), revocation (RFC 7009), metadata (RFC 8414, RFC 9728).

use serde_json::{Value, json};

use crate::house::{House, Reply, Token};

mod introspect;
mod metadata;
mod revoke;

/// A superuser's token, in sudo.
async fn lead(house: &House) -> Token {
    let lead = house.token(&house.ada, &[]).await;
    house.sudo(&lead).await;
    lead
}

/// An automation token of this role and scope.
async fn bot(house: &House, lead: &Token, role: &str, scope: &str) -> Token {
    let new = json!({ "name": "bot", "role": role, "scope": scope });
    let made = house.with(lead).ask("POST", "/automation-tokens").json(&new).send().await.json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    Token { id: text("id"), secret: text("access_token") }
}

/// Everything of an answer but the moment, the request's id and what is left of the quota.
fn bytes(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let passing = ["date", "x-request-id", "fastly-ratelimit-remaining"];
    let mut headers = reply.headers.clone();
    headers.retain(|(name, _)| !passing.contains(&name.as_str()));
    (reply.status, headers, reply.body.clone())
}

/// Refused in OAuth's words.
#[track_caller]
fn refused(reply: &Reply, error: &str, why: &str) {
    let body = json!({ "error": error, "error_description": why });
    assert_eq!((reply.status, reply.json()), (400, body), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

/// What is wrong with a form at either door, and what is said of it.
const WRONG: [(&str, &str, &str); 9] = [
    ("", "", "Send a form: application/x-www-form-urlencoded"),
    ("application/json", r#"{"token":"x"}"#, "Send a form: application/x-www-form-urlencoded"),
    ("text/plain", "token=x", "Send a form: application/x-www-form-urlencoded"),
    ("application/x-www-form-urlencodedly", "token=x", "Send a form: application/x-www-form-urlencoded"),
    ("application/x-www-form-urlencoded", "", "Send a token"),
    ("application/x-www-form-urlencoded", "token=&token_type_hint=access_token", "Send a token"),
    ("application/x-www-form-urlencoded; charset=utf-8", "token=x&token=x", "Send one token"),
    (
        "application/x-www-form-urlencoded",
        "token=x&token_type_hint=a&token_type_hint=b",
        "Send one token_type_hint",
    ),
    ("application/x-www-form-urlencoded", "token=x&client_ip=here", "The client_ip is an IP address"),
];

#[tokio::test]
async fn what_is_no_such_form_is_refused_in_oauths_words() {
    let house = House::new().await;
    let lead = lead(&house).await;
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        for (kind, body, why) in WRONG {
            let ask = house.with(&lead).ask("POST", path);
            let ask = if kind.is_empty() { ask } else { ask.body(kind, body) };
            refused(&ask.send().await, "invalid_request", why);
        }
        // What nobody knows is ignored (RFC 6749 §3.2), also twice.
        let more = [("token", "x"), ("resource", "a"), ("resource", "b"), ("client_secret", "c")];
        assert_eq!(house.with(&lead).ask("POST", path).form(&more).send().await.status, 200);
    }
    let metrics = house.anon().get("/metrics").await.body;
    let refusals = format!("keygate_refusals_total{{code=\"invalid_request\"}} {}\n", 2 * WRONG.len());
    assert!(metrics.contains(&refusals), "{metrics}");
}

#[tokio::test]
async fn a_secret_in_the_query_is_refused_here_too() {
    let house = House::new().await;
    let (lead, token) = (lead(&house).await, house.token(&house.bob, &[]).await);
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        for query in [format!("token={}", token.secret), "token=x".to_owned(), format!("q={}", token.secret)]
        {
            let ask = house.with(&lead).ask("POST", &format!("{path}?{query}"));
            let reply = ask.form(&[("token", &token.secret)]).send().await;
            assert_eq!((reply.status, &reply.json()["code"]), (400, &Value::from("credential_in_url")));
        }
    }
    assert_eq!(house.with(&token).get("/tokens/self").await.status, 200);
}

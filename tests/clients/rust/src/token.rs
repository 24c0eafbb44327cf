//! Tokens of people, and automation tokens.

use fastly_api::apis::{
    automation_tokens_api::{
        CreateAutomationTokenParams, GetAutomationTokenIdParams, GetAutomationTokensIdServicesParams,
        RevokeAutomationTokenIdParams, create_automation_token, get_automation_token_id,
        get_automation_tokens_id_services, list_automation_tokens, revoke_automation_token_id,
    },
    configuration::Configuration,
    sudo_api::{RequestSudoAccessParams, request_sudo_access},
    tokens_api::{
        BulkRevokeTokensParams, GetTokenParams, ListTokensCustomerParams, RevokeTokenParams,
        bulk_revoke_tokens, create_token, get_token, get_token_current, list_tokens_customer,
        list_tokens_user, revoke_token, revoke_token_current,
    },
};
use serde_json::json;

use crate::steps::{Given, Told, model, plain, step};

pub async fn tokens(given: &Given) {
    for (name, password) in [("first wrong", "not this one".to_owned()), ("first", given.text("password"))] {
        // By login and password as Basic authentication, and no token.
        let basic_auth = Some((given.text("login"), Some(password)));
        let mut nobody = Configuration { api_key: None, basic_auth, ..given.client() };
        step(name, create_token(&mut nobody)).await;
    }
    let client = &mut given.client();
    step("create without sudo", create_token(client)).await;
    let login = model(json!({ "username": given.text("login"), "password": given.text("password") }));
    step("sudo", request_sudo_access(client, RequestSudoAccessParams { sudo_request: Some(login) })).await;
    let mut made: Vec<Told> = Vec::new();
    for _ in 0..4 {
        made.push(step("create", create_token(client)).await);
    }
    let id = |nth: usize| made[nth].text("/id");
    let secret = |nth: usize| made[nth].text("/access_token");
    step("list", list_tokens_user(client)).await.or_plain(client, "/tokens").await;
    let customer_id = given.text("customer");
    let path = format!("/customer/{customer_id}/tokens");
    let listed =
        step("list customer", list_tokens_customer(client, ListTokensCustomerParams { customer_id })).await;
    listed.or_plain(client, &path).await;
    step("self", get_token_current(client)).await;
    step("get", get_token(client, GetTokenParams { token_id: id(0) })).await;
    let token_id = given.text("two_scopes");
    let path = format!("/tokens/{token_id}");
    step("get two scopes", get_token(client, GetTokenParams { token_id }))
        .await
        .or_plain(client, &path)
        .await;
    step("get missing", get_token(client, GetTokenParams { token_id: "nothing".into() })).await;
    step("revoke", revoke_token(client, RevokeTokenParams { token_id: id(0) })).await;
    step("use revoked", get_token_current(&mut given.connect(&secret(0)))).await;
    let several = [id(1), id(2)].map(|id| json!({ "type": "token", "id": id }));
    let request_body = Some(model(json!({ "data": several })));
    step("revoke several", bulk_revoke_tokens(client, BulkRevokeTokensParams { request_body })).await;
    step("revoke self", revoke_token_current(&mut given.connect(&secret(3)))).await;
}

pub async fn automation_tokens(given: &Given) {
    let client = &mut given.client();
    let order = json!({
        "name": "deploy", "role": "engineer", "scope": "global:read", "services": [given.text("service")],
        "expires_at": null,
    });
    let made = plain("create", client, "POST", "/automation-tokens", Some(order.clone())).await;
    let (id, secret) = (made.text("/id"), made.text("/access_token"));
    let bot = &mut given.connect(&secret);
    if made.succeeded() {
        step("use", get_token_current(bot)).await;
    }
    step("list", list_automation_tokens(client, Default::default()))
        .await
        .or_plain(client, "/automation-tokens")
        .await;
    let one =
        step("get", get_automation_token_id(client, GetAutomationTokenIdParams { id: id.clone() })).await;
    one.or_plain(client, &format!("/automation-tokens/{id}")).await;
    step("get missing", get_automation_token_id(client, GetAutomationTokenIdParams { id: "nothing".into() }))
        .await;
    if made.succeeded() {
        step("revoke", revoke_token(client, RevokeTokenParams { token_id: id })).await;
        step("use revoked", get_token_current(bot)).await;
    }
    // The token is made, and its secret is lost on the way: the client's model refuses the answer.
    let automation_token_create_request = Some(model(order));
    let params = CreateAutomationTokenParams { automation_token_create_request };
    step("create checked", create_automation_token(client, params)).await;
}

pub async fn automation_token_parts(given: &Given) {
    let client = &mut given.client();
    let id = given.text("automation_token");
    let params = GetAutomationTokensIdServicesParams { id: id.clone(), per_page: None, page: None };
    step("services", get_automation_tokens_id_services(client, params)).await;
    step("revoke", revoke_automation_token_id(client, RevokeAutomationTokenIdParams { id })).await;
}

//! Invitations and service authorisations.

use fastly_api::apis::{
    invitations_api::{
        CreateInvitationParams, DeleteInvitationParams, ListInvitationsParams, create_invitation,
        delete_invitation, list_invitations,
    },
    service_authorizations_api::{
        CreateServiceAuthorizationParams, DeleteServiceAuthorizationParams, ListServiceAuthorizationParams,
        ShowServiceAuthorizationParams, UpdateServiceAuthorizationParams, create_service_authorization,
        delete_service_authorization, list_service_authorization, show_service_authorization,
        update_service_authorization,
    },
};
use serde_json::json;

use crate::steps::{Given, model, plain, step};

pub async fn invitations(given: &Given) {
    let client = &mut given.client();
    // The client's model has no place for the customer: it is the caller's.
    let attributes = json!({ "email": "grace@example.com", "role": "engineer", "limit_services": false });
    let order = model(json!({ "data": { "type": "invitation", "attributes": attributes } }));
    let made =
        step("create", create_invitation(client, CreateInvitationParams { invitation: Some(order) })).await;
    let invitation_id = made.text("/data/id");
    let page = ListInvitationsParams { page_number: Some(1), page_size: Some(10) };
    let listed = step("list", list_invitations(client, page)).await;
    listed.or_plain(client, "/invitations?page[number]=1&page[size]=10").await;
    plain("list plain", client, "GET", "/invitations", None).await;
    for name in ["delete", "delete again"] {
        let params = DeleteInvitationParams { invitation_id: invitation_id.clone() };
        step(name, delete_invitation(client, params)).await;
    }
}

pub async fn service_authorizations(given: &Given) {
    let client = &mut given.client();
    // The client's model of the service has its type and id directly, not in a `data` as the user has.
    let order = json!({ "data": {
        "type": "service_authorization",
        "attributes": { "permission": "purge_select" },
        "relationships": {
            "service": { "type": "service", "id": given.text("service") },
            "user": { "data": { "type": "user", "id": given.text("engineer") } },
        },
    } });
    let params = CreateServiceAuthorizationParams { service_authorization: Some(model(order)) };
    let id = step("create", create_service_authorization(client, params)).await.text("/data/id");
    let one = || ShowServiceAuthorizationParams { service_authorization_id: id.clone() };
    step("get", show_service_authorization(client, one())).await;
    let path = format!("/service-authorizations/{id}");
    plain("made", client, "GET", &path, None).await;
    let page = ListServiceAuthorizationParams { page_number: Some(1), page_size: Some(10) };
    let listed = step("list", list_service_authorization(client, page)).await;
    listed.or_plain(client, "/service-authorizations?page[number]=1&page[size]=10").await;
    let full =
        model(json!({ "data": { "type": "service_authorization", "attributes": { "permission": "full" } } }));
    let change = UpdateServiceAuthorizationParams {
        service_authorization_id: id.clone(),
        service_authorization: Some(full),
    };
    step("update", update_service_authorization(client, change)).await;
    plain("updated", client, "GET", &path, None).await;
    let delete = DeleteServiceAuthorizationParams { service_authorization_id: id.clone() };
    step("delete", delete_service_authorization(client, delete)).await;
    step("get deleted", show_service_authorization(client, one())).await;
}

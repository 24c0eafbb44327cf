//! People, the customer, and its contacts.

use fastly_api::{
    apis::{
        contact_api::{
            CreateContactsParams, DeleteContactParams, ListContactsParams, create_contacts, delete_contact,
            list_contacts,
        },
        customer_api::{
            GetCustomerParams, ListUsersParams, UpdateCustomerParams, get_customer, get_logged_in_customer,
            list_users, update_customer,
        },
        user_api::{
            CreateUserParams, DeleteUserParams, GetUserParams, RequestPasswordResetParams, UpdateUserParams,
            UpdateUserPasswordParams, create_user, delete_user, get_current_user, get_user,
            request_password_reset, update_user, update_user_password,
        },
    },
    models::RoleUser,
};

use crate::steps::{Given, plain, step};

pub async fn current(given: &Given) {
    let client = &mut given.client();
    step("user", get_current_user(client)).await;
    step("customer", get_logged_in_customer(client)).await;
}

pub async fn users(given: &Given) {
    let client = &mut given.client();
    let order = CreateUserParams {
        login: Some("grace@example.com".into()),
        name: Some("grace".into()),
        role: Some(RoleUser::Engineer),
        ..Default::default()
    };
    let user_id = step("create", create_user(client, order)).await.text("/id");
    step("get", get_user(client, GetUserParams { user_id: user_id.clone() })).await;
    let change = UpdateUserParams {
        user_id: user_id.clone(),
        name: Some("Grace".into()),
        role: Some(RoleUser::User),
        ..Default::default()
    };
    step("update", update_user(client, change)).await;
    step("list", list_users(client, ListUsersParams { customer_id: given.text("customer") })).await;
    step("delete", delete_user(client, DeleteUserParams { user_id: user_id.clone() })).await;
    step("get deleted", get_user(client, GetUserParams { user_id })).await;
}

pub async fn password(given: &Given) {
    let client = &mut given.client();
    // Basic authentication, and no token: the only call that the client makes so. Unset, it sends no credential at all.
    client.basic_auth = Some((given.text("login"), Some(given.text("password"))));
    for (name, old) in [("wrong", "not this one".to_owned()), ("change", given.text("password"))] {
        let new_password = Some(given.text("new_password"));
        let params = UpdateUserPasswordParams { old_password: Some(old), new_password };
        step(name, update_user_password(client, params)).await;
    }
    let params = RequestPasswordResetParams { user_login: given.text("login") };
    step("reset", request_password_reset(&mut given.client(), params)).await;
}

pub async fn customer(given: &Given) {
    let client = &mut given.client();
    let customer_id = given.text("customer");
    step("get", get_customer(client, GetCustomerParams { customer_id: customer_id.clone() })).await;
    let change = UpdateCustomerParams { customer_id, name: Some("Acme & Sons".into()), ..Default::default() };
    step("update", update_customer(client, change)).await;
    step("get missing", get_customer(client, GetCustomerParams { customer_id: "nothing".into() })).await;
}

pub async fn contacts(given: &Given) {
    let client = &mut given.client();
    let customer_id = given.text("customer");
    let path = format!("/customer/{customer_id}/contacts");
    let order = CreateContactsParams {
        customer_id: customer_id.clone(),
        contact_type: Some("technical".into()),
        name: Some("Operations".into()),
        email: Some("ops@example.com".into()),
        phone: Some("0".into()),
        ..Default::default()
    };
    // What the client understands of the answer has no id in it.
    step("create", create_contacts(client, order)).await;
    let listed = step("list", list_contacts(client, ListContactsParams { customer_id: customer_id.clone() }));
    let contact_id = listed.await.or_plain(client, &path).await.text("/data/0/id");
    // The answer has no body, and the client wants one.
    let delete = DeleteContactParams { customer_id, contact_id: contact_id.clone() };
    step("delete", delete_contact(client, delete)).await;
    plain("delete again", client, "DELETE", &format!("{path}/{contact_id}"), None).await;
}

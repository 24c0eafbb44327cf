//! Roles, permissions and groups, as far as they can be read.

use fastly_api::apis::{
    iam_permissions_api::list_permissions,
    iam_roles_api::{IamV1RolesGetParams, IamV1RolesListParams, iam_v1_roles_get, iam_v1_roles_list},
    iam_service_groups_api::{
        GetAServiceGroupParams, ListServiceGroupsParams, get_a_service_group, list_service_groups,
    },
    iam_user_groups_api::{GetAUserGroupParams, ListUserGroupsParams, get_a_user_group, list_user_groups},
};

use crate::steps::{Given, step};

pub async fn roles(given: &Given) {
    let client = &mut given.client();
    let page = IamV1RolesListParams { limit: Some(100), cursor: None };
    let role_id = step("list", iam_v1_roles_list(client, page)).await.text("/data/0/id");
    let params = IamV1RolesGetParams { role_id, include: Some("permissions".into()) };
    step("get", iam_v1_roles_get(client, params)).await;
}

pub async fn permissions(given: &Given) {
    step("list", list_permissions(&mut given.client())).await;
}

pub async fn service_groups(given: &Given) {
    let client = &mut given.client();
    let page = ListServiceGroupsParams { per_page: Some(20), page: Some(1) };
    step("list", list_service_groups(client, page)).await;
    let missing = GetAServiceGroupParams { service_group_id: "nothing".into() };
    step("get missing", get_a_service_group(client, missing)).await;
}

pub async fn user_groups(given: &Given) {
    let client = &mut given.client();
    let page = ListUserGroupsParams { per_page: Some(20), page: Some(1) };
    step("list", list_user_groups(client, page)).await;
    step("get missing", get_a_user_group(client, GetAUserGroupParams { user_group_id: "nothing".into() }))
        .await;
}

//! Events, services and purges.

use fastly_api::apis::{
    events_api::{GetEventParams, ListEventsParams, get_event, list_events},
    purge_api::{
        BulkPurgeTagParams, PurgeAllParams, PurgeSingleUrlParams, PurgeTagParams, bulk_purge_tag, purge_all,
        purge_single_url, purge_tag,
    },
    service_api::{
        CreateServiceParams, DeleteServiceParams, GetServiceDetailParams, GetServiceParams,
        ListServiceDomainsParams, ListServicesParams, SearchServiceParams, UpdateServiceParams,
        create_service, delete_service, get_service, get_service_detail, list_service_domains, list_services,
        search_service, update_service,
    },
};

use crate::steps::{Given, step};

pub async fn events(given: &Given) {
    let client = &mut given.client();
    let filter = ListEventsParams {
        filter_event_type: Some("token.create".into()),
        filter_user_id: Some(given.text("user")),
        page_size: Some(1),
        ..Default::default()
    };
    let page = step("list", list_events(client, filter)).await;
    step("get", get_event(client, GetEventParams { event_id: page.text("/data/0/id") })).await;
    step("get missing", get_event(client, GetEventParams { event_id: "nothing".into() })).await;
    // Among all there is a `user.sudo`, which is no event that the client knows.
    let all = ListEventsParams { sort: Some("created_at".into()), ..Default::default() };
    step("list all", list_events(client, all)).await.or_plain(client, "/events?sort=created_at").await;
}

pub async fn services(given: &Given) {
    let client = &mut given.client();
    let page = ListServicesParams {
        page: Some(1),
        per_page: Some(1),
        sort: Some("name".into()),
        direction: Some("descend".into()),
    };
    step("list", list_services(client, page)).await;
    step("search", search_service(client, SearchServiceParams { name: "blog".into() })).await;
    let service_id = given.text("service");
    let detail = GetServiceDetailParams { service_id: service_id.clone(), ..Default::default() };
    step("detail", get_service_detail(client, detail)).await;
    step("domains", list_service_domains(client, ListServiceDomainsParams { service_id })).await;
    let order = CreateServiceParams {
        name: Some("news".into()),
        _type: Some("vcl".into()),
        comment: Some("all of it".into()),
        customer_id: None,
    };
    let service_id = step("create", create_service(client, order)).await.text("/id");
    let change = UpdateServiceParams {
        service_id: service_id.clone(),
        name: Some("paper".into()),
        ..Default::default()
    };
    step("update", update_service(client, change)).await;
    step("get", get_service(client, GetServiceParams { service_id: service_id.clone() })).await;
    step("delete", delete_service(client, DeleteServiceParams { service_id: service_id.clone() })).await;
    step("get deleted", get_service(client, GetServiceParams { service_id })).await;
    step("get missing", get_service(client, GetServiceParams { service_id: "nothing".into() })).await;
}

pub async fn purge(given: &Given) {
    let client = &mut given.client();
    let service_id = given.text("service");
    if given.flag("all") {
        step("all", purge_all(client, PurgeAllParams { service_id, ..Default::default() })).await;
        return;
    }
    let key =
        PurgeTagParams { service_id: service_id.clone(), surrogate_key: "red".into(), ..Default::default() };
    step("key", purge_tag(client, key)).await;
    let keys =
        BulkPurgeTagParams { service_id, surrogate_key: Some("green blue".into()), ..Default::default() };
    step("keys", bulk_purge_tag(client, keys)).await;
    for (name, cached_url) in
        [("url", "http://shop.example/search?q=a&page=1"), ("unknown url", "http://other.example/")]
    {
        let params = PurgeSingleUrlParams { cached_url: cached_url.into(), ..Default::default() };
        step(name, purge_single_url(client, params)).await;
    }
}

//! `fastly service auth create | list | describe | update | delete`.

use serde_json::json;

use crate::{
    fastly::{Fastly, HINT_403},
    house::{House, PASSWORD},
};

const GRACE: &str = "grace@example.com";
const FORBIDDEN: &str =
    "the Fastly API returned 403 Forbidden: You are not authorized to perform this action";

/// Grace, an engineer who is limited to services and is given none: her id, and the CLI with a token of hers.
fn grace(house: &House) -> (String, Fastly) {
    let id = house.home.user(&house.customer, GRACE, "engineer", PASSWORD);
    let token = house.log_in(GRACE, PASSWORD).json()["access_token"].as_str().expect("a secret").to_owned();
    // The CLI has no flag for this.
    let limited = house.send("PUT", &format!("/user/{id}"), &house.root, &json!({ "limit_services": true }));
    assert_eq!(limited.json()["limit_services"], true);
    (id, house.fastly(&token))
}

/// Gives her this on that: the id.
fn given(house: &House, user: &str, service: &str, permission: &str) -> String {
    let flags = ["--user-id", user, "--service-id", service, "--permission", permission];
    let told = house.ada().run(&[&["service", "auth", "create"], &flags[..]].concat());
    let id = told.ok().strip_prefix("SUCCESS: Created service authorization ");
    id.unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[test]
fn an_authorisation_is_made_listed_described_changed_and_deleted() {
    let house = House::new(&[]);
    let House { shop, .. } = &house;
    let (user, _) = &grace(&house);
    let id = &given(&house, user, shop, "purge_select");
    assert_eq!(house.last_event("service_authorization.create")["service_id"], json!(shop));
    let auth = |args: &[&str]| house.ada().run(&[&["service", "auth"], args].concat());
    let table = format!("AUTH ID USER ID SERVICE ID PERMISSION\n{id} {user} {shop} purge_select\n");
    assert_eq!(auth(&["list"]).words(), table);
    let described = |permission: &str| {
        format!("Auth ID: {id}\nUser ID: {user}\nService ID: {shop}\nPermission: {permission}\n")
    };
    let told = auth(&["describe", "--id", id]).words();
    assert!(told.starts_with(&described("purge_select")), "{told}");

    let told = auth(&["update", "--id", id, "--permission", "full"]);
    assert_eq!(told.ok(), format!("SUCCESS: Updated service authorization {id}"));
    assert!(auth(&["describe", "--id", id]).words().starts_with(&described("full")));
    let told = auth(&["delete", "--id", id]);
    assert_eq!(told.ok(), format!("SUCCESS: Deleted service authorization {id}"));
    assert_eq!(auth(&["list"]).ok(), "");
    assert_eq!(house.last_event("service_authorization.delete")["user_id"], json!(user));
}

#[test]
fn a_list_of_authorisations_has_pages() {
    let house = House::new(&[]);
    let (user, _) = grace(&house);
    let made = [&house.shop, &house.blog].map(|service| given(&house, &user, service, "full"));
    for (page, id) in ["1", "2"].iter().zip(&made) {
        let ran = house.ada().run(&["service", "auth", "list", "--page", page, "--per-page", "1", "--json"]);
        let listed: serde_json::Value = serde_json::from_str(ran.ok()).expect("JSON");
        assert_eq!(
            (listed["Items"].as_array().map(Vec::len), &listed["Items"][0]["ID"]),
            (Some(1), &json!(id))
        );
    }
}

#[test]
fn somebody_limited_does_on_a_service_what_they_were_given_and_on_others_nothing() {
    let house = House::new(&[]);
    let House { shop, blog, .. } = &house;
    let (user, fastly) = grace(&house);
    let services = || {
        let listed = fastly.run(&["service", "list"]).words();
        listed.lines().skip(1).filter_map(|row| row.split(' ').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let key = |service: &str| fastly.run(&["service", "purge", "--service-id", service, "--key", "red"]);
    let all = |service: &str| fastly.run(&["service", "purge", "--service-id", service, "--all"]);
    let rename =
        |service: &str| fastly.run(&["service", "update", "--service-id", service, "--name", "mine"]);
    let other = |service: &str| {
        format!("{FORBIDDEN} (You or your token are limited to other services than '{service}').")
    };
    let lacks = |action: &str| {
        format!(
            "{FORBIDDEN} (What you were given on service '{shop}' does not contain {action}; ask a superuser)."
        )
    };
    assert_eq!(services(), [""; 0]);
    assert_eq!(key(shop).error(), other(shop));

    let id = given(&house, &user, shop, "read_only");
    assert_eq!(services(), ["shop"]);
    fastly.run(&["service", "describe", "--service-id", shop]).ok();
    assert_eq!(key(shop).error(), lacks("purge:key"));
    assert!(key(shop).hint().starts_with(HINT_403));
    let change = |permission: &str| {
        house
            .ada()
            .run(&["service", "auth", "update", "--id", &id, "--permission", permission])
            .ok()
            .to_owned()
    };
    change("purge_select");
    key(shop).ok();
    assert_eq!(all(shop).error(), lacks("purge:all"));
    change("purge_all");
    all(shop).ok();
    assert_eq!(rename(shop).error(), lacks("service:update"));
    change("full");
    rename(shop).ok();
    for ran in
        [key(blog), all(blog), rename(blog), fastly.run(&["service", "describe", "--service-id", blog])]
    {
        assert_eq!(ran.error(), other(blog));
    }
    let ran = fastly.run(&["service", "create", "--name", "news"]);
    let account =
        "(You or your token are limited to services, and service:create is about the whole account).";
    assert_eq!(ran.error(), format!("{FORBIDDEN} {account}"));

    house.ada().run(&["service", "auth", "delete", "--id", &id]).ok();
    assert_eq!(key(shop).error(), other(shop));
    assert_eq!(services(), [""; 0]);
    assert_eq!(house.service_names(), ["mine", "blog"]);
}

#[test]
fn what_cannot_be_given_is_refused_with_the_reason() {
    let house = House::new(&[]);
    let House { shop, customer, .. } = &house;
    let (user, fastly) = &grace(&house);
    given(&house, user, shop, "full");
    let auth = |args: &[&str]| house.ada().run(&[&["service", "auth"], args].concat()).error().to_owned();
    let create = |user: &str, service: &str| auth(&["create", "--user-id", user, "--service-id", service]);
    assert!(create(user, shop).starts_with("the Fastly API returned 409 Conflict: Duplicate record ("));
    let invalid = "the Fastly API returned 422 Unprocessable Entity: Unprocessable entity";
    for id in ["nonsense", customer] {
        assert_eq!(create(id, shop), format!("{invalid} (Cannot find user '{id}')."));
        assert_eq!(create(user, id), format!("{invalid} (Cannot find service '{id}')."));
        let missing = format!("Record not found (Cannot find serviceauthorization '{id}').");
        for args in [
            &["describe", "--id", id][..],
            &["update", "--id", id, "--permission", "full"],
            &["delete", "--id", id],
        ] {
            assert_eq!(auth(args), format!("the Fastly API returned 404 Not Found: {missing}"));
        }
    }
    let own = fastly.run(&["service", "auth", "create", "--user-id", user, "--service-id", &house.blog]);
    let why = "(Your role does not allow authorization:update; ask a superuser).";
    assert_eq!(own.error(), format!("{FORBIDDEN} {why}"));
    let listed = house.get("/service-authorizations", &house.root).json();
    assert_eq!(listed["meta"]["record_count"], 1);
}

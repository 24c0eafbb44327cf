//! `fastly service list | describe | search | create | update | delete`.

use serde_json::{Value, json};

use crate::{
    fastly::{HINT_403, Ran},
    house::House,
};

#[test]
fn a_service_is_made_found_renamed_and_deleted() {
    let house = House::new(&[]);
    let ada = house.ada();
    let told = ada.run(&["service", "create", "--name", "news", "--comment", "all of it"]);
    let id =
        told.ok().strip_prefix("SUCCESS: Created service ").unwrap_or_else(|| panic!("{told}")).to_owned();
    assert_eq!(house.service_names(), ["shop", "blog", "news"]);
    assert_eq!(house.last_event("service.create")["service_id"], json!(id));
    for ran in [
        ada.run(&["service", "describe", "--service-id", &id]),
        ada.run(&["service", "describe", "--service-name", "news"]),
        ada.run(&["service", "search", "--name", "news"]),
    ] {
        assert_describes(&ran, &house, &id, "news", "all of it");
    }

    let told = ada.run(&["service", "update", "--service-id", &id, "--name", "paper"]);
    assert_eq!(told.ok(), format!("SUCCESS: Updated service {id}"));
    assert_describes(&ada.run(&["service", "search", "--name", "paper"]), &house, &id, "paper", "all of it");
    assert_eq!(house.service_names(), ["shop", "blog", "paper"]);
    assert_eq!(house.last_event("service.update")["service_id"], json!(id));

    let told = ada.run(&["service", "delete", "--service-id", &id]);
    assert_eq!(told.ok(), format!("SUCCESS: Deleted service ID {id}"));
    assert_eq!(house.service_names(), ["shop", "blog"]);
    assert_eq!(house.last_event("service.delete")["service_id"], json!(id));
    let ran = ada.run(&["service", "describe", "--service-id", &id]);
    let why = format!("the Fastly API returned 400 Bad Request: Bad request (Service '{id}' is deleted).");
    assert_eq!(ran.error(), why);
}

#[test]
fn the_operator_changes_domains_and_caches_of_a_running_server() {
    let house = House::new(&[]);
    let shop = house.shop.as_str();
    let update = |more: &[&str]| house.keygate(&[&["service", "update", shop, "--json"], more].concat());
    let told = update(&[
        "--domain",
        "New.example",
        "--domain",
        "www.new.example",
        "--node",
        "http://127.0.0.1:6081",
    ]);
    let domains = json!(["new.example", "www.new.example"]);
    let expected = json!({
        "id": shop, "customer_id": house.customer, "name": "shop", "domains": domains, "caches": ["http://127.0.0.1:6081"],
    });
    assert_eq!(told, Ok(expected));
    let event = house.last_event("service.update");
    let old = json!({ "domains": ["shop.example"], "nodes": [] });
    let new = json!({ "domains": domains, "nodes": ["http://127.0.0.1:6081"] });
    assert_eq!(
        (&event["metadata"], &event["actor"]),
        (&json!({ "old": old, "new": new }), &json!("operator"))
    );
    let served = || house.get(&format!("/service/{shop}/domain"), &house.root).json();
    assert_eq!([&served()[0]["name"], &served()[1]["name"]], ["new.example", "www.new.example"]);

    let refused = update(&["--domain", "blog.example"]).unwrap_err();
    assert_eq!(refused, "keygate: domain 'blog.example' exists already\n");
    assert!(update(&["--domain", "a b"]).unwrap_err().contains("cannot be used"));
    assert!(update(&[]).unwrap_err().contains("There is nothing to change"));
    assert!(update(&["--no-domains", "--domain", "x.example"]).unwrap_err().contains("cannot be used with"));
    assert_eq!(served().as_array().map(Vec::len), Some(2));
    assert_eq!(
        update(&["--no-domains", "--no-caches", "--name", "store"]).map(|told| told["domains"].clone()),
        Ok(json!([]))
    );
    assert_eq!((served(), house.service_names()), (json!([]), vec!["store".to_owned(), "blog".to_owned()]));
}

/// Where caches are, and whose a host is, decides to whom a purge goes: the operator says so, and no token.
#[test]
fn the_api_changes_neither_domains_nor_caches() {
    let house = House::new(&[]);
    let path = format!("/service/{}", house.shop);
    for list in ["domains", "nodes"] {
        let answer =
            house.send("PUT", &path, &house.root, &json!({ "name": "mine", list: ["http://a.example"] }));
        assert_eq!((answer.status, &answer.any_json()["code"]), (400, &json!("unknown_field")), "{list}");
    }
    assert_eq!(house.get(&format!("{path}/domain"), &house.root).json()[0]["name"], "shop.example");
    assert_eq!(
        (house.service_names(), house.events("service.update").len()),
        (vec!["shop".to_owned(), "blog".to_owned()], 0)
    );
}

#[test]
fn services_are_listed_as_table_and_as_json() {
    let house = House::new(&[]);
    let listed = house.ada().run(&["service", "list"]).words();
    let rows: Vec<_> = listed.lines().collect();
    assert_eq!(rows[0], "NAME ID TYPE ACTIVE VERSION LAST EDITED (UTC)");
    assert!(rows[1].starts_with(&format!("shop {} vcl n/a ", house.shop)), "{listed}");
    assert!(rows[2].starts_with(&format!("blog {} vcl n/a ", house.blog)), "{listed}");
    assert_eq!(rows.len(), 3);
    let ran = house.ada().run(&["service", "list", "--json", "--sort", "name", "--direction", "descend"]);
    let listed: Value = serde_json::from_str(ran.ok()).expect("JSON");
    assert_eq!([&listed[0]["Name"], &listed[1]["Name"]], ["shop", "blog"]);
    assert_eq!(listed[0]["CustomerID"], json!(house.customer));
    // Recorded: `version` is the latest one where none is active, and the CLI calls it so; the table says n/a.
    assert_eq!(
        (&listed[0]["ActiveVersion"], &listed[0]["Versions"][0]["Active"]),
        (&json!(1), &json!(false))
    );
}

#[test]
fn a_list_goes_on_over_several_pages() {
    let house = House::new(&[]);
    for number in 0..101 {
        let headers = [("Fastly-Key", house.root.as_str()), ("Content-Type", "application/json")];
        house
            .server
            .send("POST", "/service", &headers, &json!({ "name": format!("s{number}") }).to_string())
            .json();
    }
    let listed = house.ada().run(&["service", "list"]).words();
    let names: Vec<_> =
        listed.lines().skip(1).filter_map(|row| row.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(names, house.service_names());
    assert_eq!(names.len(), 103);
    let page = house.ada().run(&["service", "list", "--page", "2", "--per-page", "100"]).words();
    assert_eq!(page.lines().count(), 4, "a header and the last three: {page}");
}

#[test]
fn what_is_not_there_is_named() {
    let house = House::new(&[]);
    let missing = |id: &str| {
        format!("the Fastly API returned 404 Not Found: Record not found (Cannot find service '{id}').")
    };
    let strange = house.customer.as_str();
    for id in ["nonsense", strange] {
        for args in [
            &["service", "describe"][..],
            &["service", "update", "--name", "n"],
            &["service", "version", "list"],
        ] {
            assert_eq!(house.ada().run(&[args, &["--service-id", id]].concat()).error(), missing(id));
        }
        let ran = house.ada().run(&["service", "delete", "--service-id", id]);
        let told = format!(
            "404 - Not Found: Title: Record not found Detail: Cannot find service '{id}' RateLimitRemaining: 9"
        );
        assert!(ran.long_error().starts_with(&told), "{ran}");
    }
    assert_eq!(house.ada().run(&["service", "search", "--name", "nope"]).error(), missing("nope"));
}

#[test]
fn a_reading_token_reads_and_writes_nothing() {
    let house = House::new(&[]);
    let reader = house.scoped("reader", "global:read");
    let fastly = house.fastly(&reader.secret);
    assert_eq!(fastly.run(&["service", "list"]).words(), house.ada().run(&["service", "list"]).words());
    for args in [
        &["service", "create", "--name", "news"][..],
        &["service", "update", "--service-id", &house.shop, "--name", "news"],
        &["service", "purge", "--service-id", &house.shop, "--key", "red"],
    ] {
        let ran = fastly.run(args);
        let why = "the Fastly API returned 403 Forbidden: Read only tokens are not allowed to access this endpoint.";
        assert_eq!(ran.error(), why);
        assert!(ran.hint().starts_with(HINT_403), "{ran}");
    }
    let ran = fastly.run(&["service", "delete", "--service-id", &house.shop]);
    let told = "403 - Forbidden: Title: Read only tokens are not allowed to access this endpoint RateLimitRemaining: 9";
    assert!(ran.long_error().starts_with(told), "{ran}");
    assert_eq!(house.service_names(), ["shop", "blog"]);
}

fn assert_describes(ran: &Ran, house: &House, id: &str, name: &str, comment: &str) {
    let customer = &house.customer;
    let told = format!(
        "ID: {id}\nName: {name}\nType: vcl\nComment: {comment}\nCustomer ID: {customer}\nCreated (UTC): "
    );
    assert!(ran.words().starts_with(&told), "{ran}");
    assert!(ran.words().contains("Versions: 1\nVersion 1/1\nNumber: 1\n"), "{ran}");
}

//! What a token may not, the CLI is refused, whatever else it may.

use crate::{
    fastly::{HINT_403, Ran},
    house::{House, Made},
    purge::Site,
};

const FORBIDDEN: &str =
    "the Fastly API returned 403 Forbidden: You are not authorized to perform this action";

/// Purges `service` with `token`.
fn purge(house: &House, token: &Made, service: &str, flags: &[&str]) -> Ran {
    let args = [&["service", "purge", "--service-id", service][..], flags].concat();
    house.fastly(&token.secret).run(&args)
}

fn assert_refused(ran: &Ran, why: &str) {
    assert_eq!(ran.error(), why);
    assert!(ran.hint().starts_with(HINT_403), "{ran}");
}

fn lacks(action: &str) -> String {
    format!("{FORBIDDEN} (The token's scope does not contain {action}; use one whose scope does).")
}

#[test]
fn a_token_for_selected_purges_does_just_that() {
    let site = Site::new();
    let house = site.house();
    let token = house.scoped("selected", "purge_select");
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    purge(&house, &token, &house.shop, &["--key", "red"]).ok();
    assert_eq!(site.visits(), [2, 1, 1, 1]);
    purge(&house, &token, &house.shop, &["--url", "http://shop.example/blue"]).ok();
    assert_eq!(site.visits(), [2, 2, 1, 1]);
    assert_refused(&purge(&house, &token, &house.shop, &["--all"]), &lacks("purge:all"));
    assert_eq!(site.visits(), [2, 2, 1, 1]);
    assert!(house.events("service.purge_all").is_empty());
    assert_reads_nothing_but_itself(&house, &token);
}

#[test]
fn a_token_for_purging_everything_does_just_that() {
    let site = Site::new();
    let house = site.house();
    let token = house.scoped("everything", "purge_all");
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    assert_refused(&purge(&house, &token, &house.shop, &["--key", "red"]), &lacks("purge:key"));
    assert_refused(
        &purge(&house, &token, &house.shop, &["--file", &house.file(&["red"])]),
        &lacks("purge:key"),
    );
    let url = ["--url", "http://shop.example/blue"];
    assert_refused(&purge(&house, &token, &house.shop, &url), &lacks("purge:url"));
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    purge(&house, &token, &house.shop, &["--all"]).ok();
    assert_eq!(site.visits(), [2, 2, 2, 1]);
    assert_reads_nothing_but_itself(&house, &token);
}

#[test]
fn a_token_limited_to_a_service_reaches_no_other() {
    let site = Site::new();
    let house = site.house();
    let token = house.token(&["--name", "shop only", "--services", &house.shop]);
    let House { shop, blog, .. } = &house;
    let other = format!("{FORBIDDEN} (You or your token are limited to other services than '{blog}').");
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    for flags in [&["--all"][..], &["--key", "red"], &["--url", "http://blog.example/red"]] {
        assert_refused(&purge(&house, &token, blog, flags), &other);
    }
    // The URL says which service it is, whatever the flag does.
    assert_refused(&purge(&house, &token, shop, &["--url", "http://blog.example/red"]), &other);
    assert_eq!(site.visits(), [1, 1, 1, 1]);
    purge(&house, &token, shop, &["--key", "red"]).ok();
    assert_eq!(site.visits(), [2, 1, 1, 1]);
    purge(&house, &token, shop, &["--all"]).ok();
    assert_eq!(site.visits(), [3, 2, 2, 1]);
}

#[test]
fn a_token_limited_to_a_service_sees_and_changes_no_other() {
    let house = House::new(&[]);
    let token = house.token(&["--name", "shop only", "--services", &house.shop]);
    let fastly = house.fastly(&token.secret);
    let listed = fastly.run(&["service", "list"]).words();
    assert!(listed.contains("shop ") && listed.lines().count() == 2, "{listed}");
    assert!(fastly.run(&["whoami", "--verbose"]).words().contains("Service count: 1\n"));
    fastly.run(&["service", "describe", "--service-id", &house.shop]).ok();
    let other =
        format!("{FORBIDDEN} (You or your token are limited to other services than '{}').", house.blog);
    for args in [
        &["service", "describe"][..],
        &["service", "version", "list"],
        &["service", "update", "--name", "mine"],
    ] {
        let ran = fastly.run(&[args, &["--service-id", &house.blog]].concat());
        assert_refused(&ran, &other);
    }
    let ran = fastly.run(&["service", "delete", "--service-id", &house.blog]);
    assert!(ran.long_error().starts_with("403 - Forbidden: Title: You are not authorized"), "{ran}");
    let ran = fastly.run(&["service", "create", "--name", "news"]);
    let account =
        "(You or your token are limited to services, and service:create is about the whole account).";
    assert_eq!(ran.error(), format!("{FORBIDDEN} {account}"));
    let ran = fastly.run(&["service", "search", "--name", "blog"]);
    let missing = "the Fastly API returned 404 Not Found: Record not found (Cannot find service 'blog').";
    assert_eq!(ran.error(), missing, "not even that it is there");
    assert_eq!(house.service_names(), ["shop", "blog"]);
}

/// A token for purging knows itself, and no service, no token and no person besides.
fn assert_reads_nothing_but_itself(house: &House, token: &Made) {
    let fastly = house.fastly(&token.secret);
    assert_eq!(fastly.run(&["service", "list"]).error(), lacks("service:list"));
    assert_eq!(
        fastly.run(&["service", "describe", "--service-id", &house.shop]).error(),
        lacks("service:read")
    );
    assert_eq!(fastly.run(&["auth-token", "list"]).error(), lacks("token:read"));
    assert!(fastly.run(&["auth-token", "describe"]).words().contains(&format!("ID: {}\n", token.id)));
    let told = fastly.run(&["whoami", "--verbose"]).words();
    assert!(told.contains("User name: ada\n") && told.contains("Service count: 0\n"), "{told}");
}

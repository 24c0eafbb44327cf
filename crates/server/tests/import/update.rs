//! A newer document on a policy that somebody has edited.

use keygate_server::openapi_import::{Changed, Options, import};

use super::{imported, meaning::Meaning, own};

/// The shop's policy, with what an operator does to one: comments, an order of their own, another action, a route and a
/// role by hand.
fn edited() -> String {
    let policy = imported(&own("shop.yaml"), &Options::named("shop")).policy;
    let policy =
        policy.replace("\n[actions]\n", "\n[actions]\n# Ours.\n\"order:any\" = { read   =   true }\n");
    let policy = policy.replace("action = \"listOrders\"", "action = \"order:any\"");
    policy
        + "\n# Not in the document.\n\"GET /by-hand\" = { action = \"order:any\" } # why not\n\n[roles]\n\"clerk\" = [\"*\"]\n\
           \n[[cases]]\nask = \"GET /by-hand\"\nexpect = \"allow\"\n"
}

fn options(existing: &str) -> Options {
    Options { existing: Some(existing.to_owned()), ..Options::named("shop") }
}

#[test]
fn the_same_document_changes_nothing() {
    let done = imported(&own("shop.yaml"), &options(&edited()));
    assert_eq!(done.policy, edited());
    assert!(done.added.is_empty() && done.removed.is_empty() && done.changed.is_empty(), "{done:?}");
}

#[test]
fn what_is_new_is_denied_and_nothing_else_changes() {
    let newer = own("shop.yaml").replace(
        "  /health:\n",
        "  /projects/{project}/baskets:\n    get:\n      operationId: listBaskets\n      summary: Look at baskets\n  /health:\n",
    );
    let done = imported(&newer, &options(&edited()));
    assert_eq!(done.added, ["GET /v2/projects/{project}/baskets"]);
    let new = "
#: listBaskets [orders:read]: Look at baskets
# Denied to everybody until it is classified: it is new in the document.
# The document would have it: { action = \"listBaskets\", service = \"project\" }, with \"listBaskets\" = { read = true } under [actions], in \"orders:read\"
\"GET /v2/projects/{project}/baskets\" = { unclassified = true }
";
    assert!(done.policy.contains(new), "{}", done.policy);
    assert_eq!(done.policy.replace(new, ""), edited());
    let meaning = Meaning::of(&done.policy);
    assert!(!meaning.allows("GET", "/v2/projects/1/baskets", &["global"]));
    assert!(meaning.allows("GET", "/v2/projects/1/orders", &["global"]));
    let again = imported(&newer, &options(&done.policy));
    assert_eq!(again.policy, done.policy);
    assert!(again.added.is_empty());
}

#[test]
fn what_is_gone_stays_until_it_is_pruned() {
    let newer = own("shop.yaml").replace("/uploads:", "/files:");
    let done = imported(&newer, &options(&edited()));
    assert_eq!(done.removed, ["PUT /uploads"], "a route by hand was never the document's");
    assert_eq!(done.added, ["PUT /files"]);
    assert!(done.policy.contains("\"PUT /uploads\" = { action"));
    let pruned = imported(&newer, &Options { prune: true, ..options(&edited()) });
    assert_eq!(pruned.removed, ["PUT /uploads"]);
    assert!(!pruned.policy.contains("/uploads") && pruned.policy.contains("\"GET /by-hand\""));
    assert!(!Meaning::of(&pruned.policy).allows("PUT", "/uploads", &["global"]));
}

#[test]
fn a_change_of_security_is_told_once_and_changes_nothing_else() {
    let newer = own("shop.yaml").replace("- shop: [orders:write, payments]", "- shop: [admin]");
    let done = imported(&newer, &options(&edited()));
    let on = "POST /v2/projects/{project}/orders/{order}:refund".to_owned();
    let change = Changed { on, was: "orders:write+payments".to_owned(), now: "admin".to_owned() };
    assert_eq!(done.changed, [change]);
    let expected = edited().replace("#: refundOrder [orders:write+payments]", "#: refundOrder [admin]");
    assert_eq!(done.policy, expected);
    assert!(imported(&newer, &options(&done.policy)).changed.is_empty());
}

#[test]
fn a_new_operation_does_not_take_requests_of_one_in_force() {
    let newer = own("shop.yaml").replace(
        "  /health:\n",
        "  /{any}/x.json:\n    get:\n      operationId: any\n  /items/{item}{more}:\n    get:\n      operationId: more\n  /health:\n",
    );
    let done = imported(&newer, &options(&edited()));
    assert_eq!(done.added, ["GET /v2/{any}/x.json", "GET /v2/items/x.json"]);
    let meaning = Meaning::of(&done.policy);
    assert!(!meaning.allows("GET", "/v2/items/x.json", &["global"]));
    assert!(meaning.allows("GET", "/v2/items/y.json", &["global"]));
}

#[test]
fn only_a_policy_of_this_name_is_added_to() {
    for (existing, why) in [
        ("name = [", "it is not TOML"),
        ("hosts = []\n[routes]\n", "it has no name"),
        ("name = \"else\"\nhosts = []\n[routes]\n", "it is \"else\", and not \"shop\""),
        ("name = \"shop\"\n[routes]\n", "it has no list of hosts"),
        ("name = \"shop\"\nhosts = []\n", "it has no table [routes]"),
        ("name = \"shop\"\nhosts = []\nroutes = {}\n", "it has no table [routes]"),
        ("name = \"shop\"\nhosts = []\n[routes]\n\"GET x\" = {}", "its route \"GET x\" cannot be read"),
    ] {
        let told = import(&own("shop.yaml"), &options(existing)).unwrap_err();
        assert_eq!(told.place, "the policy in force");
        assert!(told.why.starts_with(why), "{told}");
    }
}

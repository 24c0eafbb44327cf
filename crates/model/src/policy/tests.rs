use super::*;
use crate::ask::Path;

fn own() -> Policy {
    Policy::compile(OWN_POLICY).unwrap()
}

#[test]
fn the_own_policy_compiles_and_numbers_the_constants() {
    let policy = own();
    assert_eq!(policy.name(Action::PURGE_ALL), "purge:all");
    assert_eq!(policy.action("token:create"), Some(Action::TOKEN_CREATE));
    assert_eq!(
        policy.scope_names(),
        ["automation_token:mint", "feed", "global", "global:read", "introspect", "purge_all", "purge_select"]
    );
    assert_eq!(policy.role_names(), ["billing", "engineer", "gate", "superuser", "user"]);
}

#[test]
fn routes_know_their_service() {
    let policy = own();
    let path = Path::new("/service/abc/purge/key%20one");
    let found = policy.route(Method::Post, &path).unwrap();
    assert_eq!((found.access, found.service), (Access::Action(Action::PURGE_KEY), Some("abc")));
    assert_eq!(policy.route(Method::Get, &path).unwrap_err(), Unmatched::NoRoute);
}

#[test]
fn a_service_is_found_among_words_and_as_a_rest() {
    let routes = r#"
        "GET /a/x-{service}.json/{id}" = { action = "order:read" }
        "GET /b/{id}/{shelf}" = { action = "order:read", service = "shelf" }
        "GET /c/{*service}" = { action = "order:read" }
    "#;
    let text = SHOP.replace("[routes]\n", &format!("[routes]\n{routes}"));
    let policy = own().with(&[ApiSource { text: Some(&text), retired: &[] }]).unwrap();
    let host = Host::parse("api.shop.example.com").unwrap();
    for (path, service) in [
        ("/a/x-one.json/2", "one"),
        ("/a/x-x-.json.json/2", "x-.json"),
        ("/b/2/one", "one"),
        ("/c/one/2", "one/2"),
    ] {
        let path = Path::new(path);
        let found = policy.route_at(&host, Method::Get, &path).unwrap();
        assert_eq!(found.service, Some(service), "{path:?}");
    }
}

#[test]
fn only_an_open_rest_may_be_read_in_two_ways() {
    let policy = own();
    let url = Path::new("/purge/http://example.com//a;b");
    assert_eq!(policy.route(Method::Post, &url).unwrap().access, Access::Action(Action::PURGE_URL));
    for path in
        ["/tokens//self", "/service/a/../b", "/tokens/self;x", "/./purge/x", "//purge/x", "/purge/../tokens"]
    {
        assert_eq!(policy.route(Method::Get, &Path::new(path)).unwrap_err(), Unmatched::Ambiguous, "{path}");
        assert_eq!(policy.route(Method::Post, &Path::new(path)).unwrap_err(), Unmatched::Ambiguous, "{path}");
    }
}

#[test]
fn a_list_of_scopes_is_their_union_and_nothing_is_none() {
    let policy = own();
    let both = policy.scopes("purge_all purge_select").unwrap();
    assert!(both.contains(Action::PURGE_ALL) && both.contains(Action::PURGE_KEY));
    for names in ["", " ", "purge_all  purge_select", "PURGE_ALL", "root"] {
        assert_eq!(policy.scopes(names), None, "{names:?}");
    }
}

#[test]
fn mistakes_are_named() {
    let with = |from: &str, to: &str| Policy::compile(&OWN_POLICY.replace(from, to)).unwrap_err().to_string();
    assert!(with("\"@read\", \"token:revoke_self\"", "").contains("\"global:read\" is empty"));
    assert!(with("[\"purge:all\", ", "[\"purge:al\", ").contains("\"purge:al\""));
    assert!(with("\"purge:all\" = {}", "").contains("lacks \"purge:all\""));
    assert!(with("{ public = true }", "{ pubic = true }").contains("pubic"));
}

#[test]
fn only_reads_and_purges_of_keys_and_urls_do_not_count_and_revokes_are_never_refused_for_it() {
    let policy = own();
    for action in [Action::TOKEN_CREATE, Action::TOKEN_REVOKE, Action::SUDO_START, Action::PURGE_ALL] {
        assert!(policy.is_counted(action), "{action:?}");
    }
    let uncounted =
        [Action::TOKEN_READ, Action::SERVICE_LIST, Action::PURGE_KEY, Action::AUTOMATION_TOKEN_CREATE];
    for action in uncounted {
        assert!(!policy.is_counted(action), "{action:?}");
    }
    assert!(policy.is_urgent(Action::TOKEN_REVOKE_ANY) && !policy.is_urgent(Action::TOKEN_CREATE));
}

const SHOP: &str = r#"
name = "shop"
hosts = ["api.shop.example.com"]
customers = "all"

[actions]
"order:read" = { read = true }
"order:write" = {}
"catalogue:read" = { read = true, common = true }
"admin" = { explicit = true }

[scopes]
"shop:read" = ["@read"]
"shop:admin" = ["admin"]

[roles]
"clerk" = ["order:read"]
"engineer" = ["*"]

[routes]
"GET /orders/{order}" = { action = "order:read" }
"GET /orders/admin" = { action = "admin" }
"POST /projects/{project}/orders" = { action = "order:write", service = "project" }
"GET /catalogue" = { action = "catalogue:read" }
"GET /files/{name}" = { action = "order:read", allow = ["%2f", ";"] }
"GET /health" = { public = true }
"GET /new" = { unclassified = true }

[[cases]]
ask = "GET /orders/1"
scope = "shop:read"
role = "clerk"
expect = "allow"

[[cases]]
ask = "POST /projects/1/orders"
scope = "global:read"
expect = "read_only"

[[cases]]
ask = "GET /orders/1"
services = ["1"]
expect = "service_limited"

[[cases]]
ask = "GET /catalogue"
services = ["1"]
expect = "allow"

[[cases]]
ask = "GET /new"
expect = "unclassified"

[[cases]]
ask = "GET /orders/admin"
expect = "insufficient_scope"
"#;

fn shop() -> Policy {
    own().with(&[ApiSource { text: Some(SHOP), retired: &[] }]).unwrap()
}

fn at_shop(policy: &Policy, path: &str) -> Result<Access, Unmatched> {
    let host = Host::parse("API.shop.example.com:443").unwrap();
    policy.route_at(&host, Method::Get, &Path::new(path)).map(|found| found.access)
}

#[test]
fn a_protected_api_has_routes_scopes_and_roles_of_its_own() {
    let policy = shop();
    let read = policy.action("shop/order:read").unwrap();
    let admin = policy.action("shop/admin").unwrap();
    assert_eq!(at_shop(&policy, "/orders/1"), Ok(Access::Action(read)));
    assert_eq!(at_shop(&policy, "/health"), Ok(Access::Public));
    assert_eq!(at_shop(&policy, "/new"), Ok(Access::Unclassified));
    assert_eq!(at_shop(&policy, "/nowhere"), Err(Unmatched::NoRoute));
    assert_eq!(at_shop(&policy, "/tokens"), Err(Unmatched::NoRoute), "Keygate's own are elsewhere");
    let global = policy.scope("global").unwrap();
    assert!(global.contains(read) && !global.contains(admin), "what is explicit is in no *");
    let engineer = policy.role("engineer").unwrap();
    assert!(engineer.contains(read) && !engineer.contains(admin) && engineer.contains(Action::PURGE_KEY));
    assert!(policy.scope("global:read").unwrap().contains(read));
    assert!(policy.permission(Permission::ReadOnly).contains(read));
    assert_eq!(policy.smallest_scope(admin), Some("shop:admin"));
}

#[test]
fn its_cases_are_put_to_the_law() {
    let policy = shop();
    for case in policy.cases(&policy.apis()[0]).unwrap() {
        assert!(case.passes(), "{case}");
    }
}

#[test]
fn what_a_laxer_server_takes_for_another_action_is_ambiguous() {
    let policy = shop();
    for path in [
        "/orders/ADMIN",
        "/Orders/../orders/1",
        "/orders//1",
        "/orders/a%2fb",
        "/orders/a;b",
        "/orders/%61dmin",
    ] {
        assert_eq!(at_shop(&policy, path), Err(Unmatched::Ambiguous), "{path}");
    }
    assert!(at_shop(&policy, "/orders/ABC").is_ok(), "no other action is near");
    assert_eq!(at_shop(&policy, "/ORDERS/1"), Err(Unmatched::NoRoute));
    for path in ["/files/a%2fb", "/files/a;b"] {
        assert!(at_shop(&policy, path).is_ok(), "{path} is allowed there");
    }
    for path in ["/files/a%2f..%2fb", "/files/..%2fb", "/files/a%25b", "/files/..;/b"] {
        assert_eq!(at_shop(&policy, path), Err(Unmatched::Ambiguous), "{path}");
    }
}

#[test]
fn words_of_a_policy_that_was_taken_back_mean_nothing() {
    let retired = ["scope shop:read".to_owned(), "role clerk".to_owned()];
    let policy = own().with(&[ApiSource { text: None, retired: &retired }]).unwrap();
    assert_eq!(policy.scopes("global shop:read"), policy.scope("global"));
    assert_eq!(policy.scopes("shop:read"), Some(ActionSet::EMPTY));
    assert_eq!(policy.seen_by(None).scopes_on_offer("global shop:read"), None);
    assert!(policy.seen_by(None).role_on_offer("clerk").is_none() && !policy.role_names().contains(&"clerk"));
    assert_eq!(policy.scopes("shop:other"), None);
}

#[test]
fn one_that_cannot_be_read_takes_no_other_with_it() {
    let source = |text| ApiSource { text: Some(text), retired: &[] };
    let (policy, why) = own().with_readable(&[source("name = 1"), source(SHOP)]);
    assert_eq!((policy.apis().len(), why.len()), (1, 1));
    let other = SHOP.replace("\"shop\"", "\"other\"");
    let (policy, why) = own().with_readable(&[source(SHOP), source(&other)]);
    assert_eq!((policy.apis().len(), why.len()), (1, 1), "one host, two policies: {why:?}");
}

#[test]
fn mistakes_of_a_protected_api_are_named() {
    let with = |from: &str, to: &str| {
        let text = SHOP.replace(from, to);
        own().with(&[ApiSource { text: Some(&text), retired: &[] }]).unwrap_err().to_string()
    };
    assert!(with("\"api.shop", "\"API.shop").contains("\"API.shop.example.com\""));
    assert!(with("\"all\"", "\"every\"").contains("\"every\""));
    assert!(with("\"all\"", "[]").contains("customers is empty"));
    assert!(with("customers = \"all\"", "").contains("customers"));
    assert!(with("[\"@read\"]", "[]").contains("\"shop:read\""));
    assert!(with("\"order:read\" }", "\"order:reed\" }").contains("\"order:reed\""));
    assert!(with("service = \"project\"", "service = \"projekt\"").contains("{projekt}"));
    assert!(with("GET /health", "HEAD /health").contains("HEAD"));
    assert!(with("{ public = true }", "{ public = true, unclassified = true }").contains("GET /health"));
    assert!(with("\"%2f\"", "\"%00\"").contains("%00"));
    assert!(with("name = \"shop\"", "name = \"Shop\"").contains("\"Shop\""));
}

#[test]
fn what_is_hidden_has_no_name_and_what_is_named_is_not_in_read() {
    let id = CustomerId::from_bits(7);
    let hidden = SHOP.replace("\"all\"", &format!("[\"{id}\"]"));
    let hidden =
        hidden.replace("\"admin\" = { explicit = true }", "\"admin\" = { explicit = true, read = true }");
    let policy = own().with(&[ApiSource { text: Some(&hidden), retired: &[] }]).unwrap();
    let all = policy.scope("global").unwrap().union(policy.scope("shop:admin").unwrap());
    for (customer, sees) in [(Some(id), true), (Some(CustomerId::from_bits(8)), false), (None, false)] {
        let seen = policy.seen_by(customer);
        assert_eq!(seen.excess(all).contains("shop/"), sees);
        assert_eq!(seen.scope_names().contains(&"shop:read"), sees);
        assert_eq!(seen.scopes_on_offer("global shop:read").is_some(), sees);
        assert_eq!(seen.role_names().contains(&"clerk"), sees);
        assert_eq!(seen.role_on_offer("clerk").is_some(), sees);
        assert!(seen.role_on_offer("engineer").is_some());
        assert_eq!(policy.names(seen.role("engineer")).iter().any(|name| name.starts_with("shop/")), sees);
    }
    let admin = policy.action("shop/admin").unwrap();
    for scope in ["global", "global:read", "shop:read"] {
        assert!(!policy.scope(scope).unwrap().contains(admin), "{scope}");
    }
    let only = policy.scope("shop:read").unwrap().minus(policy.scope("purge_all").unwrap());
    assert!(policy.seen_by(None).excess(only).contains("not yours"));
}

#[test]
fn routes_that_no_request_can_mean_let_nothing_in() {
    let with = |route: &str| {
        let text = format!("{SHOP}\n").replace("\"GET /health\"", &format!("\"GET {route}\""));
        own().with(&[ApiSource { text: Some(&text), retired: &[] }])
    };
    assert!(with("/health/{x}").is_ok() && with(&"/a".repeat(63)).is_ok());
    for route in
        ["health", "/a//b", "/a/../b", "/a;b", "/a%2fb", "/a?b", "/a b", "/{{a}}", "/a-{*rest}", "/%61", ""]
    {
        // A mistake, or a route that is there in vain: what may be read in two ways is refused before it is looked for.
        assert!(with(route).map_or(true, |policy| at_shop(&policy, route).is_err()), "{route}");
    }
    assert!(with(&"/a".repeat(64)).is_err());
}

#[test]
fn a_twin_is_found_among_more_routes_than_are_looked_at_before() {
    let mut text = SHOP.replace("\"GET /health\" = { public = true }\n", "");
    text.truncate(text.find("[[cases]]").unwrap());
    for number in 0..500 {
        text.push_str(&format!("\"GET /w{number}/y\" = {{ action = \"order:read\" }}\n"));
    }
    text.push_str("\"GET /{p}/x\" = { action = \"order:read\" }\n\"GET /zz/x\" = { action = \"admin\" }\n");
    let policy = own().with(&[ApiSource { text: Some(&text), retired: &[] }]).unwrap();
    assert_eq!(at_shop(&policy, "/ZZ/x"), Err(Unmatched::Ambiguous));
    assert!(at_shop(&policy, "/Z/x").is_ok());
}

#[test]
fn there_are_only_so_many_scopes() {
    let mut text = SHOP.to_owned();
    let scopes: String = (0..5000).map(|number| format!("s{number} = [\"*\"]\n")).collect();
    text = text.replace("[scopes]\n", &format!("[scopes]\n{scopes}"));
    let refused = own().with(&[ApiSource { text: Some(&text), retired: &[] }]);
    assert!(matches!(refused, Err(BadPolicy::TooManyNames(_))));
}

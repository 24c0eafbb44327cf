use super::*;

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
        ["automation_token:mint", "global", "global:read", "introspect", "purge_all", "purge_select"]
    );
    assert_eq!(policy.role_names(), ["billing", "engineer", "superuser", "user"]);
}

#[test]
fn routes_know_their_service() {
    let policy = own();
    let path = Path::new("/service/abc/purge/key%20one");
    let found = policy.route(Method::Post, &path).unwrap();
    assert_eq!(found, Matched { access: Access::Action(Action::PURGE_KEY), service: Some("abc") });
    assert_eq!(policy.route(Method::Get, &path), Err(Unmatched::NoRoute));
}

#[test]
fn only_an_open_rest_may_be_read_in_two_ways() {
    let policy = own();
    let url = Path::new("/purge/http://example.com//a;b");
    assert_eq!(policy.route(Method::Post, &url).unwrap().access, Access::Action(Action::PURGE_URL));
    for path in
        ["/tokens//self", "/service/a/../b", "/tokens/self;x", "/./purge/x", "//purge/x", "/purge/../tokens"]
    {
        assert_eq!(policy.route(Method::Get, &Path::new(path)), Err(Unmatched::Ambiguous), "{path}");
        assert_eq!(policy.route(Method::Post, &Path::new(path)), Err(Unmatched::Ambiguous), "{path}");
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

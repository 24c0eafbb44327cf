//! `fastly auth add | list | revoke --name`: tokens that the CLI keeps.

use crate::{fastly::HINT_401, house::House};

#[test]
fn a_token_is_stored_under_its_own_name_or_another_and_used() {
    let house = House::new(&[]);
    let stored = house.fastly_without_token();
    let ci = house.token(&["--name", "ci"]);
    assert_eq!(stored.run(&["auth", "list"]).ok(), "No tokens stored. Run `fastly auth login` to add one.");
    let told = stored.run(&["auth", "add", "--api-token", &ci.secret]).words();
    assert!(told.starts_with("SUCCESS: Token \"ci\" added\nINFO: Token \"ci\" set as default"), "{told}");
    let told = stored.run(&["auth", "add", "work", "--api-token", &house.root]).words();
    assert!(told.starts_with("SUCCESS: Token \"work\" added\n"), "{told}");
    let listed = stored.run(&["auth", "list"]).words();
    assert!(
        listed.contains("* ci (ada@example.com)\n") && listed.contains("work (ada@example.com)\n"),
        "{listed}"
    );
    assert_eq!(stored.run(&["whoami"]).ok(), "ada <ada@example.com>", "by the default");
    assert!(stored.run(&["whoami", "--verbose", "--token", "work"]).words().contains("Token name: root\n"));
}

#[test]
fn a_stored_token_is_revoked_by_its_name_and_forgotten() {
    let house = House::new(&[]);
    let stored = house.fastly_without_token();
    let ci = house.token(&["--name", "ci"]);
    stored.run(&["auth", "add", "--api-token", &house.root]).ok();
    stored.run(&["auth", "add", "--api-token", &ci.secret]).ok();
    let told = stored.run(&["auth", "revoke", "--name", "ci", "-y"]).words();
    assert_eq!(told, "SUCCESS: Revoked token \"ci\"\nINFO: Removed local token entry \"ci\"\n");
    assert_eq!(stored.run(&["auth", "list"]).words(), "* root (ada@example.com)\n");
    assert!(!house.is_alive(&ci.secret) && house.is_alive(&house.root));
}

#[test]
fn a_token_limited_to_services_is_stored_although_it_may_not_ask_who_its_owner_is() {
    let house = House::new(&[]);
    let limited = house.token(&["--name", "limited", "--services", &house.shop]);
    let refused = house.get("/current_user", &limited.secret);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(house.get("/tokens/self", &limited.secret).status, 200);
    let stored = house.fastly_without_token();
    let told = stored.run(&["auth", "add", "--api-token", &limited.secret]).words();
    assert!(told.starts_with("SUCCESS: Token \"limited\" added\n"), "{told}");
    assert_eq!(
        stored.run(&["auth", "list"]).words(),
        "* limited (static)\n",
        "without the address of its owner"
    );
    assert_eq!(stored.run(&["whoami"]).ok(), "ada <ada@example.com>");
}

#[test]
fn a_token_for_purging_only_is_stored() {
    let house = House::new(&[]);
    let stored = house.fastly_without_token();
    for scope in ["purge_select", "purge_all"] {
        let token = house.scoped(scope, scope);
        let told = stored.run(&["auth", "add", "--api-token", &token.secret]).words();
        assert!(told.starts_with(&format!("SUCCESS: Token \"{scope}\" added\n")), "{told}");
    }
}

#[test]
fn what_is_no_living_token_is_not_stored() {
    let house = House::new(&[]);
    let stored = house.fastly_without_token();
    let gone = house.token(&["--name", "gone"]);
    house.ada().run(&["auth-token", "delete", "--id", &gone.id]).ok();
    for secret in [gone.secret.as_str(), "nonsense", "kgu_nonsense"] {
        let ran = stored.run(&["auth", "add", "bad", "--api-token", secret]);
        let why = "the Fastly API returned 401 Unauthorized: Provided credentials are missing or invalid";
        assert!(ran.error().starts_with(why), "{ran}");
        assert!(ran.hint().starts_with(HINT_401), "{ran}");
    }
    assert_eq!(stored.run(&["auth", "list"]).ok(), "No tokens stored. Run `fastly auth login` to add one.");
}

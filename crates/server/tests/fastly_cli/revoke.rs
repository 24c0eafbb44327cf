//! `fastly auth-token delete`, `fastly auth revoke`: what is revoked is dead at once, and says so.

use crate::{
    fastly::{HINT_401, Ran},
    house::{House, Made},
};

#[test]
fn auth_token_delete_by_id_by_file_and_the_current_one() {
    let house = House::new(&[]);
    let tokens: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| house.token(&["--name", name])).collect();
    let [a, b, c, d] = &tokens[..] else { unreachable!("four were made") };
    let told = house.ada().run(&["auth-token", "delete", "--id", &a.id]);
    assert_eq!(told.ok(), format!("SUCCESS: Deleted token '{}'", a.id));
    let told = house.ada().run(&["auth-token", "delete", "--file", &house.file(&[&b.id, &c.id])]);
    assert_eq!(told.ok(), "SUCCESS: Deleted tokens");
    assert_eq!(house.token_names(), ["root", "d"]);
    let told = house.fastly(&d.secret).run(&["auth-token", "delete", "--current"]);
    assert_eq!(told.ok(), "SUCCESS: Deleted current token");
    assert_eq!(house.token_names(), ["root"]);
    for token in [a, b, c, d] {
        assert_dead(&house, token);
    }
}

#[test]
fn auth_revoke_by_id_by_file_by_value_and_the_current_one() {
    let house = House::new(&[]);
    let tokens: Vec<_> =
        ["a", "b", "c", "d", "e"].iter().map(|name| house.token(&["--name", name])).collect();
    let [a, b, c, d, e] = &tokens[..] else { unreachable!("five were made") };
    let told = house.ada().run(&["auth", "revoke", "--id", &a.id]);
    assert_eq!(first_line(&told), format!("SUCCESS: Revoked token '{}'", a.id));
    let told = house.ada().run(&["auth", "revoke", "--file", &house.file(&[&b.id, &c.id])]);
    assert_eq!(first_line(&told), "SUCCESS: Revoked 2 token(s)");
    let told = house.ada().run(&["auth", "revoke", "--token-value", &d.secret]);
    assert_eq!(first_line(&told), "SUCCESS: Revoked token");
    let told = house.fastly(&e.secret).run(&["auth", "revoke", "--current", "-y"]);
    assert_eq!(first_line(&told), "SUCCESS: Revoked current token");
    assert_eq!(house.token_names(), ["root"]);
    for token in [a, b, c, d, e] {
        assert_dead(&house, token);
    }
}

#[test]
fn revoking_again_changes_nothing() {
    let house = House::new(&[]);
    let gone = house.token(&["--name", "gone"]);
    house.ada().run(&["auth", "revoke", "--id", &gone.id]).ok();
    assert_eq!(house.events("token.destroy").len(), 1);
    house.ada().run(&["auth", "revoke", "--id", &gone.id]).ok();
    let told = house.ada().run(&["auth", "revoke", "--token-value", &gone.secret]);
    assert_eq!(first_line(&told), "WARNING: Token was already revoked remotely");
    let told = house.fastly(&gone.secret).run(&["auth", "revoke", "--current", "-y"]);
    assert!(told.error().starts_with("the Fastly API returned 401 Unauthorized: "), "{told}");
    assert_eq!(house.events("token.destroy").len(), 1, "nothing happened, so nothing is written down");
}

#[test]
fn a_list_with_a_token_that_is_not_there_revokes_none() {
    let house = House::new(&[]);
    let kept = house.token(&["--name", "kept"]);
    let list = house.file(&[&kept.id, "nonsense"]);
    let told = house.ada().run(&["auth", "revoke", "--file", &list]);
    let missing = "the Fastly API returned 404 Not Found: Record not found (Cannot find token 'nonsense').";
    assert_eq!(told.error(), missing);
    assert!(house.is_alive(&kept.secret));
    assert_eq!(house.ada().run(&["auth-token", "delete", "--file", &list]).error(), missing);
    assert_eq!(house.ada().run(&["auth-token", "delete", "--id", "nonsense"]).error(), missing);
    let told = house.ada().run(&["auth", "revoke", "--id", "nonsense"]);
    assert_eq!(first_line(&told), "WARNING: Token was already revoked remotely", "what the CLI makes of 404");
    assert!(house.events("token.destroy").is_empty());
}

/// Refused whatever it asks for, told why, and written down.
fn assert_dead(house: &House, token: &Made) {
    let ran = house.fastly(&token.secret).run(&["service", "list"]);
    let why = "the Fastly API returned 401 Unauthorized: Provided credentials are missing or invalid (Token ";
    assert!(ran.error().starts_with(&format!("{why}{} was revoked at ", token.id)), "{ran}");
    assert!(ran.hint().starts_with(HINT_401), "{ran}");
    let ran = house.fastly(&token.secret).run(&["whoami"]);
    assert!(ran.error().starts_with("error executing API request: "), "{ran}");
    assert!(ran.hint().starts_with(HINT_401), "{ran}");
    let told =
        house.events("token.destroy").into_iter().filter(|event| event["token_id"] == token.id.as_str());
    assert_eq!(told.count(), 1);
}

fn first_line(ran: &Ran) -> &str {
    ran.ok().lines().next().unwrap_or_default()
}

use keygate_authority::{customer, invitation::NewInvitation, token::Order, user::Changes};
use keygate_model::{
    Action, AuthorizationId, Deny, InvitationId, Networks, Record, Subject, UserId, Verdict,
    authorization::Permission, link::LinkCode, token::Digest, user::Login,
};

use super::{intruder, named, tamper, x};
use crate::{
    ask::automation,
    house::{House, PASSWORD, Person, at, noon, operator, said},
};

const OTHER: &str = "another long enough one";

async fn invited(house: &House, boss: &Person, email: &str) -> (String, InvitationId) {
    let new = NewInvitation {
        id: InvitationId::from_bytes(house.ground.draw()),
        email: Login::parse(email).expect("an address"),
        role: "user".to_owned(),
        limited: true,
        grants: Vec::new(),
        code: LinkCode::new(&house.ground.draw()),
    };
    let sent = house.authority.invite(&operator(boss.customer), &at(noon()), new).await.expect("sent");
    (sent.code.reveal().to_string(), sent.row.id)
}

async fn accept(house: &House, code: &str) -> String {
    let id = UserId::from_bytes(house.ground.draw());
    let password = house.new_password(PASSWORD);
    said(house.authority.accept_invitation(&at(noon()), code, id, "Eve", password).await)
}

#[tokio::test]
async fn neither_a_link_nor_a_grant_can_be_planted_in_a_person() {
    let house = House::new();
    let (ada, _) = house.boss("ada").await;
    let shop = house.service(ada.customer, "shop").await;
    let code = "the intruder's own code";
    let other = house.hire(ada.customer, "other", "engineer", true).await;
    house.grant(ada.customer, other.id, shop, Permission::Full).await;
    let late = noon().micros() + 3_600_000_000;
    let edits = [
        format!("reset = {}, reset_until = {late}", x(Digest::of(code.as_bytes()).bytes())),
        "reset_until = reset_until + 1".to_owned(),
        "grants = replace(grants, 'read_only', 'full')".to_owned(),
        "grants = (SELECT grants FROM users WHERE login = 'other')".to_owned(),
        "grants = 'no list'".to_owned(),
        "limited = 0".to_owned(),
        "must_change = 0".to_owned(),
    ];
    let mut victims = Vec::new();
    for (nth, edit) in edits.iter().enumerate() {
        let victim = house.hire(ada.customer, &format!("victim-{nth}"), "engineer", true).await;
        house.grant(ada.customer, victim.id, shop, Permission::ReadOnly).await;
        let token = house.token(&victim).await;
        let must = Changes { must_change: Some(true), ..Default::default() };
        house.authority.update_user(&operator(ada.customer), &at(noon()), victim.id, must).await.unwrap();
        assert_eq!(house.asks(token.id, Action::SERVICE_UPDATE, Some(shop)), "insufficient_permission");
        tamper(&house, &format!("UPDATE users SET {edit} WHERE id = {}", x(&victim.id.to_bytes())));
        victims.push((victim, token));
    }
    assert_eq!(said(house.reset(code, OTHER, noon()).await), "tampered user");
    let beside = house.beside();
    let named = named(&house).await;
    assert_eq!(named.len(), edits.len());
    for (edit, (victim, token)) in edits.iter().zip(&victims) {
        assert!(named.contains(&("user", victim.id.to_string())), "{edit}");
        for action in [Action::SERVICE_UPDATE, Action::SERVICE_READ] {
            assert_eq!(beside.asks(token.id, action, Some(shop)), "owner_missing", "{edit}");
        }
        let told = beside.log_in_with(victim.login.as_str(), PASSWORD).await;
        assert_eq!(said(told), "tampered user", "{edit}");
    }
}

#[tokio::test]
async fn a_person_is_not_set_back_to_an_old_password_or_an_old_grant() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let shop = house.service(ada.customer, "shop").await;
    let eve = house.hire(ada.customer, "eve", "engineer", true).await;
    let grant = house.grant(ada.customer, eve.id, shop, Permission::Full).await;
    let token = house.token(&eve).await;
    let db = intruder(&house);
    let id = x(&eve.id.to_bytes());
    db.execute_batch(&format!("CREATE TEMP TABLE old AS SELECT * FROM users WHERE id = {id}")).unwrap();
    let permit = house.may(&root, Action::AUTHORIZATION_UPDATE);
    house.authority.delete_authorizations(&permit, &at(noon()), vec![grant]).await.unwrap();
    let (code, _) = house.reset_link("eve", noon()).await.unwrap();
    house.reset(&code, OTHER, noon()).await.unwrap();
    let back = format!("DELETE FROM users WHERE id = {id}; INSERT INTO users SELECT * FROM temp.old");
    db.execute_batch(&back).unwrap();
    assert_eq!(said(house.log_in_with("eve", PASSWORD).await), "tampered user");
    let beside = house.beside();
    assert_eq!(named(&beside).await, [("user", eve.id.to_string())]);
    assert_eq!(beside.asks(token.id, Action::SERVICE_UPDATE, Some(shop)), "owner_missing");
    assert_eq!(said(beside.log_in_with("eve", PASSWORD).await), "tampered user");
}

/// The index is not sealed, and need not be: what it leads to is.
#[tokio::test]
async fn an_entry_of_the_index_gives_nothing() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (rival, _) = house.boss("rival").await;
    let theirs = house.service(rival.customer, "theirs").await;
    let his = house.hire(rival.customer, "his", "engineer", true).await;
    let real = house.grant(rival.customer, his.id, theirs, Permission::ReadOnly).await;
    let planted = AuthorizationId::from_bits(7);
    let adas = x(&ada.id.to_bytes());
    tamper(&house, &format!("INSERT INTO authorizations VALUES ({}, {adas})", x(&planted.to_bytes())));
    let id = x(&real.to_bytes());
    tamper(&house, &format!("UPDATE authorizations SET user_id = {adas} WHERE id = {id}"));
    for id in [planted, real] {
        let permit = house.may(&root, Action::AUTHORIZATION_UPDATE);
        let changes = vec![(id, Permission::Full)];
        let told = house.authority.update_authorizations(&permit, &at(noon()), changes).await;
        assert_eq!(said(told), "missing serviceauthorization");
    }
}

#[tokio::test]
async fn neither_a_code_nor_a_role_can_be_planted_in_an_invitation() {
    let house = House::new();
    let (ada, _) = house.boss("ada").await;
    let own = "the intruder's own code";
    let edits = [
        format!("code = {}", x(Digest::of(own.as_bytes()).bytes())),
        "role = 'superuser'".to_owned(),
        "limited = 0".to_owned(),
        "email = 'mallory'".to_owned(),
        "expires_at = expires_at + 1".to_owned(),
        "grants = 'no list'".to_owned(),
        "state = 'odd'".to_owned(),
        "customer_id = zeroblob(16)".to_owned(),
    ];
    let mut victims = Vec::new();
    for (nth, edit) in edits.iter().enumerate() {
        let (code, id) = invited(&house, &ada, &format!("victim-{nth}")).await;
        tamper(&house, &format!("UPDATE invitations SET {edit} WHERE id = {}", x(&id.to_bytes())));
        victims.push((if nth == 0 { own.to_owned() } else { code }, id));
    }
    // One that was taken back, set back.
    let (code, id) = invited(&house, &ada, "back").await;
    let db = intruder(&house);
    let row = x(&id.to_bytes());
    db.execute_batch(&format!("CREATE TEMP TABLE old AS SELECT * FROM invitations WHERE id = {row}"))
        .unwrap();
    house.authority.delete_invitation(&operator(ada.customer), &at(noon()), id).await.unwrap();
    let back =
        format!("DELETE FROM invitations WHERE id = {row}; INSERT INTO invitations SELECT * FROM temp.old");
    db.execute_batch(&back).unwrap();
    victims.push((code, id));
    // And one that nobody sent.
    let planted = x(Digest::of(b"planted").bytes());
    let copy = format!(
        "UPDATE temp.old SET id = zeroblob(16), code = {planted}; INSERT INTO invitations SELECT * FROM temp.old"
    );
    db.execute_batch(&copy).unwrap();
    victims.push(("planted".to_owned(), InvitationId::from_bits(0)));
    for house in [&house, &house.beside()] {
        let named = named(house).await;
        assert_eq!(named.len(), victims.len(), "{named:?}");
        for (code, id) in &victims {
            assert!(named.contains(&("invitation", id.to_string())));
            assert_eq!(accept(house, code).await, "tampered invitation");
        }
    }
    assert_eq!(house.authority.users(&operator(ada.customer)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_customer_rules_cannot_be_edited_or_set_back() {
    let edits = [
        r#"settings = replace(settings, '"force_2fa":true', '"force_2fa":false')"#,
        r"settings = replace(settings, '192.0.2.0/24', '0.0.0.0/0')",
        r"settings = replace(settings, 'nobody', 'superusers_and_tokens')",
        "settings = '{}'",
        "profile = 'no map'",
        "contacts = 'no list'",
        "settings = (SELECT settings FROM temp.old)",
        // All of it, as it was.
        "(name, state, settings, profile, contacts, updated_at, position, mac) =
         (SELECT name, state, settings, profile, contacts, updated_at, position, mac FROM temp.old)",
    ];
    for edit in edits {
        let house = House::new();
        let (ada, root) = house.boss("ada").await;
        let id = x(&ada.customer.to_bytes());
        let db = intruder(&house);
        db.execute_batch(&format!("CREATE TEMP TABLE old AS SELECT * FROM customers WHERE id = {id}"))
            .unwrap();
        let strict = customer::Changes {
            ip_whitelist: Networks::parse("192.0.2.0/24").ok(),
            force_2fa: Some(true),
            automation_token_makers: Some(customer::Makers::Nobody),
            ..Default::default()
        };
        house.authority.update_customer(&operator(ada.customer), &at(noon()), strict).await.unwrap();
        assert_eq!(house.asks(root.id, Action::EVENT_READ, None), "two_factor_required");
        db.execute_batch(&format!("UPDATE customers SET {edit} WHERE id = {id}")).unwrap();
        assert_eq!(named(&house).await, [("customer", ada.customer.to_string())], "{edit}");
        let beside = house.beside();
        let subject = Subject::Customer(ada.customer);
        assert_eq!(beside.told.last_about(subject), Some(Record::Broken(subject)), "{edit}");
        assert_eq!(beside.asks(root.id, Action::EVENT_READ, None), "owner_missing", "{edit}");
        assert_eq!(said(beside.order(&ada, Order::default()).await), "tampered customer", "{edit}");
    }
}

#[tokio::test]
async fn no_token_is_given_another_role_or_owner() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let edits = [
        "role = 'superuser'".to_owned(),
        "role = NULL".to_owned(),
        format!("role = NULL, user_id = {}", x(&ada.id.to_bytes())),
        format!("user_id = {}", x(&ada.id.to_bytes())),
        "creator_id = NULL".to_owned(),
        "parent_id = NULL".to_owned(),
        "foreign_secret = 1".to_owned(),
        "tls_access = 1".to_owned(),
    ];
    let mut victims = Vec::new();
    for edit in &edits {
        let victim = house.automation(&root, automation("user")).await.unwrap();
        tamper(&house, &format!("UPDATE tokens SET {edit} WHERE id = {}", x(&victim.id.to_bytes())));
        victims.push((victim.id, house.digest(victim.id)));
    }
    let beside = house.beside();
    let named = named(&beside).await;
    assert_eq!(named.len(), edits.len());
    for (edit, (id, digest)) in edits.iter().zip(&victims) {
        assert!(named.contains(&("token", id.to_string())), "{edit}");
        let verdict = beside.verdict(digest, Action::TOKEN_READ_SELF, None);
        assert_eq!(verdict, Verdict::Deny(Deny::Unknown), "{edit}");
        let read = beside.may(&root, Action::AUTOMATION_TOKEN_READ);
        assert_eq!(said(beside.authority.automation_token(&read, *id).await), "tampered token", "{edit}");
    }
}

use std::sync::Arc;

use keygate_authority::{
    Fault,
    invitation::{NewInvitation, Row},
    token::Row as Token,
};
use keygate_model::{
    Action, AuthorizationId, InvitationId, ServiceId, Timestamp, UserId, authorization::Permission,
    customer::CustomerState, link::LinkCode, user::Login,
};

use crate::{
    ask::automation,
    house::{House, PASSWORD, at, details, noon, operator, said, seconds_later},
};

const WEEK: u64 = 7 * 24 * 3600;

type Given = Vec<(AuthorizationId, ServiceId, Permission)>;

impl House {
    pub(crate) async fn invite(
        &self,
        by: &Token,
        email: &str,
        role: &str,
        grants: Option<Given>,
    ) -> Result<(String, Row), Fault> {
        let new = NewInvitation {
            id: InvitationId::from_bytes(self.ground.draw()),
            email: Login::parse(email).expect("an address"),
            role: role.to_owned(),
            limited: grants.is_some(),
            grants: grants.unwrap_or_default(),
            code: LinkCode::new(&self.ground.draw()),
        };
        let sent = self.authority.invite(&self.may(by, Action::INVITATION_CREATE), &at(noon()), new).await?;
        Ok((sent.code.reveal().to_string(), sent.row))
    }

    async fn accept(&self, code: &str, now: Timestamp) -> Result<UserId, Fault> {
        let id = UserId::from_bytes(self.ground.draw());
        let password = self.new_password(PASSWORD);
        self.authority.accept_invitation(&at(now), code, id, "Eve", password).await.map(|row| row.id)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_makes_one_person_however_many_accept_it() {
    let house = Arc::new(House::new());
    let (ada, root) = house.boss("ada").await;
    let (code, _) = house.invite(&root, "eve", "engineer", None).await.unwrap();
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (house, code) = (Arc::clone(&house), code.clone());
        tries.spawn(async move { said(house.accept(&code, noon()).await) });
    }
    let told = tries.join_all().await;
    assert_eq!(told.iter().filter(|told| *told == "fine").count(), 1, "{told:?}");
    assert!(told.iter().all(|told| ["fine", "link_invalid"].contains(&told.as_str())), "{told:?}");
    assert_eq!(house.authority.users(&operator(ada.customer)).await.unwrap().len(), 2);
    house.nothing_tells(ada.customer, &[&code, PASSWORD]).await;
    let kinds = house.since(0, ada.customer).await;
    assert!(kinds.ends_with(&["invitation.accept".to_owned(), "user.create".to_owned()]), "{kinds:?}");
}

#[tokio::test]
async fn an_invitation_stands_only_while_it_should() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let dead = async |code: &str, now| assert_eq!(said(house.accept(code, now).await), "link_invalid");
    let (code, row) = house.invite(&root, "eve", "user", None).await.unwrap();
    assert_eq!(row.expires_at, seconds_later(WEEK));
    dead(&code, seconds_later(WEEK)).await;
    dead("", noon()).await;
    let set = async |state| {
        house.authority.set_customer_state(&operator(ada.customer), &at(noon()), state).await.unwrap();
    };
    set(CustomerState::Suspended).await;
    dead(&code, noon()).await;
    set(CustomerState::Active).await;
    let take_back = async |by: &Token| {
        let permit = house.may(by, Action::INVITATION_DELETE);
        said(house.authority.delete_invitation(&permit, &at(noon()), row.id).await)
    };
    let (_, rivals) = house.boss("rival").await;
    assert_eq!(take_back(&rivals).await, "missing invitation");
    assert_eq!(take_back(&root).await, "fine");
    assert_eq!(take_back(&root).await, "missing invitation");
    dead(&code, noon()).await;
    let (code, _) = house.invite(&root, "eve", "user", None).await.unwrap();
    let weak = house.new_password("password1");
    let id = UserId::from_bytes(house.ground.draw());
    let told = house.authority.accept_invitation(&at(noon()), &code, id, "Eve", weak).await;
    assert_eq!(said(told), "password_breached");
    assert_eq!(said(house.accept(&code, seconds_later(WEEK - 1)).await), "fine");
    dead(&code, noon()).await;
    assert_eq!(said(house.log_in_with("eve", PASSWORD).await), "fine");
    assert_eq!(said(house.invite(&root, "eve", "user", None).await), "taken user");
}

#[tokio::test]
async fn nobody_invites_to_a_wider_role_than_their_own() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let eve = house.hire(ada.customer, "eve", "engineer", false).await;
    let ulf = house.hire(ada.customer, "ulf", "user", false).await;
    let (hers, his) = (house.token(&eve).await, house.token(&ulf).await);
    let bot = house.automation(&root, automation("engineer")).await.unwrap();
    let rows = [
        (
            &root,
            [
                ("superuser", "fine"),
                ("billing", "fine"),
                ("engineer", "fine"),
                ("user", "fine"),
                ("king", "role_invalid"),
            ],
        ),
        (
            &hers,
            [
                ("superuser", "wider"),
                ("billing", "wider"),
                ("engineer", "fine"),
                ("user", "fine"),
                ("king", "role_invalid"),
            ],
        ),
    ];
    for (by, answers) in rows {
        for (role, told) in answers {
            assert_eq!(said(house.invite(by, "new", role, None).await), told, "{role}");
        }
    }
    assert_eq!(house.asks(bot.id, Action::INVITATION_CREATE, None), "token_type_not_allowed");
    assert_eq!(house.asks(his.id, Action::INVITATION_CREATE, None), "insufficient_role");
    let limit = keygate_authority::user::Changes { limited: Some(true), ..Default::default() };
    house.change_user(&root, eve.id, limit).await.unwrap();
    assert_eq!(house.asks(hers.id, Action::INVITATION_CREATE, None), "service_limited");
    assert_eq!(
        said(house.invite(&root, "new", "superuser", Some(Vec::new())).await),
        "user_limited_superuser"
    );
}

#[tokio::test]
async fn who_is_invited_gets_what_was_given() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (_, rivals) = house.boss("rival").await;
    let (shop, blog) = (house.service(ada.customer, "shop").await, house.service(ada.customer, "blog").await);
    let theirs = house.service(rivals.customer, "theirs").await;
    let given = |service, permission| (AuthorizationId::from_bytes(house.ground.draw()), service, permission);
    let foreign = vec![given(shop, Permission::Full), given(theirs, Permission::Full)];
    assert_eq!(said(house.invite(&root, "eve", "engineer", Some(foreign)).await), "service_not_found");
    let twice = vec![given(shop, Permission::Full), given(shop, Permission::ReadOnly)];
    assert_eq!(said(house.invite(&root, "eve", "engineer", Some(twice)).await), "duplicate_field");
    let one = given(shop, Permission::PurgeSelect);
    let (code, sent) = house.invite(&root, "eve", "engineer", Some(vec![one])).await.unwrap();
    let event = house.last(ada.customer, "invitation.sent").await;
    assert_eq!((details(&event)["email"].as_str(), event.actor), (Some("eve"), format!("token {}", root.id)));
    let eve = house.accept(&code, noon()).await.unwrap();
    let row = house.authority.user(ada.customer, eve).await.unwrap();
    assert_eq!((row.role.as_str(), row.limited), ("engineer", true));
    let hers = house.log_in_with("eve", PASSWORD).await.unwrap();
    assert_eq!(house.asks(hers.id, Action::PURGE_KEY, Some(shop)), "fine");
    assert_eq!(house.asks(hers.id, Action::PURGE_ALL, Some(shop)), "insufficient_permission");
    assert_eq!(house.asks(hers.id, Action::SERVICE_READ, Some(blog)), "service_not_granted");
    // It is an authorisation like any other from now on.
    let found =
        house.authority.authorization(&house.may(&root, Action::AUTHORIZATION_READ), one.0).await.unwrap();
    assert_eq!((found.user, found.grant.service), (eve, shop));
    let accepted = house.last(ada.customer, "invitation.accept").await;
    assert_eq!((accepted.user, accepted.actor.as_str()), (Some(eve), "person"));
    let standing = house.authority.invitations(&house.may(&root, Action::INVITATION_READ)).await.unwrap();
    assert!(standing.iter().all(|row| row.id != sent.id));
    house.nothing_tells(ada.customer, &[&code]).await;
    house.count().await;
}

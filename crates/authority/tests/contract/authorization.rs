use keygate_authority::{Fault, token::Row, user::NewAuthorization};
use keygate_model::{Action, AuthorizationId, ServiceId, UserId, authorization::Permission};

use crate::house::{House, Person, at, details, noon, operator, said};

impl House {
    async fn give(
        &self,
        by: &Row,
        user: UserId,
        service: ServiceId,
        permission: Permission,
    ) -> Result<AuthorizationId, Fault> {
        let new = NewAuthorization {
            id: AuthorizationId::from_bytes(self.ground.draw()),
            user,
            service,
            permission,
        };
        let permit = self.may(by, Action::AUTHORIZATION_UPDATE);
        self.authority.create_authorization(&permit, &at(noon()), new).await.map(|made| made.grant.id)
    }

    async fn change(&self, by: &Row, changes: &[(AuthorizationId, Permission)]) -> String {
        let permit = self.may(by, Action::AUTHORIZATION_UPDATE);
        said(self.authority.update_authorizations(&permit, &at(noon()), changes.to_vec()).await)
    }

    async fn take(&self, by: &Row, ids: &[AuthorizationId]) -> String {
        let permit = self.may(by, Action::AUTHORIZATION_UPDATE);
        said(self.authority.delete_authorizations(&permit, &at(noon()), ids.to_vec()).await)
    }
}

/// A limited engineer with two services.
async fn limited(house: &House, boss: &Person) -> (Person, Row, [ServiceId; 2]) {
    let eve = house.hire(boss.customer, "eve", "engineer", true).await;
    let token = house.token(&eve).await;
    let services = [house.service(boss.customer, "shop").await, house.service(boss.customer, "blog").await];
    (eve, token, services)
}

#[tokio::test]
async fn what_is_given_changed_and_taken_is_felt_and_told() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (eve, token, [shop, blog]) = limited(&house, &ada).await;
    let read = || house.asks(token.id, Action::SERVICE_READ, Some(shop));
    let update = || house.asks(token.id, Action::SERVICE_UPDATE, Some(shop));
    assert_eq!(read(), "service_not_granted");
    let one = house.give(&root, eve.id, shop, Permission::ReadOnly).await.unwrap();
    assert_eq!((read(), update()), ("fine", "insufficient_permission"));
    assert_eq!(house.change(&root, &[(one, Permission::Full)]).await, "fine");
    assert_eq!((read(), update()), ("fine", "fine"));
    let told = house.last(ada.customer, "service_authorization.update").await;
    let said_of = details(&told);
    assert_eq!(
        (&said_of["old"]["permission"], &said_of["new"]["permission"]),
        (&"read_only".into(), &"full".into())
    );
    assert_eq!(
        (told.user, told.service, told.actor),
        (Some(eve.id), Some(shop), format!("token {}", root.id))
    );
    assert_eq!(said(house.give(&root, eve.id, shop, Permission::Full).await), "taken serviceauthorization");
    assert_eq!(house.take(&root, &[one]).await, "fine");
    assert_eq!(read(), "service_not_granted");
    assert_eq!(house.take(&root, &[one]).await, "missing serviceauthorization");
    assert_eq!(house.change(&root, &[(one, Permission::Full)]).await, "missing serviceauthorization");
    house.give(&root, eve.id, blog, Permission::Full).await.unwrap();
    let house = house.reopen();
    assert_eq!(house.asks(token.id, Action::SERVICE_UPDATE, Some(blog)), "fine");
    assert_eq!(house.asks(token.id, Action::SERVICE_READ, Some(shop)), "service_not_granted");
    house.count().await;
}

#[tokio::test]
async fn a_bulk_is_done_whole_or_not_at_all() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (eve, token, [shop, blog]) = limited(&house, &ada).await;
    let uma = house.hire(ada.customer, "uma", "engineer", true).await;
    let (rival, rivals) = house.boss("rival").await;
    let his = house.hire(rival.customer, "his", "engineer", true).await;
    let theirs = house.service(rival.customer, "theirs").await;
    let one = house.give(&root, eve.id, shop, Permission::ReadOnly).await.unwrap();
    let two = house.give(&root, eve.id, blog, Permission::ReadOnly).await.unwrap();
    let three = house.give(&root, uma.id, blog, Permission::ReadOnly).await.unwrap();
    let foreign = house.give(&rivals, his.id, theirs, Permission::Full).await.unwrap();
    let nobodys = AuthorizationId::from_bits(7);
    let (seen, missing) = (house.count().await, "missing serviceauthorization");
    for odd in [foreign, nobodys] {
        assert_eq!(
            house
                .change(&root, &[(one, Permission::Full), (three, Permission::Full), (odd, Permission::Full)])
                .await,
            missing
        );
        assert_eq!(house.take(&root, &[one, two, odd]).await, missing);
        let read = house.may(&root, Action::AUTHORIZATION_READ);
        assert_eq!(said(house.authority.authorization(&read, odd).await), missing);
    }
    assert_eq!(house.take(&root, &[one, one]).await, missing);
    assert_eq!(house.count().await, seen);
    assert_eq!(house.asks(token.id, Action::SERVICE_UPDATE, Some(shop)), "insufficient_permission");
    // Two of one person, and one of another.
    let all = [(one, Permission::Full), (three, Permission::PurgeAll), (two, Permission::PurgeSelect)];
    assert_eq!(house.change(&root, &all).await, "fine");
    assert_eq!(house.count().await, seen + 3);
    assert_eq!(house.asks(token.id, Action::SERVICE_UPDATE, Some(shop)), "fine");
    assert_eq!(house.asks(token.id, Action::PURGE_KEY, Some(blog)), "fine");
    // One twice: the later stands, and both are told.
    assert_eq!(
        house.change(&root, &[(one, Permission::ReadOnly), (one, Permission::PurgeAll)]).await,
        "fine"
    );
    assert_eq!(house.asks(token.id, Action::PURGE_ALL, Some(shop)), "fine");
    assert_eq!(house.take(&root, &[two, three, one]).await, "fine");
    assert_eq!(house.asks(token.id, Action::SERVICE_READ, Some(blog)), "service_not_granted");
    let left = house.authority.authorizations(&house.may(&root, Action::AUTHORIZATION_READ)).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(house.count().await, seen + 8);
}

#[tokio::test]
async fn only_people_and_services_of_the_house_are_given() {
    let house = House::new();
    let (ada, root) = house.boss("ada").await;
    let (eve, token, [shop, blog]) = limited(&house, &ada).await;
    let (rival, _) = house.boss("rival").await;
    let theirs = house.service(rival.customer, "theirs").await;
    let give = async |user, service| said(house.give(&root, user, service, Permission::Full).await);
    assert_eq!(give(rival.id, shop).await, "user_not_found");
    assert_eq!(give(UserId::from_bits(7), shop).await, "user_not_found");
    assert_eq!(give(eve.id, theirs).await, "service_not_found");
    assert_eq!(give(eve.id, ServiceId::from_bits(7)).await, "service_not_found");
    let delete = crate::house::permit(&root, Action::SERVICE_DELETE, Some(blog));
    house.authority.delete_service(&delete, &at(noon())).await.unwrap();
    assert_eq!(give(eve.id, blog).await, "service_not_found");
    assert_eq!(house.asks(token.id, Action::AUTHORIZATION_UPDATE, None), "insufficient_role");
    let one = house.give(&root, eve.id, shop, Permission::Full).await.unwrap();
    house.authority.offboard_user(&operator(ada.customer), &at(noon()), eve.id, Vec::new()).await.unwrap();
    assert_eq!(give(eve.id, shop).await, "user_not_found");
    // What somebody had who is gone is gone with them.
    let read = house.may(&root, Action::AUTHORIZATION_READ);
    assert_eq!(said(house.authority.authorization(&read, one).await), "missing serviceauthorization");
    assert_eq!(house.change(&root, &[(one, Permission::ReadOnly)]).await, "missing serviceauthorization");
}

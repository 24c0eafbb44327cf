use keygate_authority::Fault;
use keygate_model::{Action, Circumstances, Verdict, Want};

use crate::house::{House, at, noon, seconds_later};

#[tokio::test]
async fn a_canary_can_look_at_itself_and_nothing_else_and_ends() {
    let house = House::new();
    let ada = house.person("ada").await;
    let ours = house.token(&ada).await;
    let seen = house.count().await;
    for _ in 0..2 {
        let minted = house.ground.mint();
        let digest = minted.secret.digest();
        let id = house.authority.make_canary(&at(noon()), minted).await.unwrap();
        let may = |action, now| {
            let verdict =
                house.gate.decide(&digest, &Want { action, service: None }, Circumstances::of(now, None));
            matches!(verdict, Verdict::Allow(_))
        };
        let all = house.gate.policy();
        let allowed: Vec<_> =
            all.names(all.all()).into_iter().filter(|name| may(all.action(name).unwrap(), noon())).collect();
        assert_eq!(allowed, ["token:read_self", "token:revoke_self"]);
        assert!(!may(Action::TOKEN_READ_SELF, seconds_later(15 * 60)), "it is over by itself");
        house.authority.revoke_canary(&at(noon()), id).await.unwrap();
        assert!(!may(Action::TOKEN_READ_SELF, noon()));
    }
    assert_eq!(house.count().await - seen, 5, "a customer for all of them, and two events each");
    assert!(house.since(seen, ada.customer).await.is_empty(), "and none in anybody's log");
    let done = house.authority.revoke_canary(&at(noon()), ours.id).await;
    assert!(matches!(done, Err(Fault::Missing { .. })), "{done:?}");
    assert!(house.told.token(ours.id).is_some(), "which is no canary lives on");
    assert!(house.authority.audit().await.unwrap().bad.is_empty());
}

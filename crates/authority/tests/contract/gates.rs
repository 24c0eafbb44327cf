use keygate_authority::gates::{About, Beat};
use keygate_model::{
    CustomerId, Position, Span,
    enforce::{Epoch, Heartbeat, Nonce, Session},
};

use crate::house::{House, noon, seconds_later};

fn beat(session: u128, nonce: u128, customer: Option<CustomerId>) -> Beat {
    let heartbeat = Heartbeat {
        session: Session(session),
        epoch: Epoch(1),
        nonce: Nonce(nonce),
        applied: Position(nonce as i64),
    };
    let about =
        About { customer, everybody: customer.is_none(), version: "0.1.0".to_owned(), heard_at: noon() };
    let granted = Span::seconds::<30>();
    Beat { heartbeat, name: format!("gate {session}"), granted, about }
}

#[tokio::test]
async fn what_a_gate_said_last_is_what_is_known_of_it() {
    let house = House::new();
    let ada = house.person("ada").await;
    let (of_ada, of_nobody) = (beat(1, 7, Some(ada.customer)), beat(2, 8, None));
    let position = house.authority.beat(vec![of_ada.clone(), of_nobody.clone()]).await.unwrap();
    let (_, mut known) = house.authority.beats().await.unwrap();
    known.sort_by_key(|beat| beat.heartbeat.session);
    assert_eq!(known, [of_ada, of_nobody.clone()]);
    let mut later = beat(1, 9, Some(ada.customer));
    (later.about.everybody, later.about.heard_at) = (true, seconds_later(1));
    assert_eq!(house.authority.beat(vec![later.clone()]).await.unwrap(), position, "no event tells of it");
    let house = house.reopen();
    let (now, mut known) = house.authority.beats().await.unwrap();
    known.sort_by_key(|beat| beat.heartbeat.session);
    assert_eq!((now, known), (position, vec![later, of_nobody.clone()]));
    house.authority.forget_beats(vec![(Session(1), Nonce(7)), (Session(2), Nonce(8))]).await.unwrap();
    let (_, known) = house.authority.beats().await.unwrap();
    assert_eq!(known.len(), 1, "one was heard again since");
    assert_eq!(known[0].heartbeat.nonce, Nonce(9));
}

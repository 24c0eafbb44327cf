//! Whose address counts: that of whoever has connected to Envoy, whatever they say.

use crate::{
    edge::{Edge, Kind, each_kind},
    house::House,
    wire::Ask,
};

async fn a_customers_networks_are_those_of_its_clients(kind: Kind) {
    let house = House::new();
    let edge = Edge::new(kind, &house).await;
    let only = ["customer", "update", "--customer", &house.customer, "--ip-whitelist", "127.0.0.2"];
    let done = house.home.command(&only).output().expect("keygate runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let ask = Ask::get("/orders/1").key(&house.token.secret);
    let mut heard = ask.clone().from("127.0.0.3").send(edge.address).await;
    for _ in 0..100 {
        if heard.status != 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        heard = ask.clone().from("127.0.0.3").send(edge.address).await;
    }
    assert_eq!((heard.status, heard.header("X-Authz-Reason")), (403, Some("ip_not_allowed")));
    edge.api.take();
    for said in ["127.0.0.2", "127.0.0.2, 127.0.0.1", "127.0.0.2,", "nonsense", ""] {
        let said = |from| ask.clone().from(from).header("X-Forwarded-For", said);
        let answer = said("127.0.0.3").send(edge.address).await;
        assert_eq!(
            (answer.status, answer.header("X-Authz-Reason")),
            (403, Some("ip_not_allowed")),
            "{answer:?}"
        );
        assert!(edge.api.take().is_empty());
        assert_eq!(said("127.0.0.2").send(edge.address).await.status, 200);
        assert_eq!(edge.api.take().len(), 1);
    }
}
each_kind!(a_customers_networks_are_those_of_its_clients);

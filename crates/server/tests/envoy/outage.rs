//! Keygate gone, and back.

use std::time::Duration;

use crate::{
    edge::{Edge, Kind, each_kind},
    house::House,
    wire::Ask,
};

async fn nothing_passes_while_keygate_is_gone_and_it_does_again_after(kind: Kind) {
    let mut house = House::new();
    let edge = Edge::new(kind, &house).await;
    let ask = Ask::get("/orders/1").key(&house.token.secret);
    assert_eq!(ask.send(edge.address).await.status, 200);
    assert_eq!(edge.api.take().len(), 1);
    house.server = None;
    for _ in 0..5 {
        assert_eq!(ask.send(edge.address).await.status, 503);
        assert_eq!(Ask::get("/health").send(edge.address).await.status, 503, "public is Keygate's word too");
    }
    assert!(edge.api.take().is_empty());
    house.server = Some(house.home.serve());
    for left in (0..100).rev() {
        if ask.send(edge.address).await.status == 200 {
            break;
        }
        assert!(left > 0, "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(edge.api.take().len(), 1);
}
each_kind!(nothing_passes_while_keygate_is_gone_and_it_does_again_after);

/// Over a socket in the file system.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_may_ask_over_a_socket() {
    let path = std::env::temp_dir().join(format!("keygate-envoy-{}.sock", std::process::id()));
    let house =
        House::with(&format!("[[way]]\nkind = \"envoy-grpc\"\nlisten = \"unix:{}\"\n", path.display()));
    let edge = Edge::over(&house, &path).await;
    let ask = Ask::get("/orders/1").key(&house.token.secret);
    assert_eq!(ask.send(edge.address).await.status, 200);
    assert_eq!(edge.api.take().len(), 1);
    assert_eq!(Ask::get("/orders/1").send(edge.address).await.status, 401);
    assert!(edge.witness.take().is_empty(), "nobody stands between");
}

//! What the API is told of whom Keygate let in.

use crate::{
    api::Got,
    edge::{Edge, Kind, each_kind},
    house::House,
    wire::Ask,
};

const NAMES: [&str; 12] = [
    "x-auth-token-id",
    "x-auth-subject",
    "x-auth-subject-type",
    "x-auth-customer-id",
    "x-auth-scopes",
    "x-auth-roles",
    "x-auth-expires",
    "x-request-id",
    "remote-user",
    "x-auth-request-user",
    "x-auth-jwt",
    "x-auth-stale",
];

/// The request as it reached the API: there is one.
async fn through(edge: &Edge, ask: &Ask) -> Got {
    let answer = ask.send(edge.address).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let mut got = edge.api.take();
    assert_eq!(got.len(), 1, "{got:?}");
    got.remove(0)
}

async fn the_api_is_told_who_calls_and_by_no_one_else(kind: Kind) {
    let house = House::new();
    let token = &house.token;
    let forged = NAMES
        .iter()
        .fold(Ask::get("/orders/1?a=b"), |ask, name| ask.header(name, "admin").header(name, "root"));
    let expected = [
        &*token.id,
        &*token.user,
        "user",
        &*house.customer,
        "global",
        "engineer",
        "never",
        "",
        &*token.user,
        &*token.user,
    ];
    // The second is Envoy without the filter that takes forged headers away: Keygate's answer alone must do.
    let without = [(
        "envoy.filters.http.header_mutation\n",
        "envoy.filters.http.header_mutation\n                    disabled: true\n",
    )];
    for edge in [Edge::new(kind, &house).await, Edge::with(kind, &house, &without).await] {
        for ask in [
            forged.clone().key(&token.secret),
            forged.clone().header("Authorization", format!("Bearer {}", token.secret)),
            forged.clone().key(&token.secret).header("Authorization", "Basic Og=="),
        ] {
            let got = through(&edge, &ask).await;
            assert_eq!((got.method.as_str(), got.target.as_str()), ("GET", "/orders/1?a=b"));
            for (name, expected) in NAMES.into_iter().zip(expected) {
                let values = got.all(name);
                assert_eq!(values.len(), 1, "{name}: {values:?}");
                assert!(values[0] == expected || name == "x-request-id", "{name}: {values:?}");
                assert!(!["admin", "root", "admin,root", ""].contains(&values[0]), "{name}: {values:?}");
            }
            assert_eq!((got.all("fastly-key").len(), got.all("authorization").len()), (0, 0));
            assert!(!format!("{got:?}").contains(&token.secret), "{got:?}");
        }
        let got =
            through(&edge, &forged.clone().at(crate::house::HOST).header("Fastly-Key", &token.secret)).await;
        assert_eq!(got.all("host"), [crate::house::HOST]);
    }
}
each_kind!(the_api_is_told_who_calls_and_by_no_one_else);

async fn a_stranger_is_called_one_where_the_route_is_public(kind: Kind) {
    let house = House::new();
    let edge = Edge::new(kind, &house).await;
    let forged = Ask::get("/health").header("X-Auth-Subject", "admin").header("Remote-User", "admin");
    for ask in [forged.clone(), forged.key("what ever")] {
        let got = through(&edge, &ask).await;
        assert_eq!((got.all("x-auth-subject"), got.all("remote-user")), (vec!["-"], vec!["-"]));
        assert_eq!(got.all("x-auth-subject-type"), ["anonymous"]);
        assert_eq!(got.all("fastly-key").len(), 0);
    }
}
each_kind!(a_stranger_is_called_one_where_the_route_is_public);

/// Names that some servers take for others: with the file as shipped Envoy refuses them, and without it either Keygate
/// refuses, or they are gone.
async fn names_with_underscores_do_not_reach_the_api(kind: Kind) {
    let house = House::new();
    let loose =
        [("headers_with_underscores_action: REJECT_REQUEST", "headers_with_underscores_action: ALLOW")];
    for edge in [Edge::new(kind, &house).await, Edge::with(kind, &house, &loose).await] {
        for name in ["X_Auth_Subject", "x_auth_token_id", "Remote_User", "Fastly_Key", "x_request_id"] {
            Ask::get("/orders/1").key(&house.token.secret).header(name, "admin").send(edge.address).await;
            for got in edge.api.take() {
                assert!(!got.headers.iter().any(|(name, _)| name.contains('_')), "{got:?}");
            }
        }
    }
}
each_kind!(names_with_underscores_do_not_reach_the_api);

/// For an access log, or another filter; here for a header that shows it.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_is_told_in_metadata_too() {
    let house = House::new();
    let shown = "route: { cluster: api }
                          response_headers_to_add:
                            - header: { key: x-told, value: \"%DYNAMIC_METADATA(envoy.filters.http.ext_authz:token_id)%\" }";
    let edge = Edge::with(Kind::Grpc, &house, &[("route: { cluster: api }", shown)]).await;
    let answer = Ask::get("/orders/1").key(&house.token.secret).send(edge.address).await;
    assert_eq!(answer.header("X-Told"), Some(house.token.id.as_str()), "{answer:?}");
}

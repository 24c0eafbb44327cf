//! The API gets nothing, or exactly the request that Keygate decided about: however Envoy is told to read paths.

use crate::{
    edge::{Edge, Kind, each_kind},
    house::House,
    wire::Ask,
    witness::Asked,
};

/// Request targets that somebody reads otherwise than somebody else.
const TARGETS: [&[u8]; 54] = [
    b"/orders/1",
    b"/orders/1?x=/../admin",
    b"/orders/1?",
    b"/orders/1?q=%zz&r=%2f..",
    b"/orders/1??",
    b"/files/a%2fb",
    b"/files/a%2Fb",
    b"/files/a;b",
    b"/raw/a//b",
    b"/raw/http://x.example/y",
    b"/raw/a/../../orders/admin",
    b"/raw/a%2f..%2f..%2forders%2fadmin",
    b"/raw/..%5c..%5corders/admin",
    b"/raw/a;/../x",
    b"/a/../orders/1",
    b"/orders/../orders/admin",
    b"/orders/./admin",
    b"/orders/%2e/admin",
    b"/orders/%2e%2e/orders/1",
    b"/%2e%2e/orders/1",
    b"/orders/..;/admin",
    b"/orders/;/admin",
    b"/orders;/1",
    b"/orders/1;admin",
    b"//orders/1",
    b"/orders//1",
    b"/orders//admin",
    b"/orders/1/",
    b"/orders/1//",
    b"/orders/admin",
    b"/orders/ADMIN",
    b"/orders/%61dmin",
    b"/orders/%2561dmin",
    b"/ORDERS/1",
    b"/orders\\admin",
    b"/orders/a\\..\\admin",
    b"/orders/%5cadmin",
    b"/orders%2fadmin",
    b"/orders%252fadmin",
    b"/orders/1%00",
    b"/orders/1%0d%0aX-Auth-Subject:%20admin",
    b"/orders/1%",
    b"/orders/1%2",
    b"/orders/%c0%af",
    b"/orders/%ff",
    b"/orders/\xff",
    b"/orders/\xc3\xbc",
    b"/orders/\xc0\xaf",
    b"/orders/1#/admin",
    b"/orders/1%23",
    b"http://api.shop.example.com/orders/1",
    b"http://other.example.com/orders/1",
    b"*",
    b"orders/1",
];

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND", "CONNECT"];

async fn the_api_gets_nothing_or_what_was_decided_about(kind: Kind) {
    let house = House::new();
    let plain = [
        ("normalize_path: true", "normalize_path: false"),
        (
            "path_with_escaped_slashes_action: REJECT_REQUEST",
            "path_with_escaped_slashes_action: KEEP_UNCHANGED",
        ),
    ];
    let eager = [
        ("merge_slashes: false", "merge_slashes: true"),
        (
            "path_with_escaped_slashes_action: REJECT_REQUEST",
            "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD",
        ),
    ];
    let not_raw = ("encode_raw_headers: true", "encode_raw_headers: false");
    let plain = if kind == Kind::Grpc { [&plain[..], &[not_raw]].concat() } else { plain.to_vec() };
    for (name, otherwise) in [("shipped", &[][..]), ("plain", &plain), ("eager", &eager)] {
        let edge = Edge::with(kind, &house, otherwise).await;
        let mut passed = Vec::new();
        for target in TARGETS {
            let ask = Ask::get(target).key(&house.token.secret);
            passed.extend(one(name, &edge, &ask, &String::from_utf8_lossy(target)).await);
        }
        for method in METHODS {
            for target in ["/orders/1", "/orders", "/health"] {
                let ask = Ask::new(method, target).key(&house.token.secret);
                let about = format!("{method} {target}");
                let Some(got) = one(name, &edge, &ask, &about).await else { continue };
                assert_eq!(got.method, method, "{name}: {about}");
            }
        }
        let passed: Vec<_> = passed.into_iter().map(|asked| asked.target).collect();
        assert!(
            !passed
                .iter()
                .any(|target| target.to_ascii_lowercase().contains("admin") && !target.contains('?')),
            "{name}: {passed:?}"
        );
        assert!(passed.len() > 5 && passed.len() < TARGETS.len() / 2, "{name}: {passed:?}");
        if name != "shipped" {
            assert!(passed.iter().any(|target| target == "/files/a;b"), "{name}: {passed:?}");
        }
    }
}
each_kind!(the_api_gets_nothing_or_what_was_decided_about);

/// Sends one, and compares what Keygate was asked with what the API got.
async fn one(name: &str, edge: &Edge, ask: &Ask, about: &str) -> Option<Asked> {
    let answer = ask.send(edge.address).await;
    let (asked, got) = (edge.witness.take(), edge.api.take());
    assert!(asked.len() <= 1 && got.len() <= 1, "{name}: {about}: {asked:?} {got:?}");
    let Some(got) = got.into_iter().next() else {
        assert_ne!(answer.status, 200, "{name}: {about}: {answer:?}");
        return None;
    };
    assert_eq!(answer.status, 200, "{name}: {about}");
    let host = got.all("host").concat();
    let got = Asked { method: got.method, host, target: got.target };
    assert_eq!(asked, std::slice::from_ref(&got), "{name}: {about}");
    Some(got)
}

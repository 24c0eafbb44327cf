//! The way in over gRPC, asked by a client of tonic's: with what no Envoy sends, and with what a client may get into a
//! message.

use std::{collections::HashMap, net::SocketAddr};

use envoy_types::pb::envoy::{
    config::core::v3::{Address, HeaderMap, HeaderValue, Pipe, SocketAddress, address::Address as Kind},
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse,
        attribute_context::{HttpRequest, Peer, Request},
        authorization_client::AuthorizationClient,
        check_response::HttpResponse,
    },
};
use envoy_types::pb::google::protobuf::{BoolValue, value::Kind as ValueKind};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tonic::{Code, transport::Channel};

use crate::{
    house::{HOST, House},
    wire::Ask,
};

const GATE: &str = "127.0.0.1";
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

async fn client(gate: SocketAddr) -> AuthorizationClient<Channel> {
    AuthorizationClient::connect(format!("http://{gate}")).await.expect("it listens")
}

fn from(address: Kind) -> Option<Peer> {
    Some(Peer { address: Some(Address { address: Some(address) }), ..Peer::default() })
}

fn socket(address: &str) -> Option<Peer> {
    from(Kind::SocketAddress(SocketAddress { address: address.to_owned(), ..SocketAddress::default() }))
}

/// A request to the shop with these headers, as Envoy describes one.
fn http(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let pseudo = [(":path", path), (":method", "GET"), (":authority", HOST)];
    let headers = pseudo.iter().chain(headers).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (path, method, host) = (path.to_owned(), "GET".to_owned(), HOST.to_owned());
    HttpRequest { path, method, host, headers: headers.collect(), ..HttpRequest::default() }
}

fn check(source: Option<Peer>, http: Option<HttpRequest>) -> CheckRequest {
    let request = Some(Request { http, ..Request::default() });
    CheckRequest { attributes: Some(AttributeContext { source, request, ..AttributeContext::default() }) }
}

/// The status of Envoy's answer, and the reason.
async fn ask(client: &mut AuthorizationClient<Channel>, check: CheckRequest) -> (i32, String) {
    let answer = client.check(check).await.expect("an answer").into_inner();
    said(&answer)
}

fn said(answer: &CheckResponse) -> (i32, String) {
    let code = answer.status.as_ref().expect("a status").code;
    match answer.http_response.as_ref().expect("one or the other") {
        HttpResponse::OkResponse(_) => {
            assert_eq!(code, Code::Ok as i32);
            (200, "ok".to_owned())
        }
        HttpResponse::DeniedResponse(denied) => {
            let status = denied.status.as_ref().expect("a status").code;
            let matching = match status {
                401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                400 => Code::InvalidArgument,
                503 => Code::Unavailable,
                other => panic!("{other}"),
            };
            assert_eq!(code, matching as i32);
            let header = |option: &envoy_types::pb::envoy::config::core::v3::HeaderValueOption| {
                option
                    .header
                    .clone()
                    .filter(|header| header.key == "x-authz-reason")
                    .map(|header| header.value)
            };
            (status, denied.headers.iter().find_map(header).expect("a reason"))
        }
        HttpResponse::ErrorResponse(error) => panic!("an open failure mode lets this pass: {error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_can_demand_a_position() {
    let house = House::new();
    let mut client = client(house.gate).await;
    let secret = house.token.secret.as_str();
    for (position, said) in [
        ("1", (200, "ok")),
        ("999999999", (503, "position_not_applied")),
        ("soon", (400, "position_invalid")),
    ] {
        let headers = [("fastly-key", secret), ("keygate-min-position", position)];
        let message = check(socket("192.0.2.1"), Some(http("/orders/1", &headers)));
        assert_eq!(ask(&mut client, message).await, (said.0, said.1.to_owned()), "{position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_messages_are_never_let_pass() {
    let house = House::new();
    let mut client = client(house.gate).await;
    let secret = house.token.secret.as_str();
    let key = [("fastly-key", secret)];
    let good = || http("/orders/1", &key);
    let known = || socket("192.0.2.1");
    let ok = (200, "ok".to_owned());
    assert_eq!(ask(&mut client, check(known(), Some(good()))).await, ok);
    let without = |change: fn(&mut HttpRequest)| {
        let mut http = good();
        change(&mut http);
        http.headers.retain(|name, _| !name.starts_with(':'));
        check(known(), Some(http))
    };
    assert_eq!(ask(&mut client, without(|_| ())).await, ok, "pseudo-headers need not be there");
    for (what, message) in [
        ("nothing", CheckRequest::default()),
        ("no request", CheckRequest { attributes: Some(AttributeContext::default()) }),
        ("no http", check(known(), None)),
        ("empty http", check(known(), Some(HttpRequest::default()))),
        ("no source", check(None, Some(good()))),
        ("no address", check(Some(Peer::default()), Some(good()))),
        (
            "no kind of address",
            check(Some(Peer { address: Some(Address::default()), ..Peer::default() }), Some(good())),
        ),
        ("a name for an address", check(socket("client.example"), Some(good()))),
        ("no path", without(|http| http.path.clear())),
        ("no method", without(|http| http.method.clear())),
        ("no host", without(|http| http.host.clear())),
    ] {
        assert_eq!(ask(&mut client, message).await, (503, "proxy_misconfigured".to_owned()), "{what}");
    }
    for (path, headers, status, reason) in [
        ("/orders/1", &[][..], 401, "credential_missing"),
        ("/orders/1", &[("fastly-key", secret), ("authorization", "Bearer x")], 400, "multiple_credentials"),
        ("/orders/1", &[("fastly-key", secret), ("Fastly-Key", secret)], 400, "multiple_credentials"),
        ("/orders/1", &[("fastly-key", "a\nb")], 400, "conflicting_forward_headers"),
        ("/orders/1", &[("fastly-key", secret), ("host", "other.example")], 400, "ambiguous_host"),
        ("/orders/1", &[("fastly-key", secret), ("x-original-uri", "/")], 400, "conflicting_forward_headers"),
        ("/orders/1", &[("fastly-key", secret), ("x_auth_subject", "a")], 400, "conflicting_forward_headers"),
        ("/orders/1", &[("fastly-key", secret), ("X-Http-Method", "PUT")], 400, "method_override_refused"),
        ("orders/1", &[("fastly-key", secret)], 400, "ambiguous_path"),
        ("/orders/1#a", &[("fastly-key", secret)], 400, "ambiguous_path"),
        ("/orders/ü", &[("fastly-key", secret)], 400, "ambiguous_path"),
    ] {
        let heard = ask(&mut client, check(known(), Some(http(path, headers)))).await;
        assert_eq!(heard, (status, reason.to_owned()), "{path} {headers:?}");
    }
    let mut other = good();
    other.headers.insert(":path".to_owned(), "/orders/admin".to_owned());
    assert_eq!(ask(&mut client, check(known(), Some(other))).await.1, "ambiguous_path");
    let mut other = good();
    other.method = "DELETE".to_owned();
    assert_eq!(ask(&mut client, check(known(), Some(other))).await.1, "conflicting_forward_headers");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_headers_are_read_as_they_came() {
    let house = House::new();
    let mut client = client(house.gate).await;
    let secret = house.token.secret.as_bytes();
    let raw = |headers: &[(&str, &[u8])]| {
        let headers = headers.iter().map(|(key, raw)| HeaderValue {
            key: (*key).to_owned(),
            raw_value: raw.to_vec(),
            ..HeaderValue::default()
        });
        let header_map = Some(HeaderMap { headers: headers.collect() });
        HttpRequest { headers: HashMap::new(), header_map, ..http("/orders/1", &[]) }
    };
    for (headers, reason) in [
        (&[("fastly-key", secret)][..], "ok"),
        (&[(":path", b"/orders/1"), ("fastly-key", secret)], "ok"),
        (&[("fastly-key", secret), ("fastly-key", secret)], "multiple_credentials"),
        (&[("fastly-key", b"\xff")], "token_malformed"),
        (&[(":path", b"/orders/\xff"), ("fastly-key", secret)], "ambiguous_path"),
        (&[("fastly-key", b"")], "credential_missing"),
    ] {
        assert_eq!(
            ask(&mut client, check(socket("192.0.2.1"), Some(raw(headers)))).await.1,
            reason,
            "{headers:?}"
        );
    }
    let mut both = raw(&[("fastly-key", secret)]);
    both.headers.insert("fastly-key".to_owned(), house.token.secret.clone());
    assert_eq!(ask(&mut client, check(socket("192.0.2.1"), Some(both))).await.1, "multiple_credentials");
    let mut twice = raw(&[("fastly-key", secret)]);
    let header = &mut twice.header_map.as_mut().expect("it is there").headers[0];
    header.value = "another".to_owned();
    assert_eq!(
        ask(&mut client, check(socket("192.0.2.1"), Some(twice))).await.1,
        "conflicting_forward_headers"
    );
}

/// And what a route's own configuration says beside the policy changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_whom_envoy_says_or_a_proxy_of_ours() {
    let house = House::new();
    let only = ["customer", "update", "--customer", &house.customer, "--ip-whitelist", "192.0.2.7"];
    assert!(house.home.command(&only).output().expect("keygate runs").status.success());
    let mut client = client(house.gate).await;
    let behind = |said: &'static str| {
        http("/orders/1", &[("fastly-key", &house.token.secret), ("x-forwarded-for", said)])
    };
    let pipe = || from(Kind::Pipe(Pipe { path: "/run/edge.sock".to_owned(), mode: 0 }));
    for _ in 0..100 {
        if ask(&mut client, check(socket("192.0.2.1"), Some(behind("")))).await.0 == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for (source, said, status) in [
        (socket("192.0.2.7"), "198.51.100.1", 200),
        (socket("::ffff:192.0.2.7"), "", 200),
        (socket("192.0.2.1"), "192.0.2.7", 403),
        (socket("fe80::1%eth0"), "192.0.2.7", 403),
        (socket(GATE), "192.0.2.7", 200),
        (socket(GATE), "192.0.2.7, 127.0.0.1", 200),
        (socket(GATE), "192.0.2.7, 198.51.100.1", 403),
        (socket(GATE), "192.0.2.7, nonsense", 403),
        (socket(GATE), "", 403),
        (pipe(), "192.0.2.7", 200),
        (pipe(), "", 403),
    ] {
        let mut message = check(source, Some(behind(said)));
        let attributes = message.attributes.as_mut().expect("they are there");
        attributes.context_extensions.insert("ip".to_owned(), "192.0.2.7".to_owned());
        let what = format!("{:?} {said}", attributes.source);
        assert_eq!(ask(&mut client, message).await.0, status, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(deprecated, reason = "some Envoys read it, and not what is to be read instead")]
async fn the_answer_tells_envoy_all_of_it() {
    let house = House::new();
    let mut client = client(house.gate).await;
    let good = check(socket("192.0.2.1"), Some(http("/orders/1", &[("fastly-key", &house.token.secret)])));
    let answer = client.check(good).await.expect("an answer").into_inner();
    let Some(HttpResponse::OkResponse(ok)) = answer.http_response else { panic!("{answer:?}") };
    assert_eq!(ok.headers.len(), 12);
    for option in &ok.headers {
        assert_eq!(
            (option.append, option.append_action),
            (Some(BoolValue { value: false }), 2),
            "{option:?}"
        );
    }
    for name in ["fastly-key", "authorization", "fastly_key", "remote_user", "x_auth_subject"] {
        assert!(ok.headers_to_remove.iter().any(|removed| removed == name), "{name}");
    }
    let told = answer.dynamic_metadata.expect("metadata").fields;
    let told = |key: &str| match told[key].kind.clone() {
        Some(ValueKind::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(
        [told("token_id"), told("sub"), told("scopes")],
        [&house.token.id, &house.token.user, "global"]
    );
}

/// Whoever looks at an HTTP status alone must not take an answer of gRPC's for leave to pass.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_grpc_is_not_answered_200() {
    let house = House::new();
    for line in [Ask::get(CHECK), Ask::new("POST", CHECK), Ask::get(HEALTH)] {
        for kind in ["application/grpc", "application/json"] {
            let answer = line.clone().header("Content-Type", kind).from(GATE).send(house.gate).await;
            assert_eq!(answer.status, 415, "{answer:?}");
        }
    }
    let other = Ask::new("POST", "/envoy.service.auth.v3.Authorization/Other").from(GATE);
    assert_eq!(other.send(house.gate).await.status, 404);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new());
    for (kind, path, message, status, grpc) in [
        ("application/json", CHECK, &b"\0\0\0\0\0"[..], 415, None),
        ("application/grpc", "/envoy.service.auth.v3.Authorization/Other", b"\0\0\0\0\0", 404, None),
        ("application/grpc", "/grpc.health.v1.Health/Watch", b"\0\0\0\0\0", 404, None),
        ("application/grpc", CHECK, b"\0\0\0\0\x05nonsense", 200, Some("13")),
        ("application/grpc", CHECK, b"\x01\0\0\0\0", 200, Some("13")),
        ("application/grpc", CHECK, b"\0\xff\xff\xff\xff", 200, Some("11")),
        ("application/grpc", CHECK, b"\0\0", 200, Some("13")),
        ("application/grpc", CHECK, b"", 200, Some("13")),
    ] {
        let request =
            hyper::Request::post(format!("http://{}{path}", house.gate)).header("content-type", kind);
        let request = request.body(Full::new(Bytes::from_static(message))).expect("a request");
        let answer = client.request(request).await.expect("an answer");
        let said = answer.headers().get("grpc-status").and_then(|code| code.to_str().ok());
        assert_eq!((answer.status().as_u16(), said), (status, grpc), "{path} {message:?} {answer:?}");
    }
    let good = check(socket("192.0.2.1"), Some(http("/orders/1", &[("fastly-key", &house.token.secret)])));
    let mut long = good.clone();
    let attributes = long.attributes.as_mut().expect("they are there");
    attributes.context_extensions.insert("long".to_owned(), "x".repeat(5 << 20));
    let mut client = self::client(house.gate).await;
    assert_eq!(client.check(long).await.expect_err("too long").code(), Code::OutOfRange);
    assert_eq!(ask(&mut client, good).await.0, 200, "and the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_health_is_told() {
    let house = House::new();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new());
    let service = b"\x0a\x23envoy.service.auth.v3.Authorization";
    for (asked, serving) in [(&b""[..], true), (service, true), (b"\x0a\x01x", false)] {
        let length = u8::try_from(asked.len()).expect("short");
        let message = [&[0, 0, 0, 0, length], asked].concat();
        let request = hyper::Request::post(format!("http://{}{HEALTH}", house.gate));
        let request =
            request.header("content-type", "application/grpc").body(Full::new(Bytes::from(message)));
        let answer = client.request(request.expect("a request")).await.expect("an answer");
        let code = answer.headers().get("grpc-status").map(|code| code.as_bytes().to_vec());
        assert_eq!(code, (!serving).then(|| b"5".to_vec()), "{asked:?}");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(&body[..], if serving { &b"\0\0\0\0\x02\x08\x01"[..] } else { b"" }, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_proxies_of_ours_may_ask() {
    let other = crate::edge::free_port();
    let house = House::with(&format!(
        "[[way]]\nkind = \"envoy-grpc\"\nlisten = \"{other}\"\ntrusted = \"192.0.2.1\"\n"
    ));
    let good = check(socket("192.0.2.1"), Some(http("/orders/1", &[("fastly-key", &house.token.secret)])));
    assert_eq!(ask(&mut client(other).await, good.clone()).await, (403, "untrusted_proxy".to_owned()));
    assert_eq!(ask(&mut client(house.gate).await, good).await.0, 200);
}

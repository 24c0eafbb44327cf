//! The bytes that are read and written, against those of types generated from Envoy's own files.

use std::collections::HashMap;

use envoy_types::pb::{
    envoy::{
        config::core::v3 as core,
        service::auth::v3::{self as auth, attribute_context, check_response::HttpResponse},
    },
    google::protobuf,
};
use keygate_gate::Identity;
use keygate_model::{Actor, Expiry};

use super::*;

fn full_request() -> auth::CheckRequest {
    let text = str::to_owned;
    let address = core::SocketAddress {
        address: text("192.0.2.1"),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(4711)),
        ..core::SocketAddress::default()
    };
    let peer = attribute_context::Peer {
        address: Some(core::Address { address: Some(core::address::Address::SocketAddress(address)) }),
        service: text("edge"),
        labels: HashMap::from([(text("a"), text("b"))]),
        principal: text("spiffe://x"),
        certificate: text("PEM"),
    };
    let raw =
        core::HeaderValue { key: text("x-raw"), raw_value: vec![0xff, 0], ..core::HeaderValue::default() };
    let http = attribute_context::HttpRequest {
        id: text("1"),
        method: text("GET"),
        headers: HashMap::from([(text("fastly-key"), text("secret"))]),
        path: text("/a?b"),
        host: text("api.example.com"),
        scheme: text("https"),
        size: -1,
        protocol: text("HTTP/1.1"),
        body: text("body"),
        raw_body: vec![1, 2, 3],
        header_map: Some(core::HeaderMap { headers: vec![raw] }),
        ..attribute_context::HttpRequest::default()
    };
    let attributes = auth::AttributeContext {
        source: Some(peer.clone()),
        destination: Some(peer),
        request: Some(attribute_context::Request {
            http: Some(http),
            ..attribute_context::Request::default()
        }),
        context_extensions: HashMap::from([(text("policy"), text("other"))]),
        metadata_context: Some(core::Metadata::default()),
        ..auth::AttributeContext::default()
    };
    auth::CheckRequest { attributes: Some(attributes) }
}

#[test]
fn what_envoy_asks_is_read_as_it_means_it() {
    let read = CheckRequest::decode(&*full_request().encode_to_vec()).expect("it is readable");
    let attributes = read.attributes.expect("attributes");
    let http = attributes.request.and_then(|request| request.http).expect("a request");
    assert_eq!(
        (&*http.method, &*http.path, &*http.host),
        (&b"GET"[..], &b"/a?b"[..], &b"api.example.com"[..])
    );
    let header = |key: &'static str, value: &'static str, raw_value: &'static [u8]| Header {
        key: key.into(),
        value: value.into(),
        raw_value: raw_value.into(),
    };
    assert_eq!(http.headers, [header("fastly-key", "secret", b"")]);
    assert_eq!(http.header_map.expect("raw headers").headers, [header("x-raw", "", b"\xff\0")]);
    let address = attributes.source.and_then(|source| source.address).expect("an address");
    assert_eq!((&*address.socket.expect("a socket").address, address.pipe), (&b"192.0.2.1"[..], None));
    let pipe = core::Pipe { path: "/run/x".to_owned(), mode: 7 };
    let pipe = core::Address { address: Some(core::address::Address::Pipe(pipe)) };
    let address = Address::decode(&*pipe.encode_to_vec()).expect("it is readable");
    assert!(address.socket.is_none() && address.pipe.is_some());
}

#[test]
fn a_message_that_is_cut_is_not_readable_or_another() {
    let whole = full_request().encode_to_vec();
    for end in 1..whole.len() {
        assert!(CheckRequest::decode(&whole[..end]).is_err(), "{end} bytes of {}", whole.len());
    }
}

#[test]
#[expect(deprecated, reason = "some Envoys read it, and not what is to be read instead")]
fn leave_to_pass_is_what_envoy_reads() {
    let identity = Identity {
        actor: Actor::Stranger,
        scopes: "a b",
        role: "clerk",
        expires: Expiry::Never,
        stale: None,
    };
    let ours = allowed(&Headers::of(&identity, "id", None)).encode_to_vec();
    let read = auth::CheckResponse::decode(&*ours).expect("Envoy reads it");
    assert_eq!(read.status.as_ref().map(|status| status.code), Some(0));
    let Some(HttpResponse::OkResponse(ok)) = &read.http_response else { panic!("{read:?}") };
    for (option, (name, value)) in ok.headers.iter().zip(Headers::of(&identity, "id", None).pairs()) {
        let header = option.header.as_ref().expect("a header");
        assert_eq!((header.key.as_str(), header.value.as_bytes()), (name.as_str(), value.as_bytes()));
        assert_eq!((option.append, option.append_action), (Some(protobuf::BoolValue { value: false }), 2));
    }
    assert_eq!((ok.headers.len(), &ok.headers_to_remove[..]), (12, &REMOVED.map(str::to_owned)[..]));
    let text = |text: &str| Some(protobuf::value::Kind::StringValue(text.to_owned()));
    let metadata = &read.dynamic_metadata.as_ref().expect("metadata").fields;
    assert_eq!(
        (metadata.len(), &metadata["scopes"].kind, &metadata["sub"].kind),
        (3, &text("a b"), &text("-"))
    );
    let without_map = |bytes: &[u8]| auth::CheckResponse {
        dynamic_metadata: None,
        ..auth::CheckResponse::decode(bytes).expect("Envoy reads it")
    };
    let mut plain = allowed(&Headers::of(&identity, "id", None));
    plain.dynamic_metadata = None;
    assert_eq!(plain.encode_to_vec(), without_map(&ours).encode_to_vec(), "nothing of ours is lost on Envoy");
}

#[test]
fn a_refusal_is_these_bytes() {
    let mut answer = Response::new("no".to_owned());
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    answer.headers_mut().insert("x-a", HeaderValue::from_static("b"));
    let ours = denied(answer).encode_to_vec();
    let golden = b"\x0a\x02\x08\x10\x12\x19\x0a\x03\x08\x91\x03\x12\x0e\x0a\x08\x0a\x03x-a\x12\x01b\x12\x00\x18\x02\x1a\x02no";
    assert_eq!(ours, golden);
    let read = auth::CheckResponse::decode(&*ours).expect("Envoy reads it");
    assert_eq!(read.encode_to_vec(), ours);
    let Some(HttpResponse::DeniedResponse(denied)) = read.http_response else { panic!("{read:?}") };
    assert_eq!((denied.status.map(|status| status.code), denied.body.as_str()), (Some(401), "no"));
}

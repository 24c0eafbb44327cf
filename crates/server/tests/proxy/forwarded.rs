//! What the proxy says itself, and what nobody can make it say.

use keygate_model::Networks;

use crate::{
    wire::Message,
    world::{Client, Served, Upstream, ok, to, within},
};

async fn seen(proxy: &Served, upstream: &Upstream, headers: &str) -> Message {
    let mut client = Client::of(proxy.address).await;
    let request = format!("GET / HTTP/1.1\r\nHost: api.example:81\r\n{headers}\r\n");
    assert_eq!(within(client.ask(request.as_bytes())).await.unwrap().status(), "200");
    upstream.take().pop().unwrap()
}

fn all<'a>(message: &'a Message, name: &str) -> Vec<&'a str> {
    message.headers.iter().filter(|(named, _)| named == name).map(|(_, value)| value.as_str()).collect()
}

const LIES: &str = "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\nX-Original-URL: /admin\r\n";

#[tokio::test]
async fn what_a_stranger_says_is_replaced() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    for headers in ["", LIES] {
        let seen = seen(&proxy, &upstream, headers).await;
        assert_eq!(all(&seen, "forwarded"), ["for=127.0.0.1;host=\"api.example:81\";proto=http"]);
        assert_eq!(all(&seen, "x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(all(&seen, "x-forwarded-proto"), ["http"]);
        assert_eq!(all(&seen, "x-forwarded-host"), ["api.example:81"]);
        assert_eq!(all(&seen, "via"), ["1.1 keygate"]);
        assert_eq!(all(&seen, "host"), ["api.example:81"]);
        assert!(!format!("{seen:?}").contains("6.6.6.6") && !format!("{seen:?}").contains("admin"));
    }
}

#[tokio::test]
async fn what_a_trusted_proxy_says_is_added_to() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let mut proxy = to(upstream.address);
    proxy.trusted = Some(Networks::parse("127.0.0.0/8").unwrap());
    let proxy = Served::start(proxy).await;
    let seen = seen(&proxy, &upstream, &format!("{LIES}Via: 1.1 edge\r\nFastly-Key: x\r\n")).await;
    assert_eq!(all(&seen, "x-forwarded-for"), ["6.6.6.6, 127.0.0.1"]);
    assert_eq!(all(&seen, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&seen, "forwarded"), ["for=6.6.6.6, for=127.0.0.1;host=\"api.example:81\";proto=http"]);
    assert_eq!(all(&seen, "via"), ["1.1 edge, 1.1 keygate"]);
    assert_eq!(all(&seen, "x-auth-subject"), ["6.6.6.6"], "the guard is told whom the trusted proxy names");
}

#[tokio::test]
async fn connection_takes_nothing_of_the_guards_away() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let mut proxy = to(upstream.address);
    proxy.reserved = vec![axum::http::HeaderName::from_static("x-auth-subject")];
    let proxy = Served::start(proxy).await;
    let tricks = "Connection: close, x-auth-subject, Fastly-Key, x-forwarded-for, forwarded, x-own, host\r\n\
        Fastly-Key: x\r\nX-Auth-Subject: root\r\nX_Auth_Subject: root\r\nX-Own: 1\r\nX-Stays: 1\r\nKeep-Alive: 5\r\n";
    let seen = seen(&proxy, &upstream, tricks).await;
    assert_eq!(all(&seen, "x-auth-subject"), ["127.0.0.1"], "only the guard says who it is");
    assert_eq!((all(&seen, "x-forwarded-for").len(), all(&seen, "forwarded").len()), (1, 1));
    assert_eq!(seen.header("host"), Some("api.example:81"));
    for gone in ["fastly-key", "x_auth_subject", "x-own", "keep-alive", "connection"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("x-stays"), Some("1"));
}

#[tokio::test]
async fn the_upstreams_own_host_is_sent_if_wanted_and_via_left_out() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let mut proxy = to(upstream.address);
    (proxy.preserve_host, proxy.via) = (false, false);
    let proxy = Served::start(proxy).await;
    let seen = seen(&proxy, &upstream, "").await;
    assert_eq!(seen.header("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("api.example:81"));
    assert_eq!(seen.header("via"), None);
}

#[tokio::test]
async fn the_upstreams_connection_is_its_own() {
    let answer = "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close, X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\n\
        Proxy-Authenticate: x\r\nContent-Length: 0\r\n\r\n";
    let upstream = Upstream::answering(|_| answer.as_bytes().to_vec()).await;
    let proxy = Served::before(upstream.address).await;
    let mut client = Client::of(proxy.address).await;
    for _ in 0..2 {
        let answer = within(client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        for gone in ["connection", "x-own", "keep-alive", "proxy-authenticate"] {
            assert_eq!(answer.header(gone), None, "{gone}");
        }
    }
    assert_eq!(*upstream.connections.lock().unwrap(), 2, "closed connections are not used again");
}

#[tokio::test]
async fn connections_are_used_again() {
    let upstream = Upstream::answering(|_| ok("")).await;
    let proxy = Served::before(upstream.address).await;
    for _ in 0..3 {
        let mut client = Client::of(proxy.address).await;
        for _ in 0..5 {
            within(client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).await.unwrap();
        }
    }
    assert_eq!(*upstream.connections.lock().unwrap(), 1);
}

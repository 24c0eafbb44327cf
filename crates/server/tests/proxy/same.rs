//! What the upstream sees through the proxy, against what it sees of the same client directly; and the client likewise.
//! The only differences are those in the list of `docs/proxy.md`, which is read here.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    wire::{Message, bytes, chunked},
    world::{Client, Served, Upstream, within},
};

/// What a line of the list in the document names.
fn listed(line: &str) -> Vec<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proxy.md");
    let text = fs::read_to_string(document).unwrap();
    let names = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(": "));
    let names = names.unwrap_or_else(|| panic!("docs/proxy.md has no line '{line}: …'"));
    names.split_ascii_whitespace().map(str::to_owned).collect()
}

/// What a message must have in common on both ways: all but the listed headers, each name's values in their order.
fn essence(message: &Message, sides: [&str; 2]) -> (String, BTreeMap<String, Vec<String>>, Message) {
    let but: Vec<_> = sides.iter().flat_map(|side| listed(side)).collect();
    let mut headers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in &message.headers {
        if !but.contains(name) {
            headers.entry(name.clone()).or_default().push(value.clone());
        }
    }
    let body = Message { start: String::new(), headers: Vec::new(), ..message.clone() };
    (message.start.clone(), headers, body)
}

/// Asks the same, on one connection, directly and through the proxy.
async fn both_ways(upstream: &Upstream, proxy: &Served, requests: &[Vec<u8>]) {
    let mut ways = Vec::new();
    for address in [upstream.address, proxy.address] {
        let mut client = Client::of(address).await;
        let mut answers = Vec::new();
        for request in requests {
            let answer = within(client.ask(request)).await;
            answers.push(answer.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&request[..40]))));
        }
        ways.push((upstream.take(), answers));
    }
    let [(direct_seen, direct), (proxied_seen, proxied)] = ways.try_into().unwrap();
    assert_eq!(direct_seen.len(), requests.len());
    let request = |message| essence(message, ["request gains", "request loses"]);
    let answer = |message| essence(message, ["answer gains", "answer loses"]);
    assert_eq!(
        direct_seen.iter().map(request).collect::<Vec<_>>(),
        proxied_seen.iter().map(request).collect::<Vec<_>>()
    );
    assert_eq!(direct.iter().map(answer).collect::<Vec<_>>(), proxied.iter().map(answer).collect::<Vec<_>>());
}

const HEADERS: &str = "Host: api.example:81\r\nUser-Agent: x\r\nAccept: a\r\nAccept: b, c\r\nX-Odd: \"\u{e9}\"  y\r\n\
    Cookie: a=b; c=d\r\nAuthorization: Bearer x\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-\r\nOrigin: null\r\n";

/// An upstream that answers each request with a body as long as the request's own, and framed alike.
async fn mirror() -> Upstream {
    Upstream::answering(|request| {
        let body = bytes(usize::try_from(request.length).unwrap());
        let head = "HTTP/1.1 203 Odd Reason\r\nDate: now\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nETag: \"x\"\r\n";
        let mut answer = head.as_bytes().to_vec();
        if request.header("transfer-encoding").is_some() {
            answer.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            answer.extend_from_slice(&chunked(&body, ""));
        } else {
            answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            answer.extend_from_slice(&body);
        }
        answer
    })
    .await
}

fn post(body: &[u8], is_chunked: bool, more: &str) -> Vec<u8> {
    let framing = match is_chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {}", body.len()),
    };
    let mut request =
        format!("POST /a/b%20c?d=%2F&e HTTP/1.1\r\n{HEADERS}{more}{framing}\r\n\r\n").into_bytes();
    match is_chunked {
        true => request.extend_from_slice(&chunked(body, "")),
        false => request.extend_from_slice(body),
    }
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_all_sizes_are_the_same() {
    let upstream = mirror().await;
    let proxy = Served::before(upstream.address).await;
    for length in [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 1 << 20] {
        let body = bytes(length);
        for is_chunked in [false, true] {
            let request = post(&body, is_chunked, "");
            both_ways(&upstream, &proxy, &[request.clone(), request.clone(), request]).await;
            both_ways(&upstream, &proxy, &[post(&body, is_chunked, "Connection: close\r\n")]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_64_mib_are_the_same() {
    let upstream = mirror().await;
    let proxy = Served::before(upstream.address).await;
    let body = bytes(64 << 20);
    for is_chunked in [false, true] {
        both_ways(&upstream, &proxy, &[post(&body, is_chunked, ""), post(b"after", is_chunked, "")]).await;
    }
}

#[tokio::test]
async fn requests_without_a_body_are_the_same() {
    let upstream = mirror().await;
    let proxy = Served::before(upstream.address).await;
    let mut requests = Vec::new();
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PROPFIND", "x-own"] {
        for target in ["/", "/?", "/a?b?c", "/%2e%2e/a", "/a;b=c", "//a//", "/~{}|\"", "/a?x=[1]&y={}"] {
            requests.push(format!("{method} {target} HTTP/1.1\r\n{HEADERS}\r\n").into_bytes());
        }
    }
    both_ways(&upstream, &proxy, &requests).await;
}

#[tokio::test]
async fn a_get_may_have_a_body() {
    let upstream = mirror().await;
    let proxy = Served::before(upstream.address).await;
    for framing in ["Content-Length: 2\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{HEADERS}{framing}").into_bytes();
        both_ways(&upstream, &proxy, &[request]).await;
    }
}

#[tokio::test]
async fn announced_trailers_are_the_same() {
    let upstream = Upstream::answering(|_| {
        let head =
            "HTTP/1.1 200 OK\r\nDate: now\r\nTrailer: X-Sum, X-Other\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut answer = head.as_bytes().to_vec();
        answer.extend_from_slice(&chunked(b"answer", "X-Sum: 2\r\nX-Other: 3\r\n"));
        answer
    })
    .await;
    let proxy = Served::before(upstream.address).await;
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    request.extend_from_slice(&chunked(b"body", "X-Sum: 1\r\n"));
    both_ways(&upstream, &proxy, &[request.clone(), request]).await;
    assert_eq!(
        *upstream.connections.lock().unwrap(),
        2,
        "one of each way: a body with trailers is whole too"
    );
}

#[tokio::test]
async fn answers_without_a_body_are_the_same() {
    for answer in [
        "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nDate: now\r\nETag: \"x\"\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Oh\r\nDate: now\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 302 Found\r\nDate: now\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nDate: now\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
    ] {
        let upstream = Upstream::answering(|_| answer.as_bytes().to_vec()).await;
        let proxy = Served::before(upstream.address).await;
        let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        both_ways(&upstream, &proxy, &[get.clone(), get]).await;
    }
    let head = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 70\r\n\r\n";
    let upstream = Upstream::answering(|_| head.as_bytes().to_vec()).await;
    let proxy = Served::before(upstream.address).await;
    let ask = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    both_ways(&upstream, &proxy, &[ask.clone(), ask]).await;
}

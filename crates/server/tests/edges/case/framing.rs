//! Requests whose end, or whose lines, one server sees here and another there (SECURITY-BAR B30). A second request that
//! hides in the first must not reach the API undecided.

use super::{Case, Same, Stop};

const HIDDEN: &str =
    "GET /orders/admin HTTP/1.1\r\nHost: api.shop.example.com\r\nX-Auth-Subject: forged\r\n\r\n";

pub(super) fn cases() -> Vec<Case> {
    let post = |framing: &str, body: &str, expect| {
        Case::raw(
            &format!(
                "POST /orders/1 HTTP/1.1\r\nHost: api.shop.example.com\r\nFastly-Key: {{good}}\r\n{framing}\r\n\r\n{body}"
            ),
            expect,
        )
    };
    let chunked = format!("0\r\n\r\n{HIDDEN}");
    let len = chunked.len();
    let mut cases = vec![
        post(&format!("Content-Length: {len}\r\nTransfer-Encoding: chunked"), &chunked, Same),
        post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {len}"), &chunked, Same),
        post(&format!("Content-Length: {len}\r\nTransfer-Encoding: xchunked"), &chunked, Stop),
        post(&format!("Content-Length: {len}\r\nTransfer-Encoding : chunked"), &chunked, Same),
        post(&format!("Content-Length: {len}\r\nTransfer_Encoding: chunked"), &chunked, Same),
        post(&format!("Content-Length: {len}\r\nTransfer-Encoding:\u{b}chunked"), &chunked, Stop),
        post("Transfer-Encoding: chunked, identity", &chunked, Stop),
        post(&format!("Content-Length: 0\r\nContent-Length: {}", HIDDEN.len()), HIDDEN, Stop),
        post(&format!("Content-Length: {}\r\nContent-Length: 0", HIDDEN.len()), HIDDEN, Stop),
        post(&format!("Content-Length: 0, {}", HIDDEN.len()), HIDDEN, Stop),
        post("Content-Length: +0", HIDDEN, Stop),
        post("Content-Length: -1", HIDDEN, Stop),
        post("Content-Length: 0x10", HIDDEN, Stop),
        // Two requests, each of which is decided about.
        post("Content-Length: 0", HIDDEN, Same),
        post(&format!("Content-Length: {}", HIDDEN.len()), HIDDEN, Same),
        post("Transfer-Encoding: chunked", &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()), Same),
    ];
    let get = |lines: &str, expect| {
        Case::raw(&format!("GET /orders/1 HTTP/1.1\r\nHost: api.shop.example.com\r\n{lines}\r\n\r\n"), expect)
    };
    cases.extend([
        get(&format!("Fastly-Key: {{good}}\r\nContent-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len()), Same),
        get("Fastly-Key : {good}", Stop),
        get("Fastly-Key: {good}\r\n X-Auth-Subject: forged", Same),
        get(" Fastly-Key: {good}", Stop),
        get("Fastly-Key: {good}\nX-Auth-Subject: forged", Same),
        get("Fastly-Key: {good}\rX-Auth-Subject: forged", Same),
        get("Fastly-Key: {good}\r\nX-Auth-Subject : forged", Same),
        get("Fastly-Key: {good}\r\nX-Auth\u{0}-Subject: forged", Same),
        get("Fastly-Key: {good}\r\n: forged", Same),
        get("Fastly-Key: {good}\r\nX-Auth-Subject", Same),
        Case::raw("GET /orders/1 HTTP/1.1\nHost: api.shop.example.com\nFastly-Key: {good}\n\n", Same),
        Case::raw("GET /orders/1\r\n", Stop),
        Case::raw("GET /orders/1 HTTP/3.0\r\nHost: api.shop.example.com\r\nFastly-Key: {good}\r\n\r\n", Same),
        Case::raw(
            "GET  /orders/1 HTTP/1.1\r\nHost: api.shop.example.com\r\nFastly-Key: {good}\r\n\r\n",
            Same,
        ),
        Case::raw(
            "GET /orders/1 HTTP/1.1 x\r\nHost: api.shop.example.com\r\nFastly-Key: {good}\r\n\r\n",
            Stop,
        ),
    ]);
    cases
}

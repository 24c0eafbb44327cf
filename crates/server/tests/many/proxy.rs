//! A proxy with a gate inside, beside a node on the same file: one gate more that a receipt is about.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

use keygate_server::edge::Stopwatch;

use crate::{
    house::{HOST, House, Token},
    process::Server,
};

/// An API that lets everybody in, for as long as the test runs.
fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|len| len > 0) {
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

fn through(proxy: &Server, token: &Token) -> u16 {
    let request = format!(
        "GET /orders/17 HTTP/1.1\r\nHost: {HOST}\r\nFastly-Key: {}\r\nConnection: close\r\n\r\n",
        token.secret
    );
    let mut stream = std::net::TcpStream::connect(proxy.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

/// Was wrong once: a receipt named the gates that follow, and not the proxy that reads the same file some moments later.
#[test]
fn after_a_receipt_no_gate_beside_the_node_lets_the_token_in() {
    let house = House::new();
    let proxy = house.home.start(&["proxy", "--upstream", &upstream(), "--listen", "127.0.0.1:0"]);
    let mut took = Vec::new();
    for _ in 0..10 {
        let (token, watch) = (house.token(&house.tenant, "shop:read"), Stopwatch::start());
        while through(&proxy, &token) != 200 {
            assert!(watch.elapsed() < Duration::from_secs(10), "the proxy does not let it in");
        }
        let answer = house.revoke_and_wait(&token, "enforced");
        assert_eq!(through(&proxy, &token), 401, "accepted after the receipt");
        let said = answer.json();
        let gates = said["gates"].as_array().unwrap();
        assert_eq!(gates.len(), 1, "{}", answer.body);
        assert!(gates[0]["name"].as_str().unwrap().starts_with("proxy on "), "{}", answer.body);
        assert_eq!(gates[0]["state"], "confirmed", "{}", answer.body);
        took.push(said["milliseconds"].as_f64().unwrap());
    }
    // It says so when it has heard of it, and not with its next heartbeat, a second later.
    took.sort_by(f64::total_cmp);
    assert!(took[5] < 700.0, "{took:?}");
}

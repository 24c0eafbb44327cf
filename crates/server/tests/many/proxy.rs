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

fn until(proxy: &Server, token: &Token, status: u16) -> Duration {
    let watch = Stopwatch::start();
    loop {
        let said = through(proxy, token);
        if said == status {
            return watch.elapsed();
        }
        assert!(watch.elapsed() < Duration::from_secs(15), "{said} and not {status}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_proxy_that_follows_from_afar_refuses_in_a_tenth_of_a_second_and_closes_when_it_is_cut_off() {
    let mut house = House::new();
    let (gate_token, kept) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    std::fs::write(house.home.path().join("proxy.token"), &gate_token.secret).unwrap();
    let (api, url) = (upstream(), house.url());
    let before =
        ["proxy", "--upstream", &api, "--listen", "127.0.0.1:0", "--db", "sqlite:/nowhere/keygate.db"];
    let follow = ["--follow", &url, "--token-file", "proxy.token", "--lease", "2", "--name", "proxy-1"];
    let proxy = house.home.start(&[&before[..], &follow].concat());
    until(&proxy, &kept, 200);
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let token = house.token(&house.tenant, "shop:read");
        until(&proxy, &token, 200);
        house.revoke(&token);
        slowest = slowest.max(until(&proxy, &token, 401));
    }
    assert!(slowest <= Duration::from_millis(100), "{slowest:?}");
    let last = house.token(&house.tenant, "shop:read");
    until(&proxy, &last, 200);
    let receipt = house.revoke_and_wait(&last, "enforced").json();
    assert_eq!(receipt["gates"][0]["name"], "proxy-1", "it confirms like any other gate: {receipt}");
    assert_eq!((through(&proxy, &last), through(&proxy, &kept)), (401, 200));
    // The node goes, and another takes its place on another address: nobody tells the proxy.
    let elsewhere = house.home.serve();
    drop(std::mem::replace(&mut house.node, elsewhere));
    assert_eq!(through(&proxy, &kept), 200, "not yet");
    let took = until(&proxy, &kept, 503);
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert_eq!(through(&proxy, &last), 503, "who was refused may be let in by now");
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

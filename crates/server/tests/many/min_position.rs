//! A check that demands a position, at a gate that hears nothing for a while (P6, P9).

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use keygate_server::edge::Stopwatch;

use crate::{
    house::{HOST, House, Token},
    process::{Answer, Server},
};

/// Stands between a gate and its node, and holds back what the node says while it is told to.
struct Relay {
    address: SocketAddr,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Relay {
    fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, held) = (listener.local_addr().unwrap(), Arc::<(Mutex<bool>, Condvar)>::default());
        let holding = Arc::clone(&held);
        std::thread::spawn(move || {
            for inward in listener.incoming().map_while(Result::ok) {
                let Ok(outward) = TcpStream::connect(node) else { return };
                let (mut from_gate, mut to_node) =
                    (inward.try_clone().unwrap(), outward.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from_gate, &mut to_node));
                let holding = Arc::clone(&holding);
                std::thread::spawn(move || pass(outward, inward, &holding));
            }
        });
        Self { address, held }
    }

    fn hold(&self, held: bool) {
        *self.held.0.lock().unwrap() = held;
        self.held.1.notify_all();
    }
}

fn pass(mut from_node: TcpStream, mut to_gate: TcpStream, (held, changed): &(Mutex<bool>, Condvar)) {
    let mut bytes = [0; 4096];
    while let Ok(len) = from_node.read(&mut bytes) {
        drop(changed.wait_while(held.lock().unwrap(), |held| *held).unwrap());
        if len == 0 || to_gate.write_all(&bytes[..len]).is_err() {
            return;
        }
    }
}

fn asked(gate: &Server, token: &Token, at_least: Option<&str>) -> Answer {
    let url = format!("https://{HOST}/orders/17");
    let mut headers = vec![
        ("Fastly-Key", token.secret.as_str()),
        ("X-Original-Method", "GET"),
        ("X-Original-URL", &url),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    headers.extend(at_least.map(|position| ("Keygate-Min-Position", position)));
    gate.send("GET", "/authz/auth-request", &headers, "")
}

#[test]
fn a_token_that_is_younger_than_what_a_gate_has_heard_is_503_there_and_not_401() {
    let house = House::new();
    let (gate_token, first) = (house.gate_token(&house.operator), house.token(&house.tenant, "shop:read"));
    let relay = Relay::to(house.node.address);
    let gate = house.gate(&[format!("http://{}", relay.address)], &gate_token, &[]);
    let watch = Stopwatch::start();
    while asked(&gate, &first, None).status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(10), "it hears nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    relay.hold(true);
    let (token, position) = house.token_at(&house.tenant, "shop:read");
    let behind = asked(&gate, &token, Some(&position));
    assert_eq!(behind.status, 503, "{}", behind.head);
    let head = behind.head.to_ascii_lowercase();
    assert!(
        head.contains("x-authz-reason: position_not_applied") && head.contains("retry-after: 1"),
        "{head}"
    );
    assert_eq!(asked(&gate, &token, None).status, 401, "and nobody else knows better");
    assert_eq!(asked(&gate, &first, None).status, 200, "whoever demands nothing does not wait");
    // It waits for what comes meanwhile.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| asked(&gate, &token, Some(&position)).status);
        relay.hold(false);
        assert_eq!(waiting.join().unwrap(), 200);
    });
    for _ in 0..20 {
        let (token, position) = house.token_at(&house.tenant, "shop:read");
        assert_eq!(asked(&gate, &token, Some(&position)).status, 200, "at once");
    }
}

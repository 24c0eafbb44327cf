//! The feed as it is on the line.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use keygate_gate::wire::{Frame, Frames, Hello, subject_of};
use keygate_model::{Record, Subject};

use crate::house::{House, Token};

/// A stream of the feed over HTTP/1.1.
struct Line {
    stream: TcpStream,
    /// What came in and was not read yet: chunks, and then frames.
    chunked: Vec<u8>,
    frames: Frames,
    is_over: bool,
}

impl Line {
    fn open(house: &House, token: &Token, query: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(house.node.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (host, secret) = (house.node.address, &token.secret);
        write!(stream, "GET /feed{query} HTTP/1.1\r\nHost: {host}\r\nFastly-Key: {secret}\r\n\r\n").unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        if !head.starts_with("HTTP/1.1 200") {
            return Err(head);
        }
        Ok(Self { stream, chunked: Vec::new(), frames: Frames::default(), is_over: false })
    }

    /// The next frame. None: that was all.
    fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.frame().unwrap() {
                return Some(frame);
            }
            if self.is_over {
                return None;
            }
            let mut piece = [0; 16 * 1024];
            let len = self.stream.read(&mut piece).expect("a node is never silent");
            self.chunked.extend_from_slice(&piece[..len]);
            self.is_over = len == 0;
            self.unchunk();
        }
    }

    fn unchunk(&mut self) {
        while let Some(end) = self.chunked.windows(2).position(|two| two == b"\r\n") {
            let len = std::str::from_utf8(&self.chunked[..end]).unwrap();
            let len = usize::from_str_radix(len, 16).unwrap();
            if self.chunked.len() < end + 2 + len + 2 {
                return;
            }
            self.is_over |= len == 0;
            self.frames.push(&self.chunked[end + 2..end + 2 + len]);
            self.chunked.drain(..end + 2 + len + 2);
        }
    }

    fn hello(&mut self) -> Hello {
        let Some(Frame::Hello(hello)) = self.frame() else { panic!("no hello") };
        hello
    }

    /// Every record up to the first heartbeat, and that.
    fn until_beat(&mut self) -> (Vec<Record>, i64, String) {
        let mut records = Vec::new();
        loop {
            match self.frame().expect("more") {
                Frame::Records(_, _, more) => records.extend(more),
                Frame::Beat(beat) => {
                    let hash = data_encoding::HEXLOWER.encode(&beat.hash);
                    return (records, beat.position, hash);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

const OPERATORS_OWN: &str = r#"
name = "inner"
hosts = ["inner.example.com"]
customers = ["<operator>"]
[actions]
"look" = { read = true }
[scopes]
"inner:read" = ["@read"]
[roles]
"superuser" = ["*"]
[routes]
"GET /" = { action = "look" }
"#;

fn apply(house: &House, policy: &str) {
    std::fs::write(house.home.path().join("inner.toml"), policy).unwrap();
    let applied = house.home.command(&["policy", "apply", "inner.toml", "--yes"]).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
}

#[test]
fn a_customers_gate_is_told_of_that_customer_alone() {
    let house = House::new();
    apply(&house, &OPERATORS_OWN.replace("<operator>", &house.operator.id));
    let (own, operators) = (house.gate_token(&house.tenant), house.gate_token(&house.operator));
    let mut line = Line::open(&house, &own, "").unwrap();
    let hello = line.hello();
    assert_eq!((hello.snapshot, hello.tokens, hello.customer.len()), (true, 0, 16));
    let (snapshot, ..) = line.until_beat();
    // Things happen to both.
    house.token(&house.operator, "global");
    let mine = house.token(&house.tenant, "shop:read");
    house.revoke(&mine);
    let both = format!("{}\", \"{}", house.operator.id, house.tenant.id);
    apply(&house, &OPERATORS_OWN.replace("<operator>", &both));
    apply(&house, &OPERATORS_OWN.replace("<operator>", &house.operator.id));
    apply(&house, &OPERATORS_OWN.replace("<operator>", &house.operator.id).replace("look", "see"));
    let mut tail = Vec::new();
    while tail.iter().filter(|record| matches!(record, Record::Policy(_))).count() < 2 {
        tail.extend(line.until_beat().0);
    }
    tail.extend(line.until_beat().0);
    let told = [snapshot, tail].concat();
    for record in &told {
        let whose = match record {
            Record::Customer(customer) => customer.id,
            Record::User(user) => user.customer,
            Record::Service(service) => service.customer,
            Record::Token(token) => token.customer,
            _ => continue,
        };
        assert_eq!(whose.to_string(), house.tenant.id, "{record:?}");
    }
    let policies: Vec<_> = told
        .iter()
        .filter_map(|record| match record {
            Record::Policy(policy) => Some(policy.text.as_deref().map(|text| text.contains("inner"))),
            _ => None,
        })
        .collect();
    assert_eq!(policies, [Some(false), Some(true), None], "the shop; the inner one, given and taken back");
    let tokens = told.iter().filter(|record| matches!(record, Record::Token(token) if token.revoked));
    assert_eq!(tokens.count(), 1);
    // The operator's gate is told of both.
    let mut all = Line::open(&house, &operators, "").unwrap();
    assert!(all.hello().customer.is_empty());
    let customers: BTreeSet<_> = all
        .until_beat()
        .0
        .iter()
        .map(subject_of)
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|subject| if let Subject::Customer(id) = subject { Some(id.to_string()) } else { None })
        .collect();
    assert_eq!(customers, BTreeSet::from([house.operator.id.clone(), house.tenant.id.clone()]));
}

#[test]
fn who_comes_back_is_told_what_was_missed_and_who_has_another_past_goes_elsewhere() {
    let house = House::new();
    let gate_token = house.gate_token(&house.operator);
    let mut line = Line::open(&house, &gate_token, "").unwrap();
    line.hello();
    let (_, position, hash) = line.until_beat();
    drop(line);
    let missed = house.token(&house.tenant, "shop:read");
    let mut back = Line::open(&house, &gate_token, &format!("?from={position}&hash={hash}&epoch=1")).unwrap();
    assert!(!back.hello().snapshot);
    let (records, now, new_hash) = back.until_beat();
    assert!(now > position, "{records:?}");
    let [Record::User(_), Record::Token(token)] = &records[..] else { panic!("{records:?}") };
    assert_eq!(token.digest, keygate_model::Digest::of(missed.secret.as_bytes()));
    // From the end there is nothing to tell; a past that is not this node's, or is not there yet, is a conflict.
    let mut end = Line::open(&house, &gate_token, &format!("?from={now}&hash={new_hash}&epoch=1")).unwrap();
    assert!(!end.hello().snapshot && end.until_beat().0.is_empty());
    for (from, hash, epoch) in [(position, &new_hash, 1), (now + 1, &new_hash, 1), (now, &new_hash, 2)] {
        for anew in ["", "&anew=false", "&anew=true"] {
            let path = format!("?from={from}&hash={hash}&epoch={epoch}{anew}");
            let refused = Line::open(&house, &gate_token, &path);
            assert!(refused.is_err_and(|head| head.starts_with("HTTP/1.1 409")), "{path}");
        }
    }
    let path = format!("?from={position}&hash={hash}&epoch=1&anew=true");
    assert!(
        Line::open(&house, &gate_token, &path).unwrap().hello().snapshot,
        "the same past, and nothing held"
    );
    let older = Line::open(&house, &gate_token, &format!("?from={now}&hash={new_hash}&epoch=0"));
    assert!(older.unwrap().hello().snapshot, "an epoch that is over");
    for odd in ["?from=1", "?from=x&hash=&epoch=1", "?since=1", "?anew=true"] {
        let refused = Line::open(&house, &gate_token, odd);
        assert!(refused.is_err_and(|head| head.starts_with("HTTP/1.1 400")), "{odd}");
    }
}

#[test]
fn a_stream_ends_with_the_right_to_it() {
    let house = House::new();
    let (first, second) = (house.gate_token(&house.operator), house.gate_token(&house.tenant));
    let mut lines = [&first, &second].map(|token| Line::open(&house, token, "").unwrap());
    for line in &mut lines {
        line.hello();
        line.until_beat();
    }
    house.revoke(&first);
    let end = loop {
        match lines[0].frame().expect("an end") {
            Frame::End(end) => break end,
            Frame::Records(..) => panic!("told something after its token was revoked"),
            _ => {}
        }
    };
    assert_eq!(end.code, "token_unknown");
    assert!(lines[0].frame().is_none());
    lines[1].until_beat();
    let refused = Line::open(&house, &house.token(&house.operator, "global"), "");
    assert!(refused.is_err_and(|head| head.starts_with("HTTP/1.1 403")));
}

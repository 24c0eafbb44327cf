//! Checks as an Envoy sends them: few connections, many streams on each.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use envoy_types::pb::envoy::{
    config::core::v3::{Address, SocketAddress, address, socket_address::PortSpecifier},
    service::auth::v3::{
        AttributeContext, CheckRequest,
        attribute_context::{HttpRequest, Peer, Request},
    },
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use prost::Message as _;

use super::frames::{self, Heard};
use crate::{
    fixture::{self, Draw},
    load::cpu,
};

const CONNECTIONS: usize = 4;
const STREAMS: usize = 16;
const WARMUP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(5);
const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What a run found.
pub(super) struct Found {
    pub(super) checks_per_second: f64,
    /// The share of its core that this took.
    pub(super) own_cpu: f64,
}

/// Loads a server with checks, each with one of the tokens.
pub(super) fn run(target: SocketAddr, tokens: &[String]) -> anyhow::Result<Found> {
    anyhow::ensure!(target.ip().is_loopback(), "this loads its own machine only");
    let mut poll = Poll::new()?;
    let message = Template::new(&tokens[0])?;
    let mut draw = Draw::new(1);
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(target, &poll, Token(number))?;
        for _ in 0..STREAMS {
            connection.ask(&message, tokens, &mut draw);
        }
        connection.flush()?;
        connections.push(connection);
    }
    let begin = fixture::now();
    let (mut counted_from, mut events) = (None, Events::with_capacity(CONNECTIONS));
    loop {
        poll.poll(&mut events, Some(Duration::from_secs(5)))?;
        anyhow::ensure!(!events.is_empty(), "the server is silent");
        for event in &events {
            let connection = &mut connections[event.token().0];
            for _ in 0..connection.hear()? {
                connection.ask(&message, tokens, &mut draw);
            }
            connection.flush()?;
        }
        let now = fixture::now();
        match counted_from {
            None if now - begin >= WARMUP => counted_from = Some(Mark::new(now, &connections)?),
            Some(ref from) if now - from.at >= WINDOW => return from.until(&Mark::new(now, &connections)?),
            _ => {}
        }
    }
}

/// Where the counters stood.
struct Mark {
    at: Instant,
    cpu: Duration,
    ended: u64,
}

impl Mark {
    fn new(at: Instant, connections: &[Connection]) -> anyhow::Result<Self> {
        let [allowed, ended] = [|heard: &Heard| heard.allowed, |heard: &Heard| heard.ended]
            .map(|of| connections.iter().map(|connection| of(&connection.heard)).sum::<u64>());
        // A message comes before the end of its stream, and never more of them than are in flight.
        let ahead = allowed.checked_sub(ended);
        let most = (CONNECTIONS * STREAMS) as u64;
        anyhow::ensure!(ahead.is_some_and(|ahead| ahead <= most), "{allowed} were allowed of {ended}");
        Ok(Self { at, cpu: cpu::own()?, ended })
    }

    fn until(&self, end: &Self) -> anyhow::Result<Found> {
        let seconds = (end.at - self.at).as_secs_f64();
        Ok(Found {
            checks_per_second: (end.ended - self.ended) as f64 / seconds,
            own_cpu: (end.cpu - self.cpu).as_secs_f64() / seconds,
        })
    }
}

struct Connection {
    stream: TcpStream,
    next: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    headers: [Vec<u8>; 2],
    message: Vec<u8>,
    heard: Heard,
}

impl Connection {
    fn open(target: SocketAddr, poll: &Poll, token: Token) -> anyhow::Result<Self> {
        let stream = std::net::TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE)?;
        Ok(Self {
            stream,
            next: 1,
            input: Vec::with_capacity(1 << 17),
            output: frames::opening(),
            headers: [true, false].map(|is_first| frames::headers(PATH, "keygate", is_first)),
            message: Vec::new(),
            heard: Heard::default(),
        })
    }

    fn ask(&mut self, message: &Template, tokens: &[String], draw: &mut Draw) {
        let token = &tokens[draw.below(tokens.len() as u64) as usize];
        message.with(token, &mut self.message);
        frames::request(
            &mut self.output,
            self.next,
            &self.headers[usize::from(self.next > 1)],
            &self.message,
        );
        self.next += 2;
    }

    /// Sends all of it at once; there is room for what so few streams ask.
    fn flush(&mut self) -> anyhow::Result<()> {
        if !self.output.is_empty() {
            let sent = self.stream.write(&self.output)?;
            anyhow::ensure!(sent == self.output.len(), "the server does not read");
            self.output.clear();
        }
        Ok(())
    }

    /// Reads what has come: how many streams have ended.
    fn hear(&mut self) -> anyhow::Result<u64> {
        let before = self.heard.ended;
        let mut buffer = [0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => anyhow::bail!("the server closed a connection"),
                Ok(read) => {
                    self.input.extend(&buffer[..read]);
                    let done = frames::read(&self.input, &mut self.heard, &mut self.output)?;
                    self.input.drain(..done);
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why.into()),
            }
        }
        Ok(self.heard.ended - before)
    }
}

/// A check with a place for the token: all tokens are equally long.
struct Template {
    bytes: Vec<u8>,
    place: usize,
    token_len: usize,
}

impl Template {
    fn new(token: &str) -> anyhow::Result<Self> {
        let message = check(token).encode_to_vec();
        let length = u32::try_from(message.len())?;
        let bytes = [&[0][..], &length.to_be_bytes(), &message].concat();
        let place = bytes.windows(token.len()).position(|part| part == token.as_bytes());
        let place = place.ok_or_else(|| anyhow::anyhow!("the token is not in the message"))?;
        Ok(Self { bytes, place, token_len: token.len() })
    }

    fn with(&self, token: &str, message: &mut Vec<u8>) {
        message.clone_from(&self.bytes);
        message[self.place..self.place + self.token_len].copy_from_slice(token.as_bytes());
    }
}

fn check(token: &str) -> CheckRequest {
    let peer = |address: &str, port| {
        let socket = SocketAddress {
            address: address.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(port)),
            ..SocketAddress::default()
        };
        let address = Some(Address { address: Some(address::Address::SocketAddress(socket)) });
        Some(Peer { address, ..Peer::default() })
    };
    let path = format!("/service/{}/purge/front", fixture::SERVICE);
    let headers: HashMap<_, _> = [
        (":authority", "api.example"),
        (":method", "POST"),
        (":path", &path),
        (":scheme", "https"),
        ("accept", "*/*"),
        ("content-length", "0"),
        ("fastly-key", token),
        ("user-agent", "bench/1"),
        ("x-envoy-external-address", "192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "3f0c7d0e-7a83-4f3b-9a25-0e9d6cf1a1c2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let http = HttpRequest {
        id: "1234567890123456789".to_owned(),
        method: "POST".to_owned(),
        headers,
        path: path.clone(),
        host: "api.example".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext {
        source: peer("192.0.2.1", 40_000),
        destination: peer("192.0.2.2", 443),
        request: Some(Request { http: Some(http), ..Request::default() }),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

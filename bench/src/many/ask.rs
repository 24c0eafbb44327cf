//! Asking over one connection that is kept, and what the answers' times come to.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// A connection to a node or a gate.
pub(super) struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Line {
    pub(super) fn to(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// What a gate says of a secret to a proxy that asks about the shop.
    pub(super) fn asks(&mut self, secret: &str) -> anyhow::Result<u16> {
        let headers = [
            ("X-Original-Method", "GET"),
            ("X-Original-URL", "https://api.shop.example.com/orders/17"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Fastly-Key", secret),
        ];
        Ok(self.send("GET", "/authz/auth-request", &headers, "")?.status)
    }

    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: keygate\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.stream.write_all(request.as_bytes())?;
        let end = self.until(|heard| memchr::memmem::find(heard, b"\r\n\r\n"))? + 4;
        let head = String::from_utf8(self.heard.drain(..end).collect())?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(Ok(0), |length| length.trim().parse::<usize>())?;
        self.until(|heard| (heard.len() >= length).then_some(()))?;
        let body = String::from_utf8(self.heard.drain(..length).collect())?;
        Ok(Answer { status, body })
    }

    fn until<T>(&mut self, is_there: impl Fn(&[u8]) -> Option<T>) -> anyhow::Result<T> {
        loop {
            if let Some(found) = is_there(&self.heard) {
                return Ok(found);
            }
            let mut more = [0; 16 * 1024];
            let len = self.stream.read(&mut more)?;
            anyhow::ensure!(len > 0, "the connection was closed");
            self.heard.extend_from_slice(&more[..len]);
        }
    }
}

impl Answer {
    /// The body of an answer that must have this status.
    pub(super) fn json(&self, status: u16) -> anyhow::Result<Value> {
        anyhow::ensure!(self.status == status, "{} and not {status}: {}", self.status, self.body);
        Ok(serde_json::from_str(&self.body)?)
    }
}

/// Milliseconds, in order.
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// What so large a share of them is within.
    pub(super) fn within(&self, share: f64) -> f64 {
        let place = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(place.saturating_sub(1)).or(self.0.last()).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn p50(&self) -> f64 {
        self.within(0.5)
    }

    pub(super) fn p99(&self) -> f64 {
        self.within(0.99)
    }

    pub(super) fn max(&self) -> f64 {
        self.within(1.0)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2}, p99 {:.2}, max {:.1} ms", self.p50(), self.p99(), self.max())
    }
}

/// Milliseconds of something.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

//! Requests, and what must come of them at any edge.

use std::net::Ipv4Addr;

use crate::{house::HOST, proxy::Kind};

mod credentials;
mod decisions;
mod framing;
mod headers;
mod targets;

/// One request.
pub(crate) struct Case {
    pub(crate) what: String,
    pub(crate) request: String,
    pub(crate) from: Ipv4Addr,
    expect: Expect,
    elsewhere: Vec<(Kind, Expect)>,
}

/// What must come of it. Whatever that is, the API gets nothing or exactly what was decided about.
pub(crate) enum Expect {
    /// It passes, as this token's.
    Pass(&'static str),
    /// The gate's refusal reaches the client.
    Deny(u16, &'static str),
    /// It is refused, by whoever sees it first.
    Stop,
    /// No more than that.
    Same,
}

use Expect::{Deny, Pass, Same, Stop};

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let groups =
        [decisions::cases(), credentials::cases(), headers::cases(), targets::cases(), framing::cases()];
    groups.into_iter().flatten().collect()
}

/// The bytes of a request to the protected API, with these headers.
pub(crate) fn asking(line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")
}

impl Case {
    fn new(line: &str, headers: &[&str], expect: Expect) -> Self {
        Self::raw(&asking(line, headers), expect)
    }

    /// With every byte as it stands.
    fn raw(request: &str, expect: Expect) -> Self {
        let what: String = request.escape_debug().take(120).collect();
        Self { what, request: request.to_owned(), from: Ipv4Addr::LOCALHOST, expect, elsewhere: Vec::new() }
    }

    fn from(mut self, from: &str) -> Self {
        self.from = from.parse().expect("an address");
        self
    }

    /// What must come of it at this one.
    fn at(mut self, kind: Kind, expect: Expect) -> Self {
        self.elsewhere.push((kind, expect));
        self
    }

    /// What must come of it at all others.
    fn elsewhere_than(mut self, kind: Kind, expect: impl Fn() -> Expect) -> Self {
        let others = [Kind::Nginx, Kind::Caddy, Kind::Haproxy].into_iter().filter(|other| *other != kind);
        self.elsewhere.extend(others.map(|other| (other, expect())));
        self
    }

    /// What must come of it here.
    pub(crate) fn expect_of(&self, kind: Kind) -> &Expect {
        let here = self.elsewhere.iter().find(|(other, _)| *other == kind);
        here.map_or(&self.expect, |(_, expect)| expect)
    }
}

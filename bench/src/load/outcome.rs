//! What a run found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::histogram::Histogram;

/// The figures of one window. Latencies are in microseconds, from the send of a request to its last byte read; they
/// are those of a server kept busy by every connection at once, not of an idle one.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the quantiles say what they are")]
pub struct Outcome {
    /// Answers that arrived whole, per second of the window.
    pub requests_per_second: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers whose status was not among [`super::Load::expected`].
    pub unexpected: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    /// Share of one core that the generator took. Near 1, the rate is the generator's and not the server's.
    pub own_cpu: f64,
    /// Share of one core that the server took, if its pid was given. Above 1 if it runs on several.
    pub server_cpu: Option<f64>,
    /// Connections opened anew, for whatever reason.
    pub reconnects: u64,
    /// Requests whose connection ended before their answer did.
    pub lost: u64,
    /// Answers that could not be followed, and why the last of them could not.
    pub malformed: u64,
    pub malformed_last: Option<&'static str>,
    /// How long was counted: the asked duration, or less if the requests ran out.
    pub window: Duration,
}

impl Outcome {
    /// Whether every request sent in the window was answered as expected.
    pub fn is_clean(&self) -> bool {
        self.unexpected == 0 && self.lost == 0 && self.malformed == 0 && !self.statuses.is_empty()
    }

    pub(super) fn set_latencies(&mut self, all: &Histogram) {
        [self.p50, self.p90, self.p99, self.p999] = [0.5, 0.9, 0.99, 0.999].map(|share| all.quantile(share));
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.0} requests/s in {:.2} s", self.requests_per_second, self.window.as_secs_f64())?;
        let Self { p50, p90, p99, p999, .. } = self;
        writeln!(f, "latency µs: p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, p99.9 {p999:.0}")?;
        write!(f, "cpu: generator {:.0} %", self.own_cpu * 100.0)?;
        if let Some(server) = self.server_cpu {
            write!(f, ", server {:.0} %", server * 100.0)?;
        }
        write!(f, "\nstatuses: {:?}, unexpected {}", self.statuses, self.unexpected)?;
        write!(f, "\nreconnects {}, lost {}, malformed {}", self.reconnects, self.lost, self.malformed)?;
        self.malformed_last.map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

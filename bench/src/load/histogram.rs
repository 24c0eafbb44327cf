//! Latencies counted in log-linear buckets: every figure right to 1.6 %, in 15 KiB, with no allocation to record one.

use std::time::Duration;

/// Counts of nanoseconds. Up to 64 each value has a bucket; above, each power of two has 32.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        self.counts[bucket(latency.as_nanos() as u64)] += 1;
        self.total += 1;
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The microseconds that `share` of all latencies do not exceed; 0 if there are none.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0.0, |at| middle(at) / 1000.0)
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(LINEAR_BITS);
    let at = (shift as usize) * HALF + (nanos >> shift) as usize;
    at.min(BUCKETS - 1)
}

/// The nanoseconds in the middle of a bucket.
fn middle(at: usize) -> f64 {
    let shift = (at / HALF).saturating_sub(1);
    let low = (at - shift * HALF) << shift;
    low as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

const LINEAR_BITS: u32 = 6;
const HALF: usize = 1 << (LINEAR_BITS - 1);
/// Enough for 2^64 ns.
const BUCKETS: usize = (u64::BITS - LINEAR_BITS + 2) as usize * HALF;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_middle() {
        for at in 0..BUCKETS {
            assert_eq!(bucket(middle(at) as u64), at);
        }
    }

    #[test]
    fn buckets_are_in_order_and_right_to_a_64th() {
        assert!((0..20_000).is_sorted_by_key(bucket));
        for nanos in (0..20_000_u64).chain((0..40).map(|n| 3 << n)) {
            let kept = middle(bucket(nanos));
            assert!((kept - nanos as f64).abs() <= nanos as f64 / 64.0, "{nanos} became {kept}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_one_to_a_thousand_microseconds() {
        let mut all = Histogram::new();
        (1..=1000).for_each(|micros| all.record(Duration::from_micros(micros)));
        for (share, micros) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let got = all.quantile(share);
            assert!((got - micros).abs() / micros < 1.0 / 64.0, "{share}: {got}");
        }
        assert!(all.quantile(0.0) < 1.1);
    }

    #[test]
    fn an_empty_histogram_has_no_latency() {
        let mut all = Histogram::new();
        assert!(all.quantile(0.99).abs() < f64::EPSILON);
        all.record(Duration::from_secs(1));
        all.clear();
        assert!(all.quantile(0.99).abs() < f64::EPSILON);
    }
}

//! Response times, mergeable over workers, nodes and intervals.
//!
//! Logarithmic buckets (the crate `histogram`, H2 encoding) rather than a t-digest: merging is exact, recording is one
//! array index, and the error is bounded at 3 % wherever the value lies.

mod summary;

use foreshift_wire::LatencyBuckets;
use histogram::{Config, Histogram};

pub use summary::LatencySummary;

use crate::Error;

const CONFIG: Config = match Config::new(LatencyBuckets::GROUPING_POWER, LatencyBuckets::MAX_VALUE_POWER) {
    Ok(config) => config,
    Err(_) => panic!("the powers of LatencyBuckets make a histogram"),
};

/// Longest response time that is told apart, in microseconds: 19 hours.
const US_MAX: u64 = (1 << LatencyBuckets::MAX_VALUE_POWER) - 1;

/// A histogram of response times; 8 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    histogram: Histogram,
    count: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Empty.
    pub fn new() -> Self {
        Self {
            histogram: Histogram::with_config(&CONFIG),
            count: 0,
        }
    }

    /// Adds one response time. Above 19 hours counts as 19 hours.
    pub fn record_us(&mut self, us: u64) {
        // Cannot fail: US_MAX is in the last bucket.
        let _ = self.histogram.increment(us.min(US_MAX));
        self.count += 1;
    }

    /// Adds what another histogram counted. Nothing is added on an error.
    pub fn merge(&mut self, other: &LatencyBuckets) -> Result<(), Error> {
        let counts = self.histogram.as_mut_slice();
        let buckets = counts.len();
        if let Some((index, _)) = other.0.iter().find(|(index, _)| *index as usize >= buckets) {
            return Err(Error::Bucket {
                index: *index,
                buckets,
            });
        }
        for (index, count) in &other.0 {
            let slot = &mut counts[*index as usize];
            *slot = slot.saturating_add(*count);
            self.count = self.count.saturating_add(*count);
        }
        Ok(())
    }

    /// What was counted since the last call, to travel; empties the histogram.
    pub fn take(&mut self) -> LatencyBuckets {
        let mut taken = Vec::new();
        if self.count > 0 {
            for (index, count) in self.histogram.as_mut_slice().iter_mut().enumerate() {
                if *count > 0 {
                    taken.push((index as u32, std::mem::take(count)));
                }
            }
            self.count = 0;
        }
        LatencyBuckets(taken)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if self.count > 0 {
            self.histogram.reset();
            self.count = 0;
        }
    }

    /// How many response times there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The response time in milliseconds that a share `q` of them (0 to 1) does not exceed; at most 3 % too high.
    /// `None` where there are none, or `q` is no share.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let bucket = self.histogram.quantile_bucket(q).ok()??;
        Some(bucket.end() as f64 / 1e3)
    }

    /// Mean response time in milliseconds, within 2 %. `None` where there are none.
    pub fn mean_ms(&self) -> Option<f64> {
        let used = self.histogram.iter().filter(|bucket| bucket.count() > 0);
        let middle = |b: &histogram::Bucket| (b.start() as f64 + b.end() as f64) / 2.0;
        let sum: f64 = used.map(|b| middle(&b) * b.count() as f64).sum();
        (self.count > 0).then(|| sum / self.count as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Latency {
        let mut latency = Latency::new();
        values.iter().for_each(|us| latency.record_us(*us));
        latency
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_below_the_true_one_and_at_most_a_bucket_above(
            mut values in proptest::collection::vec(0..10_000_000_u64, 1..200),
            q in 0.0..=1.0_f64,
        ) {
            let latency = of(&values);
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64 / 1e3;
            let found = latency.quantile_ms(q).unwrap();
            prop_assert!(found >= exact && found <= exact * 1.04 + 0.001, "{found} for {exact}");
            let mean = values.iter().sum::<u64>() as f64 / values.len() as f64 / 1e3;
            prop_assert!((latency.mean_ms().unwrap() - mean).abs() <= mean * 0.02 + 0.001);
        }

        #[test]
        fn parts_that_travelled_merge_to_the_whole(
            a in proptest::collection::vec(any::<u64>(), 0..50),
            b in proptest::collection::vec(0..5_000_u64, 0..50),
        ) {
            let mut merged = Latency::new();
            for part in [&a, &b] {
                let mut part = of(part);
                merged.merge(&part.take()).unwrap();
                prop_assert_eq!(part, Latency::new());
            }
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile_and_a_share_is_between_0_and_1() {
        assert_eq!(Latency::new().quantile_ms(0.5), None);
        assert_eq!(Latency::new().mean_ms(), None);
        for q in [-0.1, 1.1, f64::NAN] {
            assert_eq!(of(&[1]).quantile_ms(q), None, "{q}");
        }
    }

    #[test]
    fn a_bucket_that_does_not_exist_is_refused_and_nothing_added() {
        let mut latency = of(&[5]);
        let before = latency.clone();
        let strange = LatencyBuckets(vec![(1, 1), (1_000_000, 1)]);
        assert!(matches!(
            latency.merge(&strange),
            Err(Error::Bucket { index: 1_000_000, .. })
        ));
        assert_eq!(latency, before);
    }
}

//! Mean and quantiles straight from buckets that travelled.
//!
//! A node's interval has a few dozen buckets in use of a thousand, so one pass over them is much cheaper than filling a
//! histogram first: this is paid for each node and tick.

use foreshift_wire::LatencyBuckets;

use super::CONFIG;
use crate::Error;

/// Response times of one interval, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencySummary {
    /// Within 2 %.
    pub mean_ms: f64,
    /// Median; at most 3 % too high.
    pub p50_ms: f64,
    /// 99th percentile; at most 3 % too high.
    pub p99_ms: f64,
}

impl LatencySummary {
    /// `None` where there are no response times. [`Error::Bucket`] where the buckets are not ours, or do not rise.
    pub fn of(buckets: &LatencyBuckets) -> Result<Option<Self>, Error> {
        let count = check(buckets)?;
        let rank = |q: f64| ((count as f64 * q).ceil() as u64).clamp(1, count.max(1));
        let (rank_p50, rank_p99) = (rank(0.5), rank(0.99));
        let (mut below, mut sum_us, mut p50_us, mut p99_us) = (0_u64, 0.0, 0, 0);
        for (index, count) in &buckets.0 {
            let (first_us, last_us) = range_us(*index);
            sum_us += (first_us + last_us) as f64 / 2.0 * *count as f64;
            let upto = below.saturating_add(*count);
            let holds = |rank| below < rank && rank <= upto;
            if holds(rank_p50) {
                p50_us = last_us;
            }
            if holds(rank_p99) {
                p99_us = last_us;
            }
            below = upto;
        }
        let summary = Self {
            mean_ms: sum_us / count as f64 / 1e3,
            p50_ms: p50_us as f64 / 1e3,
            p99_ms: p99_us as f64 / 1e3,
        };
        Ok((count > 0).then_some(summary))
    }
}

/// How many response times there are.
fn check(buckets: &LatencyBuckets) -> Result<u64, Error> {
    let mut next = 0;
    let mut total = 0_u64;
    for (index, count) in &buckets.0 {
        if *index < next || *index as usize >= CONFIG.total_buckets() {
            return Err(Error::Bucket {
                index: *index,
                buckets: CONFIG.total_buckets(),
            });
        }
        next = index + 1;
        total = total.saturating_add(*count);
    }
    Ok(total)
}

/// First and last microsecond of a bucket: below `2^power` one each, then `2^power` buckets for each power of two.
fn range_us(index: u32) -> (u64, u64) {
    const POWER: u32 = LatencyBuckets::GROUPING_POWER as u32;
    let (group, within) = (index >> POWER, u64::from(index & ((1 << POWER) - 1)));
    match group {
        0 => (within, within),
        _ => {
            let width = 1_u64 << (group - 1);
            let first = (1_u64 << (POWER + group - 1)) + width * within;
            (first, first + width - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Latency, *};

    #[test]
    fn bucket_ranges_are_those_of_the_histogram() {
        let histogram = histogram::Histogram::with_config(&CONFIG);
        for (index, bucket) in histogram.iter().enumerate() {
            assert_eq!(range_us(index as u32), (bucket.start(), bucket.end()), "{index}");
        }
    }

    proptest! {
        #[test]
        fn a_summary_says_what_the_whole_histogram_says(
            values in proptest::collection::vec(prop_oneof![0..100_u64, 0..1_000_000_u64, any::<u64>()], 0..100),
        ) {
            let mut latency = Latency::new();
            values.iter().for_each(|us| latency.record_us(*us));
            let expected = latency.mean_ms().map(|mean_ms| LatencySummary {
                mean_ms,
                p50_ms: latency.quantile_ms(0.5).unwrap(),
                p99_ms: latency.quantile_ms(0.99).unwrap(),
            });
            let found = LatencySummary::of(&latency.take()).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn buckets_that_do_not_rise_or_exist_are_refused_and_huge_counts_are_not_a_panic() {
        for strange in [vec![(3, 1), (3, 1)], vec![(5, 1), (4, 1)], vec![(u32::MAX, 1)]] {
            let strange = LatencyBuckets(strange);
            assert!(LatencySummary::of(&strange).is_err(), "{strange:?}");
        }
        let huge = LatencyBuckets(vec![(1, u64::MAX), (2, u64::MAX)]);
        assert!(LatencySummary::of(&huge).unwrap().is_some());
    }
}

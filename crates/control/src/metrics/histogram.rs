//! A histogram with the fixed bounds that Prometheus asks for.

use foreshift_wire::LatencyBuckets;

/// Upper bounds in microseconds; conventional, from 250 µs (a switch takes less than a request) to 10 s.
const BOUNDS_US: [u64; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// One beyond the last index that a report may have.
const LAST_INDEX: u32 = (LatencyBuckets::MAX_VALUE_POWER as u32 - LatencyBuckets::GROUPING_POWER as u32 + 1)
    << LatencyBuckets::GROUPING_POWER;

/// The middle of the report's bucket `index`: of each power of two, 2^5 buckets of the same width, below 2^6 one a
/// value.
fn middle_us(index: u32) -> u64 {
    let power = u32::from(LatencyBuckets::GROUPING_POWER);
    let (group, offset) = (index >> power, u64::from(index & ((1 << power) - 1)));
    match group.checked_sub(1) {
        None => offset,
        Some(shift) => (((1 << power) + offset) << shift) + ((1 << shift) >> 1),
    }
}

/// Counts of durations under fixed bounds, since the process started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: [u64; BOUNDS_US.len()],
    over: u64,
    sum_us: u64,
}

impl Histogram {
    /// Adds `count` durations of `micros`.
    pub(crate) fn add_us(&mut self, micros: u64, count: u64) {
        match BOUNDS_US.iter().position(|bound| micros <= *bound) {
            Some(index) => self.counts[index] += count,
            None => self.over += count,
        }
        self.sum_us = self.sum_us.saturating_add(micros.saturating_mul(count));
    }

    /// Adds what the ingress measured; each of its buckets counts as its middle, at most 1.6 % off.
    pub(crate) fn add(&mut self, buckets: &LatencyBuckets) {
        for (index, count) in &buckets.0 {
            // An index beyond the last bucket can only come from a damaged report.
            if *index < LAST_INDEX {
                self.add_us(middle_us(*index), *count);
            }
        }
    }

    /// `(upper bound in seconds, durations at or under it)`, rising; the last has no bound.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> + '_ {
        let bounds = BOUNDS_US.iter().map(|us| Some(*us as f64 / 1e6)).chain([None]);
        let mut sum = 0;
        bounds
            .zip(self.counts.iter().copied().chain([self.over]))
            .map(move |(bound, count)| {
                sum += count;
                (bound, sum)
            })
    }

    pub(crate) fn sum_s(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the crate `histogram` does it.
    fn index(micros: u64) -> u32 {
        if micros < 64 {
            return micros as u32;
        }
        let shift = micros.ilog2() - 5;
        (shift << 5) + (micros >> shift) as u32
    }

    #[test]
    fn the_middle_of_a_bucket_is_close_to_every_value_in_it() {
        for micros in (0..200).chain([1_000, 4_095, 4_096, 999_999, 3_600_000_000, (1 << 36) - 1]) {
            let middle = middle_us(index(micros));
            assert!(
                middle.abs_diff(micros) as f64 <= micros as f64 * 0.017,
                "{micros} {middle}"
            );
            assert!(index(micros) < LAST_INDEX, "{micros}");
        }
    }

    #[test]
    fn what_the_ingress_measured_lands_under_the_right_bound() {
        let mut histogram = Histogram::default();
        histogram.add(&LatencyBuckets(vec![
            (index(900), 3),
            (index(20_000), 2),
            (u32::MAX, 9),
        ]));
        assert_eq!(histogram.cumulative().last(), Some((None, 5)));
        let at = |seconds| {
            histogram
                .cumulative()
                .find(|(b, _)| *b == Some(seconds))
                .unwrap()
                .1
        };
        assert_eq!((at(0.0005), at(0.001), at(0.01), at(0.025)), (0, 3, 3, 5));
        assert!(
            (histogram.sum_s() - 0.0427).abs() < 0.001,
            "{}",
            histogram.sum_s()
        );
    }
}

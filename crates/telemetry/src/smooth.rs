//! Exponential smoothing of rates that come at uneven times.

use std::time::Duration;

/// What is smoothed of a key or bucket: requests per second, bytes per second, requests in flight.
pub(crate) type Rates = [f64; 3];

/// When and over what time a report was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    now_ms: u64,
    interval_ms: f64,
    constant_ms: f64,
    /// Share of the past that is kept: one exponential for all that is observed in this tick.
    keep: f64,
}

impl Tick {
    /// An interval that ends at `now_ms`.
    pub(crate) fn new(now_ms: u64, interval: Duration, constant_ms: f64) -> Self {
        let interval_ms = interval.as_secs_f64() * 1e3;
        Self {
            now_ms,
            interval_ms,
            constant_ms,
            keep: (-interval_ms / constant_ms).exp(),
        }
    }

    pub(crate) fn rates(&self, requests: u32, bytes: u64, busy_us: u64) -> Rates {
        let per_s = 1e3 / self.interval_ms;
        [
            f64::from(requests) * per_s,
            bytes as f64 * per_s,
            busy_us as f64 / 1e6 * per_s,
        ]
    }
}

/// Smoothed rates in 40 bytes, brought up to date only when they are touched.
///
/// The weights of all observations decay together; dividing by their sum makes the first observation count in full instead
/// of growing in from zero, so that a key that has just become heavy is seen as such at once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Smooth {
    sums: Rates,
    weight: f64,
    at_ms: u64,
}

impl Smooth {
    /// Adds the mean rates of the tick. Time before it that was not observed counts as silence.
    pub(crate) fn observe(&mut self, rates: Rates, tick: &Tick) {
        if self.weight > 0.0 {
            let silent_ms = tick.now_ms.saturating_sub(self.at_ms) as f64 - tick.interval_ms;
            // Clocks and timers differ by a little; that is no silence.
            if silent_ms > tick.interval_ms * 0.5 {
                self.decay((-silent_ms / tick.constant_ms).exp(), [0.0; 3]);
            }
        }
        self.decay(tick.keep, rates);
        self.at_ms = tick.now_ms;
    }

    fn decay(&mut self, keep: f64, rates: Rates) {
        for (sum, rate) in self.sums.iter_mut().zip(rates) {
            *sum = *sum * keep + rate * (1.0 - keep);
        }
        self.weight = self.weight * keep + (1.0 - keep);
    }

    /// The rates as of `now_ms`, silent since the last observation.
    pub(crate) fn rates(&self, now_ms: u64, constant_ms: f64) -> Rates {
        let mut now = *self;
        let silent_ms = self.silent_ms(now_ms);
        if silent_ms > 0 {
            now.decay((-(silent_ms as f64) / constant_ms).exp(), [0.0; 3]);
        }
        match now.weight > 0.0 {
            true => now.sums.map(|sum| sum / now.weight),
            false => [0.0; 3],
        }
    }

    /// Time since the last observation, in milliseconds.
    pub(crate) fn silent_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.at_ms)
    }

    /// Of a clock that was set back: nothing lies in the future.
    pub(crate) fn clamp(&mut self, now_ms: u64) {
        self.at_ms = self.at_ms.min(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(now_ms: u64) -> Tick {
        Tick::new(now_ms, Duration::from_secs(1), 5_000.0)
    }

    proptest! {
        #[test]
        fn smoothed_rates_stay_within_what_was_observed(
            rates in proptest::collection::vec((0..10_000_u64, 0.0..1e6_f64), 1..50),
        ) {
            let (mut smooth, mut now_ms) = (Smooth::default(), 0);
            let mut highest = 0.0_f64;
            for (passed, rate) in rates {
                now_ms += passed;
                highest = highest.max(rate);
                smooth.observe([rate, 0.0, 0.0], &second(now_ms));
                let [found, ..] = smooth.rates(now_ms, 5_000.0);
                prop_assert!(found >= 0.0 && found <= highest * 1.000_001);
            }
        }
    }

    #[test]
    fn the_first_observation_counts_in_full_and_silence_fades_it() {
        let mut smooth = Smooth::default();
        smooth.observe([80.0, 0.0, 0.0], &second(1_000));
        assert!((smooth.rates(1_000, 5_000.0)[0] - 80.0).abs() < 1e-9);
        assert!(smooth.rates(11_000, 5_000.0)[0] < 10.0);
        smooth.observe([80.0, 0.0, 0.0], &second(12_000));
        let again = smooth.rates(12_000, 5_000.0)[0];
        assert!((10.0..40.0).contains(&again), "{again}");
    }

    #[test]
    fn a_change_is_followed_within_a_few_time_constants() {
        let mut smooth = Smooth::default();
        for n in 1..=60 {
            let rate = if n <= 30 { 10.0 } else { 100.0 };
            smooth.observe([rate, 0.0, 0.0], &second(n * 1_000));
        }
        assert!(smooth.rates(60_000, 5_000.0)[0] > 99.0);
    }
}

//! What may be sent again: a share of what is sent, and a little besides.
//!
//! A bucket of tokens. Every request puts its share in, time puts in so many a second, and sending one again takes a
//! whole token out. So where everything fails the nodes get `1 + share` times the load and not `attempts` times;
//! where there is little traffic, the tokens of time are enough. Each worker has a budget of its own: shares of parts add
//! up to the share of the whole, and the tokens of time are divided.
//!
//! Pure: callers pass `now`.

use std::time::Instant;

/// Tokens that are kept at most: what may be sent again in one moment after a quiet time.
pub(super) const KEPT_MAX: f64 = 100.0;

/// A worker's budget for one pool.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    per_second: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl Budget {
    /// `share` of the requests, and `per_second` besides. Begins with a second's worth.
    pub(super) fn new(share: f64, per_second: f64) -> Self {
        Self {
            share,
            per_second,
            tokens: per_second.clamp(1.0, KEPT_MAX),
            filled: None,
        }
    }

    /// A request is sent for the first time.
    #[inline]
    pub(super) fn sent(&mut self) {
        self.tokens = (self.tokens + self.share).min(KEPT_MAX);
    }

    /// Takes what it costs to send one again; false where there is not enough.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let since = self.filled.replace(now).unwrap_or(now);
        let elapsed = now.saturating_duration_since(since).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(KEPT_MAX);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_sees_more_than_the_share_the_time_and_what_was_kept(
            share in 0.0..1.0_f64,
            per_second in 0.0..50.0_f64,
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..100),
        ) {
            let mut budget = Budget::new(share, per_second);
            let mut now = Instant::now();
            let (mut sent, mut again) = (Vec::new(), Vec::new());
            for (pause_ms, asks) in steps {
                now += Duration::from_millis(pause_ms);
                budget.sent();
                sent.push(now);
                if asks && budget.take(now) {
                    again.push(now);
                }
            }
            for (first, from) in again.iter().enumerate() {
                for (last, to) in again.iter().enumerate().skip(first) {
                    let taken = (last - first + 1) as f64;
                    let asked = sent.iter().filter(|at| (*from..=*to).contains(*at)).count() as f64;
                    let allowed = KEPT_MAX + share * asked + per_second * (*to - *from).as_secs_f64();
                    prop_assert!(taken <= allowed + 1e-6, "{taken} of {allowed}");
                }
            }
        }

        #[test]
        fn a_long_outage_costs_the_share(share in 0.01..1.0_f64) {
            let mut budget = Budget::new(share, 0.0);
            let now = Instant::now();
            let requests = 100_000;
            let again = (0..requests).filter(|_| { budget.sent(); budget.take(now) }).count() as f64;
            let asked = share * f64::from(requests);
            prop_assert!((again - asked).abs() <= 2.0, "{again} of {asked}");
        }
    }

    #[test]
    fn where_little_is_asked_time_is_enough() {
        let mut budget = Budget::new(0.0, 2.0);
        let start = Instant::now();
        let taken = |budget: &mut Budget, at: f64| budget.take(start + Duration::from_secs_f64(at));
        assert!(taken(&mut budget, 0.0) && taken(&mut budget, 0.0));
        assert!(!taken(&mut budget, 0.4));
        assert!(taken(&mut budget, 0.5));
    }
}

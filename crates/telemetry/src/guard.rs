//! Believes a node on its latency: one that says it is idle while its answers grow slow is not idle.
//!
//! Where a response time is set as a node's capacity, the load score holds the measured one against it, and nothing else is
//! needed. Without one there is nothing to hold it against but the node's own past: its usual median, learned. The median
//! rather than a high quantile, as the latter of a few requests is one request.
//!
//! The usual median follows down in minutes and up at most by a tenth of that speed, so that an overload of less than an hour is
//! not taken for usual, and a slower release is, in the end.

use std::time::Duration;

/// How much slower than usual is full: at 4 times the usual a threshold of 80 is crossed.
const FULL: f64 = 5.0;
/// Faster than this nobody waits: a usual time below counts as this, in milliseconds.
const USUAL_MS_MIN: f64 = 5.0;
/// Time with requests that must have been seen before it says anything.
const LEARNED_AFTER_S: f64 = 60.0;
/// Time constant of what is usual.
const TIME_CONSTANT_S: f64 = 300.0;
/// Requests in an interval that make a median.
const REQUESTS_MIN: u64 = 5;
/// How much of a rise, and of a fall, is followed at once: natural logarithms of factors.
const RISE_MAX: f64 = 0.1;
const FALL_MAX: f64 = 1.0;

/// One node's usual response time.
#[derive(Debug, Clone, Copy, Default)]
pub struct LatencyGuard {
    usual_ln: f64,
    seen_s: f64,
    score: Option<f64>,
}

impl LatencyGuard {
    /// Takes the median of an interval and of how many requests it is.
    pub fn observe(&mut self, interval: Duration, median_ms: f64, requests: u64) {
        self.score = None;
        if requests < REQUESTS_MIN || !median_ms.is_finite() || median_ms <= 0.0 {
            return;
        }
        let median_ms = median_ms.clamp(0.001, 1e9);
        let (seconds, ln) = (interval.as_secs_f64(), median_ms.ln());
        if self.seen_s == 0.0 {
            self.usual_ln = ln;
        }
        if self.seen_s >= LEARNED_AFTER_S {
            let usual_ms = self.usual_ln.exp().max(USUAL_MS_MIN);
            self.score = Some(100.0 * median_ms / (FULL * usual_ms));
        }
        // While it is still learned it is the plain mean, so that one slow first interval is not kept.
        let constant = self.seen_s.min(TIME_CONSTANT_S).max(seconds);
        let fall = if self.seen_s < LEARNED_AFTER_S {
            f64::MAX
        } else {
            FALL_MAX
        };
        let rise = if self.seen_s < LEARNED_AFTER_S {
            f64::MAX
        } else {
            RISE_MAX
        };
        let share = (seconds / constant).min(1.0);
        self.usual_ln += (ln - self.usual_ln).clamp(-fall, rise) * share;
        self.seen_s += seconds;
    }

    /// No requests in this interval.
    pub fn idle(&mut self) {
        self.score = None;
    }

    /// The load score that the last interval's response time shows: 20 as usual, 100 at five times the usual. `None` where too
    /// little was asked, or learned.
    pub fn score(&self) -> Option<f64> {
        self.score
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_millis(500);

    fn after(guard: &mut LatencyGuard, seconds: u32, median_ms: f64) -> Option<f64> {
        (0..seconds * 2).for_each(|_| guard.observe(TICK, median_ms, 100));
        guard.score()
    }

    #[test]
    fn a_rise_is_seen_at_once_and_held_for_most_of_an_hour() {
        let mut guard = LatencyGuard::default();
        assert_eq!(after(&mut guard, 59, 20.0), None, "not learned yet");
        assert!((after(&mut guard, 60, 20.0).unwrap() - 20.0).abs() < 1e-6);
        let risen = after(&mut guard, 1, 100.0).unwrap();
        assert!(risen > 99.0, "{risen}");
        let held = after(&mut guard, 30 * 60, 100.0).unwrap();
        assert!(held > 50.0, "{held} after half an hour");
        let usual = after(&mut guard, 3 * 3_600, 100.0).unwrap();
        assert!(usual < 30.0, "{usual} after three hours is the new usual");
        let fast = after(&mut guard, 30 * 60, 20.0).unwrap();
        assert!(fast > 19.0, "{fast}: it is learned back");
    }

    #[test]
    fn fast_answers_and_few_requests_alarm_nobody() {
        let mut guard = LatencyGuard::default();
        after(&mut guard, 120, 0.3);
        let jitter = after(&mut guard, 1, 2.0).unwrap();
        assert!(jitter < 10.0, "{jitter}: 2 ms is not slow, whatever is usual");
        after(&mut guard, 3_600, 20.0);
        guard.observe(TICK, 1_000.0, REQUESTS_MIN - 1);
        assert_eq!(guard.score(), None);
    }

    proptest! {
        #[test]
        fn whatever_is_measured_the_score_is_a_number(
            medians in proptest::collection::vec(prop_oneof![any::<f64>(), 0.01..1e6_f64], 1..300),
        ) {
            let mut guard = LatencyGuard::default();
            for median in medians {
                guard.observe(Duration::from_secs(1), median, 10);
                prop_assert!(guard.score().is_none_or(|score| score.is_finite() && score >= 0.0));
            }
        }
    }
}

//! How long many things of one kind took.

use std::time::{Duration, Instant};

/// Times of one kind.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<u64>);

impl Times {
    /// Notes that something took as long as since `begun`.
    pub(crate) fn since(&mut self, begun: Instant) {
        self.note(begun.elapsed());
    }

    pub(crate) fn note(&mut self, took: Duration) {
        self.0.push(took.as_nanos() as u64);
    }

    pub(crate) fn sorted(mut self) -> Sorted {
        self.0.sort_unstable();
        Sorted(self.0)
    }
}

/// Times in their order.
pub(crate) struct Sorted(Vec<u64>);

impl Sorted {
    /// The quantile `q` in microseconds; not a number where there is none.
    pub(crate) fn us(&self, q: f64) -> f64 {
        let at = (self.0.len().saturating_sub(1) as f64 * q).round() as usize;
        self.0.get(at).map_or(f64::NAN, |ns| *ns as f64 / 1e3)
    }

    /// How they are spread, for people.
    pub(crate) fn spread(&self) -> String {
        format!(
            "p50 {:.1}, p99.9 {:.1}, max {:.1} us, n {}",
            self.us(0.5),
            self.us(0.999),
            self.us(1.0),
            self.0.len()
        )
    }
}

//! The newest values of a series and of the signals beside it, as one run of memory that never grows.

use crate::models::believable;

/// At least the newest `kept` steps. A value that is missing is held at the one before.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    kept: usize,
    values: Vec<f64>,
    signals: Vec<Vec<f64>>,
    /// Steps taken since the first observation.
    steps: usize,
    /// Of them the missing ones at the end.
    missing: usize,
}

impl Recent {
    /// `kept` is at least 1.
    pub(super) fn new(kept: usize, signals: usize) -> Self {
        let run = || Vec::with_capacity(2 * kept);
        Self {
            kept,
            values: run(),
            signals: (0..signals).map(|_| run()).collect(),
            steps: 0,
            missing: 0,
        }
    }

    /// A further step. Steps before the first observation are passed over.
    pub(super) fn push(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        let y = believable(y);
        let held = self.values.last().copied();
        let Some(next) = y.or(held) else { return };
        self.make_room();
        self.steps = self.steps.saturating_add(1);
        self.missing = if y.is_some() {
            0
        } else {
            self.missing.saturating_add(1)
        };
        self.values.push(next);
        for (i, run) in self.signals.iter_mut().enumerate() {
            let seen = believable(signals.get(i).copied().flatten());
            let next = seen.or(run.last().copied()).unwrap_or(0.0);
            run.push(next);
        }
    }

    fn make_room(&mut self) {
        if self.values.len() < 2 * self.kept {
            return;
        }
        let kept = self.kept;
        for run in std::iter::once(&mut self.values).chain(&mut self.signals) {
            run.copy_within(kept.., 0);
            run.truncate(kept);
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.signals.iter_mut().for_each(Vec::clear);
        (self.steps, self.missing) = (0, 0);
    }

    /// All that is held, oldest first, at least the newest steps that are kept.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// As long as [`values`](Self::values), each.
    pub(super) fn signals(&self) -> &[Vec<f64>] {
        &self.signals
    }

    /// Whether `window` steps were taken, and not more than half of them are missing at the end.
    pub(super) fn is_full(&self, window: usize) -> bool {
        self.steps >= window && self.missing <= window / 2
    }
}

/// A spread under this share of the mean is rounding, not signal.
const SPREAD_SHARE_MIN: f64 = 1e-9;

/// Mean and standard deviation of values up to 1e100; the latter is 0 where nothing varies. Divided by the largest
/// deviation first, so that no square over- or underflows.
pub(super) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|y| y / count).sum::<f64>();
    let largest = values.iter().fold(0.0, |max, y| f64::max(max, (y - mean).abs()));
    if !largest.is_normal() || largest <= mean.abs() * SPREAD_SHARE_MIN {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|y| ((y - mean) / largest).powi(2)).sum();
    (mean, largest * (squares / count).sqrt())
}

//! What was told, beside what happened: the errors, the coverage, and the gate.
//!
//! Only forecasts that were really made are counted here, at the end of the horizon.

use crate::error_mean::ErrorMean;

/// What one step leaves of an error's weight.
const KEPT: f32 = 0.99;

/// Told forecasts and how they did.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// By due step, modulo the length.
    told: Box<[Told]>,
    /// The present step.
    step: usize,
    steps_ahead: usize,
    error: ErrorMean,
    error_of_persistence: ErrorMean,
    hits: ErrorMean,
    gate: Gate,
}

/// A forecast of the full horizon; NaN where none was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) point: f32,
    pub(crate) q90: f32,
}

const NOTHING: Told = Told {
    point: f32::NAN,
    q90: f32::NAN,
};
/// Scored forecasts that are kept.
pub(crate) const SCORED_MAX: usize = 80;
/// Errors needed before any figure is told.
const ERRORS_MIN: u8 = 10;

impl Record {
    pub(crate) fn new(steps_ahead: usize) -> Self {
        Self {
            told: vec![NOTHING; SCORED_MAX + steps_ahead].into_boxed_slice(),
            step: 0,
            steps_ahead,
            error: ErrorMean::default(),
            error_of_persistence: ErrorMean::default(),
            hits: ErrorMean::default(),
            gate: Gate::default(),
        }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.steps_ahead);
    }

    /// Scores what was told for the present step beside its observation and what persistence told for it.
    pub(crate) fn score(&mut self, y: f64, persistence: Option<f64>) {
        let told = self.told[self.step % self.told.len()];
        if told.point.is_nan() {
            return;
        }
        let error = (y - f64::from(told.point)).abs();
        self.error.add(error, KEPT);
        self.hits.add(f64::from(u8::from(y as f32 <= told.q90)), KEPT);
        if let Some(persistence) = persistence {
            self.error_of_persistence.add((y - persistence).abs(), KEPT);
            self.gate.add(error, (y - persistence).abs());
        }
    }

    /// Notes what is told now for the end of the horizon, and goes on to the next step.
    pub(crate) fn tell(&mut self, told: Option<Told>) {
        let due = (self.step + self.steps_ahead) % self.told.len();
        self.told[due] = told.unwrap_or(NOTHING);
        self.step += 1;
    }

    /// Forgets what the gate holds against the models, as they now know of a season: what was told before says
    /// nothing, and nothing is fair before a whole period was seen, as persistence is good between two surges.
    pub(crate) fn pardon(&mut self, period_steps: usize) {
        self.gate = Gate {
            skip: self.steps_ahead,
            patience: period_steps,
            ..Gate::default()
        };
    }

    pub(crate) fn error(&self) -> Option<f64> {
        self.error.mean(ERRORS_MIN)
    }

    pub(crate) fn error_of_persistence(&self) -> Option<f64> {
        self.error_of_persistence.mean(ERRORS_MIN)
    }

    pub(crate) fn coverage(&self) -> Option<f64> {
        self.hits.mean(ERRORS_MIN)
    }

    pub(crate) fn is_gated(&self) -> bool {
        self.gate.is_closed
    }

    /// What was told for `age` steps before the newest observation.
    pub(crate) fn told_for(&self, age: usize) -> Option<Told> {
        let due = (self.step.checked_sub(age + 1)?) % self.told.len();
        let told = self.told[due];
        (!told.point.is_nan() && age < SCORED_MAX).then_some(told)
    }
}

/// Whether forecasts may be used: closed while they were worse than "the load stays as it is".
#[derive(Debug, Clone, Default)]
struct Gate {
    error: ErrorMean,
    error_of_persistence: ErrorMean,
    /// Errors that are not yet counted, then those that are counted before it may close.
    skip: usize,
    patience: usize,
    is_closed: bool,
}

/// It closes when the error is this many times that of persistence, and opens when it is no higher.
const CLOSES_AT: f64 = 1.1;
/// Differences under this many score points are no reason to close.
const TOLERANCE: f64 = 0.25;
/// Errors needed before it may close.
const GATE_ERRORS_MIN: u8 = 30;

impl Gate {
    fn add(&mut self, error: f64, error_of_persistence: f64) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.error.add(error, KEPT);
        self.error_of_persistence.add(error_of_persistence, KEPT);
        if self.patience > 0 {
            self.patience -= 1;
            return;
        }
        let means = self
            .error
            .mean(GATE_ERRORS_MIN)
            .zip(self.error_of_persistence.mean(GATE_ERRORS_MIN));
        let Some((error, persistence)) = means else { return };
        let limit = if self.is_closed {
            persistence
        } else {
            persistence * CLOSES_AT + TOLERANCE
        };
        self.is_closed = error > limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_closes_on_clearly_worse_forecasts_and_opens_only_when_they_are_as_good() {
        let mut gate = Gate::default();
        let mut after = |error: f64, times: usize| {
            (0..times).for_each(|_| gate.add(error, 10.0));
            gate.is_closed
        };
        assert!(!after(15.0, 20), "too few to judge");
        assert!(after(15.0, 20));
        assert!(after(10.5, 500), "better, but still worse than persistence");
        assert!(!after(9.0, 500));
        assert!(!after(10.9, 500), "slightly worse does not close it");
    }

    #[test]
    fn hundredths_of_a_point_on_a_quiet_node_do_not_close_the_gate() {
        let mut gate = Gate::default();
        (0..500).for_each(|_| gate.add(0.05, 0.001));
        assert!(!gate.is_closed);
    }
}

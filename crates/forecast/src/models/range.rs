//! The range a series has lately moved in, as a bound on what is forecast.
//!
//! A fitted recursion can be unstable and run away within a few steps; the range keeps it to what the series has
//! shown plus as much again on either side, so that a ramp can still be carried on.

/// Lately seen minimum and maximum; each draws in by 1/512 of the span a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    low: f64,
    high: f64,
}

const DRAW_IN: f64 = 1.0 / 512.0;

impl Range {
    pub(super) fn at(y: f64) -> Self {
        Self { low: y, high: y }
    }

    pub(super) fn observe(&mut self, y: f64) {
        let draw = (self.high - self.low) * DRAW_IN;
        self.low = y.min(self.low + draw);
        self.high = y.max(self.high - draw);
    }

    /// The range widened by its span on either side.
    pub(super) fn bounds(&self) -> (f64, f64) {
        let span = self.high - self.low;
        (self.low - span, self.high + span)
    }
}

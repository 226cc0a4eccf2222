//! A form of exponential smoothing, its state, and what follows from both.

use crate::batch::scale::{MeanSquare, Scaled};

/// One step's relative error is taken as this many times the usual absolute one at most.
const RELATIVE_MAX: f64 = 4.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) trend: bool,
    pub(crate) damped: bool,
    /// Errors are a share of what was expected.
    pub(crate) relative: bool,
}

impl Form {
    pub(super) const ALL: [Self; 6] = [
        Self::new(false, false, false),
        Self::new(true, true, false),
        Self::new(true, false, false),
        Self::new(false, false, true),
        Self::new(true, true, true),
        Self::new(true, false, true),
    ];

    const fn new(trend: bool, damped: bool, relative: bool) -> Self {
        Self {
            trend,
            damped,
            relative,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match (self.relative, self.trend, self.damped) {
            (false, false, _) => "ets(ANN)",
            (false, true, false) => "ets(AAN)",
            (false, true, true) => "ets(AAdN)",
            (true, false, _) => "ets(MNN)",
            (true, true, false) => "ets(MAN)",
            (true, true, true) => "ets(MAdN)",
        }
    }

    /// How many parameters and states were fitted.
    fn parameters(self) -> f64 {
        let trend = if self.trend { 2.0 } else { 0.0 };
        2.0 + trend + if self.damped { 1.0 } else { 0.0 }
    }
}

/// How fast level and slope follow an error, and what is left of the slope after a step (1 where not damped).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Smoothing {
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
    pub(crate) phi: f64,
}

/// A smoother after the last value that it saw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Smoother {
    pub(crate) form: Form,
    pub(crate) smoothing: Smoothing,
    pub(crate) level: f64,
    pub(crate) slope: f64,
    pub(crate) errors: MeanSquare,
    /// Shares of what was expected; only looked at where errors are relative.
    pub(crate) relative_errors: MeanSquare,
    /// Steps since the last value.
    pub(crate) age: usize,
}

impl Smoother {
    /// What is expected of the next step.
    pub(crate) fn next(&self) -> f64 {
        self.level + self.smoothing.phi * self.slope
    }

    /// A step whose error is known: 0 where its value is not.
    pub(crate) fn advance(&mut self, error: f64) {
        let Smoothing { alpha, beta, phi } = self.smoothing;
        self.level = self.next() + alpha * error;
        self.slope = phi * self.slope + beta * error;
    }

    /// Standard deviation of a step's error where `expected` is its value.
    fn one_step(&self, expected: f64) -> f64 {
        let usual = self.errors.deviation(self.form.parameters());
        if !self.form.relative {
            return usual;
        }
        let share = self.relative_errors.deviation(self.form.parameters());
        (share * expected.abs()).min(RELATIVE_MAX * usual)
    }
}

/// An error as a share of `expected`; none is counted against nothing.
pub(super) fn share(error: f64, expected: f64) -> f64 {
    if expected == 0.0 {
        0.0
    } else {
        error / expected.abs()
    }
}

impl Scaled for Smoother {
    fn name(&self) -> &str {
        self.form.name()
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let Smoothing { alpha, beta, phi } = self.smoothing;
        let (mut point, mut slope) = (self.level, self.slope);
        // An error's effect on the value `j` steps later is `alpha + beta (phi + … + phi^j)`.
        let (mut growth, mut effects, mut power) = (1.0, 0.0, 1.0);
        let mut widen = || {
            power *= phi;
            effects += power;
            let effect: f64 = alpha + beta * effects;
            let before: f64 = growth;
            growth += effect * effect;
            before
        };
        for _ in 0..self.age {
            widen();
        }
        (1..=horizon)
            .map(|h| {
                // The second step adds as much as the first: so do R and statsforecast, whose forecasts are the
                // reference. The recursion itself would damp there too.
                slope *= if h == 2 { 1.0 } else { phi };
                point += slope;
                (point, self.one_step(point) * widen().sqrt())
            })
            .unzip()
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        let Some(x) = x else {
            self.age += 1;
            self.advance(0.0);
            return true;
        };
        let expected = self.next();
        let error = x - expected;
        self.errors.add(error);
        self.relative_errors.add(share(error, expected));
        self.advance(error);
        self.age = 0;
        true
    }
}

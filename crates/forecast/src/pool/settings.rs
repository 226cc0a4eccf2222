//! What a pool keeps, and how long it remembers.

use crate::{
    band::{Band, Unit, Window},
    horizons::Horizons,
    residuals::Residuals,
};

/// How much a pool is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// One of thousands, in every tick of a control loop: four anchors, one window of errors.
    Compact,
    /// One series that matters: many anchors, and windows of several lengths and units.
    Thorough,
}

/// What is forecast, and what is possible.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) profile: Profile,
    pub(crate) steps: usize,
    /// Rising, in (0, 1).
    pub(crate) quantiles: Vec<f64>,
    /// Models are judged by their loss at this quantile; at 0.5 that is their mean absolute error.
    pub(crate) selection: f64,
    pub(crate) bounds: Bounds,
}

/// What the series cannot go beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Bounds {
    pub(crate) const NONE: Self = Self {
        low: f64::MIN,
        high: f64::MAX,
    };

    pub(crate) const NOT_NEGATIVE: Self = Self {
        low: 0.0,
        ..Self::NONE
    };

    pub(crate) fn clip(self, y: f64) -> f64 {
        y.max(self.low).min(self.high)
    }
}

/// Residuals of a compact pool's only window.
const COMPACT_WINDOW: usize = 80;

impl Settings {
    pub(crate) fn horizons(&self) -> Horizons {
        match self.profile {
            Profile::Compact => Horizons::sparse(self.steps),
            Profile::Thorough => Horizons::dense(self.steps),
        }
    }

    pub(crate) fn band(&self, steps_ahead: usize) -> Band {
        let band = Band::new(self.windows(steps_ahead), self.quantiles.len(), steps_ahead);
        match self.profile {
            Profile::Compact => band,
            Profile::Thorough => band.enclosing(),
        }
    }

    fn windows(&self, steps_ahead: usize) -> Vec<Window> {
        match self.profile {
            Profile::Compact => {
                let residuals = Residuals::spread(COMPACT_WINDOW, steps_ahead);
                vec![Window::new(Unit::One, residuals, 0)]
            }
            Profile::Thorough => [
                (Unit::One, 80),
                (Unit::One, 250),
                (Unit::One, 1_000),
                (Unit::Error, 300),
                (Unit::Level, 300),
            ]
            .map(|(unit, capacity)| Window::new(unit, Residuals::new(capacity), self.quantiles.len()))
            .into(),
        }
    }

    /// What a young series at this level is off by at least: a load score by a point and a tenth. Of another series no
    /// scale is known but that of its changes; the level of a counter would make a band a million wide.
    pub(crate) fn error_floor(&self, level: f64) -> f64 {
        match self.profile {
            Profile::Compact => 1.0 + 0.1 * level,
            Profile::Thorough => 0.0,
        }
    }

    /// Whether a lasting change of level is not held against the bands. Over 20 ticks it is one event; over hours
    /// each ramp of a day looks like one, and a band that is never told of them covers too little.
    pub(crate) fn pardons_shifts(&self) -> bool {
        self.profile == Profile::Compact
    }

    /// Share of its value by which the path of a quantile is told further out. Where a series stands still, twenty models
    /// that agree on it differ in the last bit, and a band of no width would miss the very value that it stands at. A
    /// load score is compared with a threshold that it may stand at: there nothing is added.
    pub(crate) fn rounding(&self, quantile: f64) -> f64 {
        const ROUNDING: f64 = 1e-12;
        match self.profile {
            Profile::Thorough if quantile > 0.5 => ROUNDING,
            Profile::Thorough if quantile < 0.5 => -ROUNDING,
            _ => 0.0,
        }
    }

    /// What one step leaves of a model's error.
    pub(crate) fn error_kept(&self) -> f32 {
        match self.profile {
            Profile::Compact => 0.99,
            Profile::Thorough => 0.98,
        }
    }
}

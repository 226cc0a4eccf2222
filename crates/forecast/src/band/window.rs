//! One view of the newest errors: how many of them, and in which unit.

use crate::{error_mean::ErrorMean, quantile_loss::quantile_loss, residuals::Residuals};

/// What residuals are divided by before they are compared with others of another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nothing: errors are as large at any time.
    One,
    /// The size of the errors one step ahead of late: quiet and restless times.
    Error,
    /// The level of the series: errors are a share of it.
    Level,
}

/// The units' sizes at one instant; above 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Units {
    pub(crate) error: f64,
    pub(crate) level: f64,
}

impl Units {
    pub(crate) const ONE: Self = Self {
        error: 1.0,
        level: 1.0,
    };

    fn of(self, unit: Unit) -> f64 {
        match unit {
            Unit::One => 1.0,
            Unit::Error => self.error,
            Unit::Level => self.level,
        }
    }
}

/// Residuals in a unit, and how well each quantile was read from them.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    unit: Unit,
    residuals: Residuals,
    /// Quantile loss, by quantile; none where this is the only window, and nothing has to be told apart.
    losses: Box<[ErrorMean]>,
}

/// What one step leaves of a loss's weight.
const LOSS_KEPT: f32 = 0.998;
/// Losses needed before windows are told apart.
const LOSSES_MIN: u8 = 20;

impl Window {
    pub(crate) fn new(unit: Unit, residuals: Residuals, quantiles: usize) -> Self {
        Self {
            unit,
            residuals,
            losses: vec![ErrorMean::default(); quantiles].into(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.residuals.len()
    }

    /// Takes one residual; `units` are those of the instant of the forecast.
    pub(crate) fn push(&mut self, residual: f64, units: Units) {
        self.residuals.push(residual / units.of(self.unit));
    }

    /// Judges what this window says of each quantile by a residual that it has not yet taken.
    pub(crate) fn judge(&mut self, residual: f64, units: Units, quantiles: &[f64]) {
        if self.residuals.len() == 0 {
            return;
        }
        for (i, &q) in quantiles.iter().enumerate() {
            let over = residual - self.offset(q, units);
            self.losses[i].add(quantile_loss(over, q), LOSS_KEPT);
        }
    }

    /// How far from the point quantile `q` lies.
    pub(crate) fn offset(&self, q: f64, units: Units) -> f64 {
        self.residuals.quantile(q) * units.of(self.unit)
    }

    /// Mean loss of the quantile of this index, where it is known.
    pub(crate) fn loss(&self, index: usize) -> Option<f64> {
        self.losses[index].mean(LOSSES_MIN)
    }

    pub(crate) fn forget(&mut self, offers: usize) {
        self.residuals.forget(offers);
    }

    pub(crate) fn clear(&mut self) {
        self.residuals.clear();
        self.losses.fill(ErrorMean::default());
    }

    /// Begins anew with these residuals, which are in units of the series.
    pub(crate) fn replace(&mut self, residuals: &[f64]) {
        self.clear();
        if self.unit == Unit::One {
            residuals.iter().for_each(|&r| self.residuals.push(r));
        }
    }
}

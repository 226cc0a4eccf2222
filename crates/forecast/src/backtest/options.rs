//! How to back-test, checked once.

use super::{Error, periods::PERIODS_MAX};
use crate::series::Series;

/// The quantiles that a back-test scores unless told otherwise: a 90 % band, the median, and those that plans use.
pub const QUANTILES: [f64; 7] = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// How to back-test.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How many steps ahead, 1 to 2,016; all of them are scored.
    pub horizon: usize,
    /// The quantiles that the forecaster answers with, rising in (0, 1).
    pub quantiles: Vec<f64>,
    /// What is an overload: a value above. With it comes the early-warning account.
    pub threshold: Option<f64>,
    /// Steps that are only shown to the forecaster. Absent: a tenth of the series, but at least two horizons and at
    /// most 2,000 steps and half of the series.
    pub warm_up: Option<usize>,
    /// Periods in steps that the seasonal naive forecast may have; the best of them in hindsight is used, which does it
    /// a favour. At most 16; those over a third of the series are left out. See [`calendar_periods`](super::calendar_periods).
    pub periods: Vec<usize>,
}

impl Options {
    /// The default quantiles, no threshold, no periods.
    pub fn new(horizon: usize) -> Self {
        Self {
            horizon,
            quantiles: QUANTILES.to_vec(),
            threshold: None,
            warm_up: None,
            periods: Vec::new(),
        }
    }
}

const HORIZON_MAX: usize = 2_016;
const WARM_UP_MAX: usize = 2_000;
/// What models believe, see `models`.
const VALUE_MAX: f64 = 1e100;

/// Checks options and series against each other, and gives the warm-up in steps, at least 1.
pub(super) fn check(series: &Series, options: &Options) -> Result<usize, Error> {
    let (steps, horizon) = (series.len(), options.horizon);
    if horizon == 0 || horizon > HORIZON_MAX {
        return Err(Error::Horizon {
            horizon,
            horizon_max: HORIZON_MAX,
        });
    }
    check_quantiles(&options.quantiles)?;
    if let Some(threshold) = options.threshold.filter(|level| !level.is_finite()) {
        return Err(Error::Threshold { threshold });
    }
    if let Some(index) = series.values().iter().position(|y| y.abs() > VALUE_MAX) {
        let value = series.values()[index];
        return Err(Error::TooLarge { index, value });
    }
    let usual = (steps / 10)
        .max(2 * horizon)
        .min(WARM_UP_MAX.max(horizon))
        .min(steps / 2);
    let warm_up = options.warm_up.unwrap_or(usual).max(1);
    let need = warm_up.saturating_add(horizon);
    if steps < need {
        return Err(Error::TooShort {
            steps,
            need,
            warm_up,
            horizon,
        });
    }
    if series.missing() == steps {
        return Err(Error::AllMissing { steps });
    }
    Ok(warm_up)
}

fn check_quantiles(quantiles: &[f64]) -> Result<(), Error> {
    let mut below = 0.0;
    for &quantile in quantiles {
        if !(quantile > below && quantile < 1.0) {
            return Err(Error::Quantile { quantile });
        }
        below = quantile;
    }
    Ok(())
}

/// The periods that can be used on a series of so many steps.
pub(super) fn usable_periods(options: &Options, steps: usize) -> impl Iterator<Item = usize> + '_ {
    let periods = options.periods.iter().copied().take(PERIODS_MAX);
    periods.filter(move |&period| period > 1 && period <= steps / 3)
}

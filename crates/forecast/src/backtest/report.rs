//! What a back-test found.

use std::{fmt, time::Duration};

use super::{EarlyWarning, Scores, Verdict};

/// What a back-test found.
///
/// All forecasters are scored on the same origins and targets: those where a forecast and a value were there.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Steps of the series.
    pub steps: usize,
    /// Distance of the steps.
    pub step: Duration,
    /// Steps without a value.
    pub missing: usize,
    /// Steps before the first origin.
    pub warm_up: usize,
    /// Steps ahead.
    pub horizon: usize,
    /// Origins with a forecast.
    pub origins: u64,
    /// Origins at which the forecaster had nothing to say, as after a long gap.
    pub silent: u64,
    /// The quantiles that were forecast.
    pub quantiles: Vec<f64>,
    /// Mean absolute change from one step to the next over the whole series, by which MASE divides; 0 is told as `None`.
    pub scale: Option<f64>,
    /// The forecaster's scores.
    pub forecast: Scores,
    /// Those of "it stays as it is".
    pub persistence: Scores,
    /// Period in steps and scores of "as one season before".
    pub seasonal_naive: Option<(usize, Scores)>,
    /// Length in steps and scores of "as the last values were in the mean"; the better of four and sixteen horizons.
    pub smoothed_level: (usize, Scores),
    /// Models that the forecaster went by, with the number of origins, most first.
    pub models: Vec<(String, u64)>,
    /// The account of alarms, where a threshold was given.
    pub early_warning: Option<EarlyWarning>,
    /// What that amounts to.
    pub verdict: Verdict,
}

impl Report {
    /// Mean absolute scaled error: a mean absolute error by [`Report::scale`]. Hyndman & Koehler 2006, with the change
    /// from step to step as the scale whatever the season; under 1 at any horizon is better than the next step's change.
    pub fn mase(&self, mae: f64) -> Option<f64> {
        Some(mae / self.scale?)
    }

    /// How much lower the forecaster's mean absolute error is than that of the best baseline, as a share; negative
    /// where it is higher. `step` 0 is one step ahead. `None` where the baseline makes no error.
    pub fn skill(&self, step: usize) -> Option<f64> {
        let own = self.forecast.by_horizon.get(step)?.mae;
        let (_, best) = self.best_simple(step)?;
        (best > 0.0).then(|| 1.0 - own / best)
    }

    /// Which baseline has the lowest mean absolute error at a step, and how low. `step` 0 is one step ahead.
    pub fn best_simple(&self, step: usize) -> Option<(Simple, f64)> {
        let (length, level) = &self.smoothed_level;
        let seasonal = self.seasonal_naive.as_ref();
        [
            Some((Simple::Persistence, &self.persistence)),
            seasonal.map(|(period, scores)| (Simple::SeasonalNaive { period: *period }, scores)),
            Some((Simple::SmoothedLevel { length: *length }, level)),
        ]
        .into_iter()
        .flatten()
        .filter_map(|(simple, scores)| Some((simple, scores.by_horizon.get(step)?.mae)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// A forecast that costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simple {
    /// The last value.
    Persistence,
    /// The value one season before.
    SeasonalNaive {
        /// In steps.
        period: usize,
    },
    /// The mean of the last values.
    SmoothedLevel {
        /// How many steps.
        length: usize,
    },
}

impl fmt::Display for Simple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persistence => write!(f, "the last value"),
            Self::SeasonalNaive { period } => write!(f, "the value {period} steps before"),
            Self::SmoothedLevel { length } => write!(f, "the mean of the last {length} steps"),
        }
    }
}

//! What is asked of a selector, checked once.

/// How a [`Selector`](super::Selector) works.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectorOptions {
    /// How many steps ahead, 1 to [`HORIZON_MAX`].
    pub horizon: usize,
    /// Probabilities of the quantile paths, in (0, 1), at most 16. Default 0.05, 0.5, 0.9, 0.95, 0.99.
    pub quantiles: Vec<f64>,
    /// `auto` weighs all models by their recent errors, `online` only those that need no fitting. Else one model alone:
    /// see [`SelectorOptions::MODELS`].
    pub model: String,
    /// Periods that are known beforehand, in steps, such as those of a day and a week; at most 4 from 2 to
    /// [`PERIOD_MAX`](Self::PERIOD_MAX). Where none is given, up to two are looked for whenever the series has doubled.
    pub periods: Vec<usize>,
    /// What the series cannot go under; where not given, 0 as long as no value was negative.
    pub low: Option<f64>,
    /// What the series cannot exceed.
    pub high: Option<f64>,
    /// Models are judged by their loss at this quantile, in (0, 1). 0.5 (the default) judges them by their absolute error.
    /// Whoever acts on a quantile gives that one.
    pub selection_quantile: f64,
    /// How many of the newest values a fit is given, 50 to 100,000. Default 2,000. Two of the longest period if that is
    /// more.
    pub fit_steps: usize,
}

/// Longest horizon, in steps: a week of five-minute steps.
pub const HORIZON_MAX: usize = 2_016;
/// Values that are remembered at least: three days of minutes, in which a day is seen, and three weeks of five minutes.
const HISTORY_STEPS_MIN: usize = 6_144;
const QUANTILES_MAX: usize = 16;
const PERIODS_MAX: usize = 4;

impl Default for SelectorOptions {
    fn default() -> Self {
        Self {
            horizon: 20,
            quantiles: vec![0.05, 0.5, 0.9, 0.95, 0.99],
            model: "auto".into(),
            periods: Vec::new(),
            low: None,
            high: None,
            selection_quantile: 0.5,
            fit_steps: 2_000,
        }
    }
}

/// Why a selector cannot be built from these options.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The horizon is not 1 to [`HORIZON_MAX`] steps.
    #[error(
        "a horizon of {horizon} steps is outside 1 to {HORIZON_MAX}; use longer steps to look further ahead"
    )]
    Horizon {
        /// What was asked for.
        horizon: usize,
    },
    /// A quantile is not a number strictly between 0 and 1.
    #[error("quantile {quantile} is outside (0, 1)")]
    Quantile {
        /// What was asked for.
        quantile: f64,
    },
    /// No quantile, or more than anyone reads.
    #[error("{count} quantiles asked for; 1 to {QUANTILES_MAX} are possible")]
    QuantileCount {
        /// How many were asked for.
        count: usize,
    },
    /// A period is outside what models know.
    #[error("a period of {period} steps is outside 2 to {}", SelectorOptions::PERIOD_MAX)]
    Period {
        /// What was asked for.
        period: usize,
    },
    /// More periods than make sense together.
    #[error("{count} periods asked for; at most {PERIODS_MAX} are reckoned with")]
    PeriodCount {
        /// How many were asked for.
        count: usize,
    },
    /// The bounds leave nothing between them.
    #[error("the lower bound {low} is not under the upper bound {high}")]
    Bounds {
        /// The lower one.
        low: f64,
        /// The upper one.
        high: f64,
    },
    /// A fit is to be given too few or too many values.
    #[error("{fit_steps} values for a fit are outside 50 to 100,000")]
    FitSteps {
        /// What was asked for.
        fit_steps: usize,
    },
    /// No model has this name.
    #[error("model {name:?} is not known; one of {}", SelectorOptions::MODELS.join(", "))]
    Model {
        /// What was asked for.
        name: String,
    },
}

impl SelectorOptions {
    /// Longest period, in steps: two weeks of one-minute steps.
    pub const PERIOD_MAX: usize = 20_160;

    /// What [`model`](Self::model) may be.
    pub const MODELS: &[&str] = super::members::NAMES;

    pub(super) fn checked(mut self) -> Result<Self, Error> {
        if !(1..=HORIZON_MAX).contains(&self.horizon) {
            return Err(Error::Horizon {
                horizon: self.horizon,
            });
        }
        let selected = std::iter::once(&self.selection_quantile);
        let is_probability = |q: &f64| *q > 0.0 && *q < 1.0;
        if let Some(&quantile) = self.quantiles.iter().chain(selected).find(|q| !is_probability(q)) {
            return Err(Error::Quantile { quantile });
        }
        self.quantiles.sort_by(f64::total_cmp);
        self.quantiles.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        if !(1..=QUANTILES_MAX).contains(&self.quantiles.len()) {
            let count = self.quantiles.len();
            return Err(Error::QuantileCount { count });
        }
        self.check_periods()?;
        if let (Some(low), Some(high)) = (self.low, self.high)
            && low >= high
        {
            return Err(Error::Bounds { low, high });
        }
        if !(50..=100_000).contains(&self.fit_steps) {
            return Err(Error::FitSteps {
                fit_steps: self.fit_steps,
            });
        }
        Ok(self)
    }

    fn check_periods(&mut self) -> Result<(), Error> {
        let known = 2..=Self::PERIOD_MAX;
        if let Some(&period) = self.periods.iter().find(|period| !known.contains(period)) {
            return Err(Error::Period { period });
        }
        self.periods.sort_unstable();
        self.periods.dedup();
        match self.periods.len() {
            count if count > PERIODS_MAX => Err(Error::PeriodCount { count }),
            _ => Ok(()),
        }
    }

    /// Values that are remembered: for fits, and to begin anew with.
    pub(super) fn history_steps(&self, periods: &[usize]) -> usize {
        let longest = periods.iter().copied().max().unwrap_or(0);
        self.fit_steps.max(3 * longest).max(HISTORY_STEPS_MIN) + 2 * self.horizon
    }

    pub(super) fn low(&self, is_negative: bool) -> f64 {
        let natural = if is_negative { f64::MIN } else { 0.0 };
        self.low.filter(|low| low.is_finite()).unwrap_or(natural)
    }

    pub(super) fn high(&self) -> f64 {
        self.high.filter(|high| high.is_finite()).unwrap_or(f64::MAX)
    }
}

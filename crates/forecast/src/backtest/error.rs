//! Why a series cannot be back-tested.

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The horizon is 0 steps, or more than anyone scores.
    #[error("a horizon of {horizon} steps cannot be scored; it must be 1 to {horizon_max}")]
    Horizon {
        /// What was asked for.
        horizon: usize,
        /// The most that is allowed.
        horizon_max: usize,
    },
    /// Quantiles rise strictly in (0, 1).
    #[error("quantile {quantile} is outside (0, 1) or not above the one before it")]
    Quantile {
        /// The offending one.
        quantile: f64,
    },
    /// The threshold is NaN or infinite.
    #[error("a threshold of {threshold} can never be crossed; give a finite number")]
    Threshold {
        /// What was asked for.
        threshold: f64,
    },
    /// The series ends before anything can be scored.
    #[error(
        "the series has {steps} steps; {need} are needed for a warm-up of {warm_up} and a horizon of {horizon}"
    )]
    TooShort {
        /// Its steps.
        steps: usize,
        /// The fewest that would do.
        need: usize,
        /// Steps before the first origin that is scored.
        warm_up: usize,
        /// Steps ahead.
        horizon: usize,
    },
    /// Nothing was measured.
    #[error("all {steps} values are missing")]
    AllMissing {
        /// How many steps.
        steps: usize,
    },
    /// A value is larger than any model believes.
    #[error("value {index} is {value:e}; values over 1e100 in size cannot be forecast")]
    TooLarge {
        /// Index into the series.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The forecaster answered for other steps or quantiles than it was asked to.
    #[error(
        "the forecaster answered with {steps} steps and {quantiles} quantiles at step {index}, not as agreed"
    )]
    Shape {
        /// The origin.
        index: usize,
        /// Steps of its answer.
        steps: usize,
        /// Quantiles of its answer.
        quantiles: usize,
    },
    /// There was no step at which both a forecast and a value to hold it against were there.
    #[error(
        "no forecast could be scored: after the warm-up of {warm_up} steps values or forecasts are missing"
    )]
    NothingScored {
        /// Steps before the first origin.
        warm_up: usize,
    },
}

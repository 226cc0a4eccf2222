//! What callers can get wrong.

use std::time::Duration;

/// Why a predictor cannot be built from these options.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The step is under a millisecond or over an hour.
    #[error("step {step:?} is outside 1 ms to 1 h")]
    Step {
        /// What was asked for.
        step: Duration,
    },
    /// The horizon is not 1 to 1,200 steps.
    #[error("horizon {horizon:?} is {steps} steps of {step:?}; it must be 1 to {steps_max}")]
    Horizon {
        /// What was asked for.
        horizon: Duration,
        /// The step it is divided by.
        step: Duration,
        /// How many steps that makes.
        steps: u128,
        /// The most that is allowed.
        steps_max: usize,
    },
    /// A quantile is not a number strictly between 0 and 1.
    #[error("quantile {quantile} is outside (0, 1)")]
    Quantile {
        /// What was asked for.
        quantile: f64,
    },
    /// More quantiles than anyone reads.
    #[error("{count} quantiles asked for; at most {count_max}")]
    QuantileCount {
        /// How many were asked for.
        count: usize,
        /// The most that is allowed.
        count_max: usize,
    },
    /// No model has this name.
    #[error("model {name:?} is not known; one of {}", known.join(", "))]
    Model {
        /// What was asked for.
        name: String,
        /// What there is.
        known: &'static [&'static str],
    },
}

/// Why paths do not make a [`Forecast`](crate::Forecast).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A forecast covers at least one step of at least one millisecond.
    #[error("a forecast needs at least one step of at least 1 ms")]
    Empty,
    /// Every quantile path is as long as the point path.
    #[error("the path of quantile {quantile} has {found} steps, the point path {expected}")]
    Length {
        /// The quantile.
        quantile: f64,
        /// Steps of its path.
        found: usize,
        /// Steps of the point path.
        expected: usize,
    },
    /// A value is NaN or infinite.
    #[error("step {step} holds a value that is not finite")]
    NotFinite {
        /// Index into the path.
        step: usize,
    },
    /// Quantiles rise strictly and lie in (0, 1).
    #[error("quantile {quantile} is not above the one before it, or outside (0, 1)")]
    QuantileOrder {
        /// The offending quantile.
        quantile: f64,
    },
    /// At every step a higher quantile is not below a lower one.
    #[error("at step {step} the path of quantile {quantile} lies under that of a lower quantile")]
    Crossing {
        /// The higher quantile.
        quantile: f64,
        /// Index into the path.
        step: usize,
    },
}

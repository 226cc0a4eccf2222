//! Forecasts as they travel.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A node's predicted load score over the horizon. Element `i` of every path is for `start_ms + i × step_ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastView {
    /// When the first element is for, in Unix milliseconds.
    pub start_ms: u64,
    /// Distance of the elements.
    pub step_ms: u64,
    /// Expected load score, 0 to 100 and above.
    pub point: Vec<f64>,
    /// Paths that the load score stays under with the given probability, rising in `q`.
    pub quantiles: Vec<QuantilePath>,
    /// The model that weighs most, or `pool` where several do.
    pub model: String,
    /// Detected period in seconds, where there is one.
    pub period_s: Option<f64>,
    /// Mean absolute error of recent forecasts at the end of the horizon, in score points.
    pub error: Option<f64>,
    /// The same for "the load stays as it is", the figure to beat.
    pub error_of_persistence: Option<f64>,
    /// Share of recent observations under the 0.9 quantile path; 0.9 is what it promises.
    pub coverage: Option<f64>,
    /// The load score shortly before `start_ms`, oldest first, `step_ms` apart; `None` where nothing was seen.
    pub history: Vec<Option<f64>>,
    /// Forecasts whose time has come beside what happened, newest last.
    pub scored: Vec<Scored>,
}

/// One quantile over the horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuantilePath {
    /// Probability, 0 to 1.
    pub q: f64,
    /// Load score, one element a step.
    pub path: Vec<f64>,
}

/// A forecast made one horizon ago, beside what happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scored {
    /// The time forecast, in Unix milliseconds.
    pub at_ms: u64,
    /// What was expected for it one horizon before.
    pub predicted: f64,
    /// The 0.9 quantile forecast for it one horizon before.
    pub predicted_q90: f64,
    /// What was then measured.
    pub actual: f64,
}

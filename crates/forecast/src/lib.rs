//! From a series of load to a distribution that can be trusted.
// The rest is the README, whose examples are the tests of what it says; they need all features.
#![cfg_attr(
    all(feature = "batch", feature = "learned"),
    doc = "",
    doc = include_str!("../README.md")
)]

pub mod backtest;
#[cfg(feature = "batch")]
pub mod batch;
#[cfg(feature = "learned")]
pub mod learned;
pub mod selector;
pub mod series;

mod band;
mod error;
mod error_mean;
mod fit;
mod forecast;
mod grid;
mod half;
mod history;
mod horizons;
mod load;
mod models;
mod normal;
mod options;
mod pending;
mod pool;
mod prediction;
mod predictor;
mod quantile_loss;
mod record;
mod residuals;
mod season;
mod shift;
mod unrest;

pub use error::{Error, ShapeError};
pub use fit::{Fit, FitError, Fitted};
pub use forecast::{Forecast, Peak, Provenance, Scored};
pub use load::{CapacityValues, LoadScore, Signal, SignalValues, load_score};
pub use models::{
    Autoregression, Forecaster, Holt, Lagged, LastSeason, LastValue, Multivariate, PERIOD_STEPS_MAX, Seasonal,
};
pub use options::PredictorOptions;
pub use prediction::Prediction;
pub use predictor::Predictor;

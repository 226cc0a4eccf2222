//! Online load forecasting with honest intervals: models, selection, seasonality.

mod band;
mod error;
mod error_mean;
mod forecast;
mod grid;
mod history;
mod horizons;
mod load;
mod models;
mod options;
mod pending;
mod pool;
mod predictor;
mod record;
mod residuals;
mod season;
mod shift;

pub use error::{Error, ShapeError};
pub use forecast::{Forecast, Peak, Provenance, Scored};
pub use load::{CapacityValues, LoadScore, Signal, SignalValues, load_score};
pub use models::{Autoregression, Forecaster, Holt, LastValue, PERIOD_STEPS_MAX, Seasonal};
pub use options::PredictorOptions;
pub use predictor::Predictor;

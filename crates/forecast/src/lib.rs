//! Online load forecasting with honest intervals: models, selection, seasonality.

mod error;
mod forecast;
mod grid;
mod load;
mod models;
mod predictor;

pub use error::{Error, ShapeError};
pub use forecast::{Forecast, Peak, Provenance, Scored};
pub use load::{CapacityValues, LoadScore, Signal, SignalValues, load_score};
pub use models::{Forecaster, Holt, LastValue};
pub use predictor::{Predictor, PredictorOptions};

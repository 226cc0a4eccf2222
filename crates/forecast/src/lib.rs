//! Online load forecasting with honest intervals: models, selection, seasonality.
//!
//! A [`Predictor`] takes the load score of one node every tick, 500 ms by default, and tells what it will be over the
//! next seconds: a point path and quantile paths. It does so in constant time and in some 9 KiB a node, so that one
//! process can follow thousands of nodes twice a second.
//!
//! ```
//! use foreshift_forecast::{Predictor, PredictorOptions};
//!
//! // A node at 30 % that is at 90 % for four seconds of every thirty.
//! let load = |tick: u64| if tick % 60 < 8 { 90.0 } else { 30.0 };
//!
//! let mut predictor = Predictor::new(PredictorOptions::default())?;
//! for tick in 0..170 {
//!     predictor.observe(tick * 500, Some(load(tick)));
//! }
//!
//! // The fourth surge is five seconds away, and the load now tells nothing of it.
//! assert_eq!(load(169), 30.0);
//! let forecast = predictor.forecast().expect("170 ticks are enough");
//! assert_eq!(forecast.period_s(), Some(30.0));
//! assert_eq!(forecast.crosses_in_ms(0.9, 80.0), Some(5_500));
//! assert!(forecast.predicted_score(0.9) > Some(85.0));
//! # Ok::<(), foreshift_forecast::Error>(())
//! ```
//!
//! # How
//!
//! - **Grid**: ticks that come late, twice or not at all are put on regular steps; [`Predictor`] says what each means.
//! - **Models** ([`Forecaster`]): last value, damped Holt at three speeds, autoregression by recursive least squares
//!   at two orders, and a seasonal one. No model is best on all load; none is trusted unseen.
//! - **Season**: every few ticks a repeating pattern of 6 to 64 s (at 500 ms) is looked for; three repetitions are
//!   enough to see the fourth coming. The seasonal model is then replayed the recent past, so that it is judged at once.
//! - **Selection**: each model is judged at four distances when the instant it forecast has come, by its discounted mean
//!   absolute error, and weighed by that.
//! - **Bands**: adaptive conformal inference on the errors of the weighted forecast. What the 0.9 path promises is
//!   measured, and told as [`Forecast::coverage`].
//! - **Gate**: where forecasts were worse than "the load stays as it is", [`Predictor::gated`] says so.
//!
//! Another model plugs in by [`Predictor::add_model`]; it gets the weight that it earns.
//!
//! # What not
//!
//! No clock, no thread, no input or output: instants are arguments. Load that repeats over minutes to days, and models
//! that are fitted in batches (module `batch`), are not in the predictor yet. Nothing is persisted: a predictor learns a node anew in half a minute.

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

//! The forecaster that a series read from elsewhere is given to, by the name of its model.

use std::time::Duration;

use anyhow::Result;
use foreshift_forecast::{
    PredictorOptions,
    backtest::{Online, QUANTILES, Stepwise},
};

use crate::usage::usage;

/// A forecaster of `horizon` steps with the back-test's quantiles.
pub(crate) fn build(model: &str, horizon: usize) -> Result<Box<dyn Stepwise>> {
    // To the online pool a step is a tick, however long it is.
    let step = Duration::from_millis(500);
    let ticks = u32::try_from(horizon).unwrap_or(u32::MAX);
    let online = Online::new(PredictorOptions {
        step,
        horizon: step.saturating_mul(ticks),
        quantiles: QUANTILES.to_vec(),
        model: model.to_owned(),
        ..PredictorOptions::default()
    });
    Ok(Box::new(online.map_err(|error| usage(error.to_string()))?))
}

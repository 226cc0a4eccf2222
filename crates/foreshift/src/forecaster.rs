//! The forecaster that a series read from elsewhere is given to, by the name of its model.

use anyhow::Result;
use foreshift_forecast::{
    backtest::{QUANTILES, Stepwise},
    selector::{Selector, SelectorOptions},
};

use crate::usage::usage;

/// A forecaster of `horizon` steps with the back-test's quantiles. Seasons are looked for as the series goes on.
pub(crate) fn build(model: &str, horizon: usize) -> Result<Box<dyn Stepwise>> {
    let selector = Selector::new(SelectorOptions {
        horizon,
        quantiles: QUANTILES.to_vec(),
        model: model.to_owned(),
        ..SelectorOptions::default()
    });
    // All that is asked of it is from the command line.
    Ok(Box::new(selector.map_err(|error| usage(error.to_string()))?))
}

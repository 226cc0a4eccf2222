//! Which models stand in the pool.

use std::sync::Arc;

use super::{Error, SelectorOptions};
use crate::{Autoregression, Fit, Forecaster, Holt, Lagged, LastSeason, LastValue, Seasonal};

/// What [`SelectorOptions::model`] may be.
pub(super) const NAMES: &[&str] = &[
    "auto",
    "online",
    "last_value",
    "holt",
    "ar",
    "last_season",
    "seasonal",
    #[cfg(feature = "batch")]
    "theta",
    #[cfg(feature = "batch")]
    "ets",
    #[cfg(feature = "batch")]
    "arima",
    #[cfg(feature = "batch")]
    "mstl",
];

/// Persistence first; what is before `first_weighed` is only there to be compared with.
pub(super) struct Members {
    pub(super) models: Vec<Box<dyn Forecaster>>,
    pub(super) fits: Vec<Arc<dyn Fit>>,
    pub(super) first_weighed: usize,
}

pub(super) fn of(options: &SelectorOptions, periods: &[usize]) -> Result<Members, Error> {
    let model = options.model.as_str();
    if !NAMES.contains(&model) {
        return Err(Error::Model { name: model.into() });
    }
    let is_mixed = model == "auto" || model == "online";
    let mut models: Vec<Box<dyn Forecaster>> = vec![Box::new(LastValue::default())];
    if is_mixed || model == "holt" {
        models.extend(smoothings());
    }
    if is_mixed || model == "ar" {
        models.extend(autoregressions());
    }
    for &period in periods {
        if is_mixed || model == "last_season" {
            models.push(Box::new(LastSeason::new(period)));
        }
        if is_mixed || model == "seasonal" {
            models.extend(seasonal(period));
        }
    }
    let fits = fits(model, periods);
    // A season's models may have to wait until one is found.
    let is_alone = models.len() == 1 && fits.is_empty();
    Ok(Members {
        models,
        fits,
        first_weighed: usize::from(!is_mixed && !is_alone),
    })
}

/// Levels followed at six speeds, and trends believed at four.
fn smoothings() -> impl Iterator<Item = Box<dyn Forecaster>> {
    [
        Holt::new("ses_0.02", 0.02, 0.0, 0.0),
        Holt::new("ses_0.06", 0.06, 0.0, 0.0),
        Holt::new("ses_0.15", 0.15, 0.0, 0.0),
        Holt::new("ses_0.3", 0.3, 0.0, 0.0),
        Holt::new("ses_0.5", 0.5, 0.0, 0.0),
        Holt::new("ses_0.75", 0.75, 0.0, 0.0),
        Holt::new("holt_steady", 0.1, 0.01, 0.98),
        Holt::new("holt_slow", 0.3, 0.1, 0.9),
        Holt::new("holt_medium", 0.6, 0.2, 0.9),
        Holt::new("holt_fast", 0.9, 0.3, 0.9),
    ]
    .into_iter()
    .map(|model| Box::new(model) as Box<dyn Forecaster>)
}

/// Short memories that forget fast, long ones that do not, and one on differences.
fn autoregressions() -> [Box<dyn Forecaster>; 5] {
    let lags = |i: usize| i + 1;
    [
        Box::new(Autoregression::<2>::new("ar2", 0.999, 0.002)),
        Box::new(Autoregression::of_order_4()),
        Box::new(Autoregression::<8>::new("ar8", 0.998, 0.005)),
        Box::new(Autoregression::<16>::new("ar16", 0.9995, 0.002)),
        Box::new(Lagged::<8>::new(
            "ari8",
            std::array::from_fn(lags),
            1,
            0.999,
            0.001,
        )),
    ]
}

/// A level for each slot, a regression on lags around the season, and two on differences over it.
fn seasonal(period: usize) -> Vec<Box<dyn Forecaster>> {
    let mut models: Vec<Box<dyn Forecaster>> = vec![
        Box::new(Seasonal::with_period(period)),
        Box::new(Lagged::new("sd_ar6", [1, 2, 3, 4, 5, 6], period, 0.999, 0.001)),
    ];
    // The lags around a shorter season would be the same ones twice.
    if period > 6 {
        let around = [1, 2, 3, 4, period - 1, period, period + 1, period + 2];
        models.push(Box::new(Lagged::new("season_ar", around, 0, 0.999, 0.002)));
        models.push(Box::new(Lagged::new(
            "sd_season_ar",
            [1, 2, 3, period],
            period,
            0.9995,
            0.001,
        )));
    }
    models
}

#[cfg(not(feature = "batch"))]
fn fits(_: &str, _: &[usize]) -> Vec<Arc<dyn Fit>> {
    Vec::new()
}

/// What `auto` fits was chosen by what it adds to the online models over some hundred folds of load series: a quick
/// ARIMA on nearly all, MSTL where several seasons overlap; ETS and Theta nothing that smoothing at six speeds has not.
#[cfg(feature = "batch")]
fn fits(model: &str, periods: &[usize]) -> Vec<Arc<dyn Fit>> {
    use crate::batch::{Arima, ArimaOptions, Ets, Mstl, Theta, arima::Search};
    let quick = ArimaOptions {
        search: Search::Quick,
        ..ArimaOptions::default()
    };
    let quick = || Arima::auto().with_options(quick);
    match model {
        "auto" if periods.len() > 1 => vec![Arc::new(quick()), Arc::new(Mstl::new(periods.to_vec()))],
        "auto" => vec![Arc::new(quick())],
        "arima" => vec![Arc::new(Arima::auto())],
        "ets" => vec![Arc::new(Ets::auto())],
        "theta" => vec![Arc::new(Theta::new(periods.first().copied()))],
        "mstl" if !periods.is_empty() => vec![Arc::new(Mstl::new(periods.to_vec()))],
        _ => Vec::new(),
    }
}

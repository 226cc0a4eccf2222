//! One forecast of one fold, and the processor time that it took.

use anyhow::{Context, Result, bail};
use foreshift_forecast::{
    Fit, Prediction,
    batch::{Arima, Croston, Drift, Ets, Mstl, Naive, SeasonalNaive, Theta, Tsb},
    selector::{Selector, SelectorOptions},
};
use rustix::time::{ClockId, clock_gettime};

use crate::files::Fold;

/// How a model by this name is run.
pub(crate) enum Kind {
    /// Shown the series step by step, then fitted to it, with calibrated bands.
    Selector(String),
    /// Fitted once, with its own intervals: what other programs' models of this name are compared with.
    Fit(String),
}

/// Paths of the mean and of the bounds of the central 90 %.
pub(crate) struct Forecast {
    pub(crate) mean: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
}

/// Longest season of a seasonal ARIMA: beyond it the fit takes minutes.
const ARIMA_PERIOD_MAX: usize = 24;
const FITS: [&str; 9] = [
    "naive",
    "seasonal_naive",
    "drift",
    "theta",
    "ets",
    "mstl",
    "arima",
    "croston",
    "tsb",
];

impl Kind {
    pub(crate) fn of(model: &str) -> Result<Self> {
        if FITS.contains(&model) {
            return Ok(Self::Fit(model.into()));
        }
        if !SelectorOptions::MODELS.contains(&model) {
            let known = SelectorOptions::MODELS.join(", ");
            bail!(
                "model {model:?} is not known; one of {known}, or fitted once {}",
                FITS.join(", ")
            );
        }
        Ok(Self::Selector(model.into()))
    }
}

/// Runs `work` and takes the processor time of this process meanwhile, in seconds.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> Result<(T, f64)> {
    let now = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
    };
    let begin = now();
    let result = work();
    Ok((result, now() - begin))
}

pub(crate) fn forecast(kind: &Kind, train: &[f64], fold: &Fold) -> Result<Forecast> {
    match kind {
        Kind::Selector(model) => {
            let mut selector = selector(model, fold.h, fold.m, train.len())?;
            train.iter().for_each(|&y| selector.observe(Some(y)));
            selector.refit();
            Forecast::from(&selector.predict().context("too few values")?)
        }
        Kind::Fit(model) => {
            let fitted = fit(model, fold.m, train.len()).fit(train)?;
            Forecast::from(&fitted.predict(fold.h, &[0.05, 0.95]))
        }
    }
}

/// A selector that is told the fold's season, where the values hold two of it.
pub(crate) fn selector(model: &str, horizon: usize, m: usize, values: usize) -> Result<Selector> {
    let is_seen = m > 1 && values >= 2 * m;
    Ok(Selector::new(SelectorOptions {
        horizon,
        quantiles: vec![0.05, 0.5, 0.95],
        model: model.into(),
        periods: if is_seen { vec![m] } else { Vec::new() },
        ..SelectorOptions::default()
    })?)
}

fn fit(model: &str, m: usize, values: usize) -> Box<dyn Fit> {
    let period = (m > 1 && values > 2 * m).then_some(m);
    match (model, period) {
        ("seasonal_naive", _) => Box::new(SeasonalNaive::new(m)),
        ("drift", _) => Box::new(Drift),
        ("theta", period) => Box::new(Theta::new(period)),
        ("ets", _) | ("mstl", None) => Box::new(Ets::auto()),
        ("mstl", Some(m)) => Box::new(Mstl::new(vec![m])),
        ("arima", Some(m)) if m <= ARIMA_PERIOD_MAX => Box::new(Arima::auto_seasonal(m)),
        ("arima", _) => Box::new(Arima::auto()),
        ("croston", _) => Box::new(Croston::default()),
        ("tsb", _) => Box::new(Tsb),
        _ => Box::new(Naive),
    }
}

impl Forecast {
    fn from(prediction: &Prediction) -> Result<Self> {
        let path = |q: f64| {
            let path = prediction.quantile(q).map(<[f64]>::to_vec);
            path.with_context(|| format!("no path for quantile {q}"))
        };
        Ok(Self {
            mean: prediction.point().to_vec(),
            low: path(0.05)?,
            high: path(0.95)?,
        })
    }
}

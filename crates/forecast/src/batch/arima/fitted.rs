//! A fitted model: forecasts, and the observations that come after the fit.

use super::{
    model::Model,
    order::Form,
    polynomial::{Lags, differencing},
    series::{Standard, differenced},
    state::State,
};
use crate::{Fitted, Prediction};

/// Estimates of the coefficients, with the signs of the formula on [`Arima`](super::Arima).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coefficients {
    /// Autoregressive, lag 1 first.
    pub ar: Vec<f64>,
    /// Moving average, lag 1 first.
    pub ma: Vec<f64>,
    /// Autoregressive a season apart.
    pub seasonal_ar: Vec<f64>,
    /// Moving average a season apart.
    pub seasonal_ma: Vec<f64>,
    /// Mean of the differenced series, in its units; 0 where the form has no constant and there are differences.
    pub mean: f64,
}

/// An ARIMA model with its estimates, at the end of what it has seen.
#[derive(Debug, Clone)]
pub struct FittedArima {
    name: String,
    form: Form,
    coefficients: Coefficients,
    variance: f64,
    log_likelihood: f64,
    n: usize,
    centre: f64,
    scale: f64,
    ma: Lags,
    state: State,
}

impl FittedArima {
    /// Runs the filter over the series; `None` where the model is not stationary, which estimates always are.
    pub(super) fn new(model: &Model, series: &Standard) -> Option<Self> {
        let form = model.form;
        let blocks = form.split(&model.terms);
        let ar = Lags::autoregressive(blocks.ar, blocks.seasonal_ar, form.period);
        let ma = Lags::moving_average(blocks.ma, blocks.seasonal_ma, form.period);
        let mut state = State::stationary(&ar, &ma)?;
        for y in differenced(&series.values, &form) {
            state.update(Some(y - model.mean));
        }
        let differences = Lags::new(differencing(form.order.d, form.seasonal.d, form.period));
        let scale = if series.is_constant() { 1.0 } else { series.scale };
        let level = if form.differences() == 0 {
            series.centre
        } else {
            0.0
        };
        Some(Self {
            name: form.to_string(),
            form,
            coefficients: Coefficients {
                ar: blocks.ar.to_vec(),
                ma: blocks.ma.to_vec(),
                seasonal_ar: blocks.seasonal_ar.to_vec(),
                seasonal_ma: blocks.seasonal_ma.to_vec(),
                mean: bounded(model.mean * scale + level),
            },
            variance: model.variance,
            log_likelihood: model.log_likelihood - model.n as f64 * scale.ln(),
            n: model.n,
            centre: series.centre,
            scale,
            state: state.integrated(&ma, model.mean, &differences, &series.values),
            ma,
        })
    }

    /// Which model it is.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The estimates.
    pub fn coefficients(&self) -> &Coefficients {
        &self.coefficients
    }

    /// Variance of the innovations, in squared units of the series; the sum of squares is divided by the number of
    /// differenced values less that of coefficients. Infinite where it exceeds what a float can hold.
    pub fn variance(&self) -> f64 {
        self.variance * self.scale * self.scale
    }

    /// Logarithm of the Gaussian likelihood of the differenced series.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Akaike's information criterion. Only models with the same differences, fitted to the same values, compare.
    pub fn aic(&self) -> f64 {
        2.0 * (self.form.parameters() + 1) as f64 - 2.0 * self.log_likelihood
    }

    /// The criterion with Hurvich and Tsai's correction for short series.
    pub fn aicc(&self) -> f64 {
        let parameters = (self.form.parameters() + 1) as f64;
        let left = (self.n as f64 - parameters - 1.0).max(f64::MIN_POSITIVE);
        self.aic() + 2.0 * parameters * (parameters + 1.0) / left
    }

    fn unstandardised(&self, y: f64) -> f64 {
        bounded(self.centre + self.scale * y)
    }
}

impl Fitted for FittedArima {
    fn name(&self) -> &str {
        &self.name
    }

    fn predict(&self, horizon: usize, quantiles: &[f64]) -> Prediction {
        let expected = self.state.expected(horizon);
        let point = expected.into_iter().map(|y| self.unstandardised(y)).collect();
        let deviations: Vec<f64> = self
            .state
            .variances(&self.ma, horizon)
            .into_iter()
            .map(|v| bounded((self.variance * v).sqrt() * self.scale))
            .collect();
        Prediction::normal(point, &deviations, quantiles).unwrap_or_default()
    }

    fn update(&mut self, y: Option<f64>) -> bool {
        let seen = crate::models::believable(y).map(|y| (y - self.centre) / self.scale);
        self.state.update(seen.filter(|y| y.is_finite()));
        true
    }
}

fn bounded(y: f64) -> f64 {
    y.clamp(f64::MIN, f64::MAX)
}

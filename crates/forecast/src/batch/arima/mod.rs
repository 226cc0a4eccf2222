//! ARIMA and seasonal ARIMA, with the order given or found.
//!
//! Our own: of the crates that were measured none both searches well and estimates by exact likelihood. From the
//! bottom: `polynomial` and `autocovariance` are the algebra of lags; `css` and `likelihood` judge one set of
//! coefficients, by conditional least squares and exactly; `start`, `optimise` and `ml` find the best ones;
//! `stationarity` and `search` choose the order; `state` is the Kalman filter that goes on after the fit.
//!
//! What not: regressors, and missing values while fitting (callers fill gaps); seasons of hundreds of steps, for which
//! the season is to be removed first.

mod autocovariance;
mod css;
mod filter;
mod fitted;
mod innovations;
mod likelihood;
mod linear;
mod ml;
mod model;
mod optimise;
mod order;
mod polynomial;
mod search;
mod series;
mod start;
mod state;
mod stationarity;

pub use fitted::{Coefficients, FittedArima};
pub use order::{Form, Order};

use self::{
    model::{Data, Effort},
    series::Standard,
};
use crate::{Fit, FitError, Fitted, fit::check_train};

/// Longest season that the automatic search takes.
const PERIOD_MAX: usize = 60;

/// Seasons that the automatic search looks at, or as many times 30 values: its cost grows with the length and the
/// period both.
const SEASONS_MAX: usize = 50;

/// Fewest values for the automatic search.
const AUTO_NEED: usize = 8;

/// How much effort the automatic search makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// Up to 94 models over all of the values, then estimates to the last digit that matters.
    #[default]
    Thorough,
    /// Up to 40 models over the latest thousand values, then a few steps towards the best estimates: for a selector
    /// that tries many models on many series.
    Quick,
}

impl Search {
    /// Models of which the estimates are made exact.
    fn finalists(self) -> usize {
        match self {
            Self::Thorough => 4,
            Self::Quick => 2,
        }
    }

    /// For these models.
    fn last(self, period: usize) -> Effort {
        match self {
            Self::Thorough => Effort {
                // A long state makes each step dear, and the curvature that they start from is good.
                steps_max: if period > 1 { 12 } else { 25 },
                gain_min: 1e-3,
            },
            Self::Quick => Effort {
                steps_max: 6,
                gain_min: 1e-2,
            },
        }
    }
}

/// For an order that is given: to the digits that are published.
const EXACT: Effort = Effort {
    steps_max: 60,
    gain_min: 1e-6,
};

/// What an ARIMA fit may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArimaOptions {
    /// Effort of the search and the estimation.
    pub search: Search,
    /// Latest values that are fitted to; earlier ones are not looked at. At least 100.
    pub points_max: usize,
}

impl Default for ArimaOptions {
    fn default() -> Self {
        Self {
            search: Search::Thorough,
            points_max: 10_000,
        }
    }
}

/// Autoregressive integrated moving-average models.
///
/// With `B` the step back and `w = (1 - B)^d (1 - B^m)^D y - mean`, the model is
/// `(1 - a1 B - ..)(1 - A1 B^m - ..) w = (1 + b1 B + ..)(1 + B1 B^m + ..) e`, where `e` are independent and normal. These
/// are the signs of R. Estimates are of maximum likelihood: Box & Jenkins, *Time Series Analysis*, 7; the automatic
/// order is that of Hyndman & Khandakar, *Automatic time series forecasting* (2008).
///
/// A series whose values, or needed differences, are all the same is a defined case: it goes on as it does, with no
/// doubt about it. Fitting costs time linear in the values, of which the latest 10,000 count.
///
/// ```
/// use foreshift_forecast::{Fit, Fitted, batch::Arima};
///
/// let train: Vec<f64> = (0..200).map(|t| 50.0 + 10.0 * (f64::from(t) / 9.0).sin()).collect();
/// let mut fitted = Arima::auto().fit(&train)?;
/// fitted.update(Some(49.0));
/// let prediction = fitted.predict(5, &[0.1, 0.9]);
/// assert_eq!(prediction.point().len(), 5);
/// # Ok::<(), foreshift_forecast::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Arima {
    wanted: Wanted,
    options: ArimaOptions,
}

#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    /// The best with this period; 1 for no season.
    Auto(usize),
    Exactly(Form),
}

impl Arima {
    /// Order by search, without a season.
    pub fn auto() -> Self {
        Self::wanting(Wanted::Auto(1))
    }

    /// Order by search, with a season of `period` steps, from 2 to 60; 24 or less is quick. A period of 0 or 1 is none,
    /// and one that the series does not hold three times is ignored. The latest 50 seasons count, or 1,500 values.
    pub fn auto_seasonal(period: usize) -> Self {
        Self::wanting(Wanted::Auto(period.max(1)))
    }

    /// This order: `p` autoregressive terms, `d` differences, `q` moving-average terms; with a mean if `d` is 0.
    pub fn of_order(p: usize, d: usize, q: usize) -> Self {
        Self::seasonal((p, d, q), (0, 0, 0), 1)
    }

    /// This order, with terms and differences `period` steps apart; with a mean if nothing is differenced.
    pub fn seasonal(order: (usize, usize, usize), seasonal: (usize, usize, usize), period: usize) -> Self {
        let (order, seasonal) = (Order::from(order), Order::from(seasonal));
        Self::wanting(Wanted::Exactly(Form {
            order,
            seasonal,
            period: period.max(1),
            constant: order.d == 0 && seasonal.d == 0,
        }))
    }

    /// Whether a given order has a constant: a mean, or a drift of a differenced series. The search decides for itself.
    #[must_use]
    pub fn with_constant(mut self, constant: bool) -> Self {
        if let Wanted::Exactly(form) = &mut self.wanted {
            form.constant = constant;
        }
        self
    }

    /// Effort and length.
    #[must_use]
    pub fn with_options(mut self, options: ArimaOptions) -> Self {
        self.options = ArimaOptions {
            points_max: options.points_max.max(100),
            ..options
        };
        self
    }

    fn wanting(wanted: Wanted) -> Self {
        Self {
            wanted,
            options: ArimaOptions::default(),
        }
    }

    /// As [`Fit::fit`], but with the estimates open to view.
    ///
    /// # Errors
    /// [`FitError::TooShort`], [`FitError::Value`], or [`FitError::Unsuitable`] for an order or a period that is too long.
    pub fn estimate(&self, train: &[f64]) -> Result<FittedArima, FitError> {
        let need = match &self.wanted {
            Wanted::Exactly(form) => {
                form.check()?;
                form.need()
            }
            Wanted::Auto(period) if *period > PERIOD_MAX => {
                return Err(unsuitable(format!(
                    "a period of {period} steps is over {PERIOD_MAX}; remove the season first"
                )));
            }
            Wanted::Auto(_) => AUTO_NEED,
        };
        check_train("arima", need, train)?;
        let series = Standard::new(train, self.points_max(need));
        let model = if series.is_constant() {
            Some(model::Model::constant(series.values.len()))
        } else {
            match &self.wanted {
                Wanted::Auto(period) => search::best(&series, *period, &self.options),
                Wanted::Exactly(form) => self.exactly(form, &series),
            }
        };
        model
            .and_then(|model| FittedArima::new(&model, &series))
            .ok_or_else(|| unsuitable("no estimates could be found".to_owned()))
    }

    /// Latest values that are fitted to.
    fn points_max(&self, need: usize) -> usize {
        let enough = match self.wanted {
            Wanted::Auto(period) if period > 1 => SEASONS_MAX * period.max(30),
            Wanted::Auto(_) | Wanted::Exactly(_) => usize::MAX,
        };
        self.options.points_max.min(enough).max(2 * need)
    }

    fn exactly(&self, form: &Form, series: &Standard) -> Option<model::Model> {
        let data = Data::new(series, form, form.ar_lag().max(form.ma_lag()));
        let estimate = data.conditional(form, None, 1e-7);
        data.exact(form, &estimate, EXACT)
    }
}

fn unsuitable(reason: String) -> FitError {
    FitError::Unsuitable {
        model: "arima",
        reason,
    }
}

impl Fit for Arima {
    fn name(&self) -> &str {
        "arima"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        Ok(Box::new(self.estimate(train)?))
    }
}

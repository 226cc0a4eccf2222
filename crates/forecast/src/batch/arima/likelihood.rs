//! The exact Gaussian likelihood of a stationary ARMA series.
//!
//! The variance and the constant are concentrated out: they are the best for the other parameters.

use super::{innovations::sums, order::Form, polynomial::Lags};

/// What the data say of one set of coefficients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Likelihood {
    /// Sum of squared innovations, each divided by its variance in units of the innovation variance.
    pub(super) squares: f64,
    /// Sum of the logarithms of these variances.
    pub(super) log_variances: f64,
    /// Mean of the series, by generalised least squares; what was given where it is not estimated.
    pub(super) mean: f64,
    /// Values.
    pub(super) n: usize,
}

impl Likelihood {
    /// Half the mean deviance, up to a constant: what is minimised.
    pub(super) fn objective(&self) -> f64 {
        let n = self.n as f64;
        0.5 * ((self.squares / n).max(f64::MIN_POSITIVE).ln() + self.log_variances / n)
    }

    /// The logarithm of the likelihood at the best variance.
    pub(super) fn log(&self) -> f64 {
        let n = self.n as f64;
        -n * (self.objective() + 0.5 * (1.0 + std::f64::consts::TAU.ln()))
    }
}

/// How the constant of a model is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mean {
    Known(f64),
    Estimated,
}

/// The likelihood of `w` under the coefficients `terms`; `None` where they are not stationary.
pub(super) fn likelihood(form: &Form, terms: &[f64], w: &[f64], mean: Mean) -> Option<Likelihood> {
    let blocks = form.split(terms);
    let ar = Lags::autoregressive(blocks.ar, blocks.seasonal_ar, form.period);
    let ma = Lags::moving_average(blocks.ma, blocks.seasonal_ma, form.period);
    exact(&ar, &ma, w, mean)
}

pub(super) fn exact(ar: &Lags, ma: &Lags, w: &[f64], mean: Mean) -> Option<Likelihood> {
    let found = match mean {
        Mean::Known(0.0) | Mean::Estimated => sums(ar, ma, w, mean == Mean::Estimated)?,
        Mean::Known(mean) => {
            let centred: Vec<f64> = w.iter().map(|y| y - mean).collect();
            sums(ar, ma, &centred, false)?
        }
    };
    let mean = match mean {
        Mean::Known(mean) => mean,
        Mean::Estimated if found.unit > 0.0 => found.products / found.unit,
        Mean::Estimated => 0.0,
    };
    // The products are 0 where the mean is known.
    let squares = (found.squares - mean * found.products).max(0.0);
    Some(Likelihood {
        squares,
        log_variances: found.log_variances,
        mean,
        n: w.len(),
    })
}

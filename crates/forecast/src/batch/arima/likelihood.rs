//! The exact Gaussian likelihood of a stationary ARMA series.
//!
//! By the Kalman filter in the fast form of Morf, Sidhu & Kailath, *Some new algorithms for recursive estimation in
//! constant linear discrete-time systems* (1974), as Pearlman, *An algorithm for the exact likelihood of a high-order
//! autoregressive-moving average process* (1980), has it for ARMA: the covariance of the state changes by a matrix of
//! rank one at each step, so that gain and variance follow in time linear in the order. Once they no longer change, the
//! innovations are those of the difference equation. The variance and the constant are concentrated out: they are
//! the best for the other parameters.

use super::{
    autocovariance::autocovariances,
    filter::{divide, dot, whiten},
    order::Form,
    polynomial::Lags,
};

/// Change of the innovation's variance, relative, under which the filter is taken as settled.
const SETTLED: f64 = 1e-12;

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
    let mut gains = Gains::new(ar, ma)?;
    let known = if let Mean::Known(mean) = mean { mean } else { 0.0 };
    let mut own = Innovations::new(w.iter().map(|y| y - known).collect(), gains.gain.len());
    let mut unit = (mean == Mean::Estimated).then(|| Innovations::new(vec![1.0; w.len()], gains.gain.len()));
    let mut logs = LogSum::default();
    let mut t = 0;
    // As many settled steps as lags, so that the difference equation starts from innovations and nothing else.
    let mut settled = 0;
    while t < w.len() && settled <= gains.gain.len() {
        let root = gains.variance.sqrt();
        logs.add(gains.variance);
        own.step(t, &gains, ar, root);
        if let Some(unit) = &mut unit {
            unit.step(t, &gains, ar, root);
        }
        settled = if gains.advance(ar) { settled + 1 } else { 0 };
        t += 1;
    }
    let own = own.finish(t, ar, ma);
    let unit = unit.map(|unit| unit.finish(t, ar, ma));
    let mean = unit.as_ref().map_or(known, |unit| {
        let weight = dot(unit, unit);
        if weight > 0.0 {
            dot(&own, unit) / weight
        } else {
            0.0
        }
    });
    let squares = match &unit {
        Some(unit) => dot(&own, &own) - mean * dot(&own, unit),
        None => dot(&own, &own),
    };
    let result = Likelihood {
        squares: squares.max(0.0),
        log_variances: logs.finish(),
        mean,
        n: w.len(),
    };
    (result.squares.is_finite() && result.log_variances.is_finite()).then_some(result)
}

/// The filter's gain and the variance of the next innovation, in units of the innovation variance.
struct Gains {
    gain: Vec<f64>,
    variance: f64,
    /// The covariance changes by `weight · change · changeᵀ` at the next step.
    change: Vec<f64>,
    weight: f64,
}

impl Gains {
    /// Before the first value. The state holds what is expected of the next values; see [`super::state`].
    fn new(ar: &Lags, ma: &Lags) -> Option<Self> {
        let size = ar.len().max(ma.len()).max(1);
        let mut gain = autocovariances(ar, ma, size)?;
        let variance = gain.remove(0);
        Some(Self {
            change: gain.clone(),
            gain,
            variance,
            weight: -1.0 / variance,
        })
    }

    /// Goes to the next value; true where nothing changes any more.
    fn advance(&mut self, ar: &Lags) -> bool {
        let first = self.change[0];
        let scaled = self.weight * first;
        let before = self.variance;
        if scaled.abs() * first.abs() <= SETTLED * before && self.weight.abs() * self.largest() <= SETTLED {
            return true;
        }
        self.variance = (before + scaled * first).max(1.0);
        shift(&mut self.change, ar);
        for (gain, change) in self.gain.iter_mut().zip(&self.change) {
            *gain += scaled * change;
        }
        let share = first / self.variance;
        for (change, gain) in self.change.iter_mut().zip(&self.gain) {
            *change -= share * gain;
        }
        self.weight *= 1.0 + scaled * first / before;
        false
    }

    fn largest(&self) -> f64 {
        self.change.iter().map(|c| c * c).fold(0.0, f64::max)
    }
}

/// One step of what is expected: the next becomes the present, and the autoregression tells the last.
pub(super) fn shift(state: &mut [f64], ar: &Lags) {
    let size = state.len();
    let last: f64 = ar.sparse().iter().map(|(lag, c)| c * state[size - lag]).sum();
    state.copy_within(1.., 0);
    state[size - 1] = last;
}

/// One series on its way through the filter.
struct Innovations {
    series: Vec<f64>,
    state: Vec<f64>,
    /// Innovations divided by the root of their variance.
    scaled: Vec<f64>,
}

impl Innovations {
    fn new(series: Vec<f64>, size: usize) -> Self {
        Self {
            scaled: Vec::with_capacity(series.len()),
            series,
            state: vec![0.0; size],
        }
    }

    fn step(&mut self, t: usize, gains: &Gains, ar: &Lags, root: f64) {
        let innovation = self.series[t] - self.state[0];
        self.scaled.push(innovation / root);
        shift(&mut self.state, ar);
        let share = innovation / gains.variance;
        for (expected, gain) in self.state.iter_mut().zip(&gains.gain) {
            *expected += gain * share;
        }
    }

    /// The rest by the difference equation, once the filter has settled at `t`.
    fn finish(self, t: usize, ar: &Lags, ma: &Lags) -> Vec<f64> {
        let mut all = whiten(&self.series, ar.sparse(), t);
        all[..t].copy_from_slice(&self.scaled);
        divide(&mut all, ma.sparse(), t);
        all
    }
}

/// A sum of logarithms as the logarithm of a product.
struct LogSum {
    product: f64,
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self {
            product: 1.0,
            sum: 0.0,
        }
    }
}

impl LogSum {
    fn add(&mut self, value: f64) {
        self.product *= value;
        if !(1e-100..1e100).contains(&self.product) {
            self.sum += self.product.ln();
            self.product = 1.0;
        }
    }

    fn finish(&self) -> f64 {
        self.sum + self.product.ln()
    }
}

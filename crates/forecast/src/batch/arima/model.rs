//! One model with its estimates, and what it says of the data.

use super::{
    css::{self, Estimate, roots_clear},
    likelihood::Mean,
    ml::refine,
    order::{Form, Order},
    series::{Standard, differenced},
    start::Guesses,
};

/// Closest that roots of a chosen model may come to the unit circle. Models of slow load need roots near it: where these
/// are refused, a moving average stands in, which forgets the present level at once.
const RADIUS_CHOSEN: f64 = 1.001;

/// How far maximum likelihood is pursued.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Steps of the optimiser.
    pub(super) steps_max: usize,
    /// Gain in log likelihood under which two steps end it.
    pub(super) gain_min: f64,
}

/// A differenced series, ready for all models that share its differences.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) w: Vec<f64>,
    guesses: Guesses,
    /// Mean that a model without a constant has.
    zero: f64,
}

impl Data {
    /// `lag_max` is the longest lag of any model that will be fitted.
    pub(super) fn new(series: &Standard, form: &Form, lag_max: usize) -> Self {
        let w = differenced(&series.values, form);
        Self {
            guesses: Guesses::new(&w, lag_max),
            zero: if form.differences() == 0 {
                series.zero()
            } else {
                0.0
            },
            w,
        }
    }

    /// The same, but for all values save the latest `count`.
    pub(super) fn latest(&self, count: usize, lag_max: usize) -> Self {
        let w = self.w[self.w.len().saturating_sub(count)..].to_vec();
        Self {
            guesses: Guesses::new(&w, lag_max),
            zero: self.zero,
            w,
        }
    }

    fn mean(&self, form: &Form) -> Mean {
        if form.constant {
            Mean::Estimated
        } else {
            Mean::Known(self.zero)
        }
    }

    /// By conditional least squares, from the best of several starts: guessed from the data, that of `kin`, and 0.
    pub(super) fn conditional(
        &self,
        form: &Form,
        kin: Option<(&Form, &Estimate)>,
        tolerance: f64,
    ) -> Estimate {
        let mean = if form.constant {
            self.guesses.mean()
        } else {
            self.zero
        };
        let mut starts = vec![(vec![0.0; form.terms()], mean), (self.guesses.terms(form), mean)];
        if let Some((other, estimate)) = kin {
            let mean = if form.constant { estimate.mean } else { self.zero };
            starts.push((carried(other, &estimate.terms, form), mean));
        }
        let cost = |start: &(Vec<f64>, f64)| css::squares(form, &self.w, &start.0, start.1);
        let best = starts
            .into_iter()
            .map(|start| (cost(&start), start))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let (terms, mean) = best.map_or((Vec::new(), mean), |(_, start)| start);
        css::estimate(form, &self.w, &terms, mean, tolerance)
    }

    /// By maximum likelihood, from conditional estimates.
    pub(super) fn exact(&self, form: &Form, start: &Estimate, effort: Effort) -> Option<Model> {
        let tolerance = effort.gain_min / self.w.len().max(1) as f64;
        let mean = self.mean(form);
        let (terms, found) = refine(form, &self.w, start, mean, effort.steps_max, tolerance)?;
        let n = self.w.len();
        Some(Model {
            form: *form,
            terms,
            mean: found.mean,
            variance: found.squares / n.saturating_sub(form.parameters()).max(1) as f64,
            log_likelihood: found.log(),
            n,
        })
    }
}

/// Coefficients of one form as a start for another: those that both have.
fn carried(from: &Form, terms: &[f64], to: &Form) -> Vec<f64> {
    let blocks = from.split(terms);
    let mut all = Vec::with_capacity(to.terms());
    for (block, count) in [
        (blocks.ar, to.order.p),
        (blocks.ma, to.order.q),
        (blocks.seasonal_ar, to.seasonal.p),
        (blocks.seasonal_ma, to.seasonal.q),
    ] {
        all.extend((0..count).map(|i| block.get(i).copied().unwrap_or(0.0)));
    }
    all
}

/// A form with its parameters, in units of the standardised series.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) form: Form,
    pub(super) terms: Vec<f64>,
    /// Of the differenced series.
    pub(super) mean: f64,
    /// Of the innovations.
    pub(super) variance: f64,
    pub(super) log_likelihood: f64,
    /// Differenced values that it was fitted to.
    pub(super) n: usize,
}

impl Model {
    /// A level without noise.
    pub(super) fn constant(n: usize) -> Self {
        Self {
            form: Form {
                order: Order::default(),
                seasonal: Order::default(),
                period: 1,
                constant: true,
            },
            terms: Vec::new(),
            mean: 0.0,
            variance: 0.0,
            log_likelihood: 0.0,
            n,
        }
    }

    /// Akaike's criterion, corrected for short series; infinite where roots are too close to the unit circle.
    pub(super) fn criterion(&self) -> f64 {
        if !roots_clear(&self.form, &self.terms, RADIUS_CHOSEN) {
            return f64::INFINITY;
        }
        corrected(-2.0 * self.log_likelihood, &self.form, self.n)
    }
}

/// The criterion of conditional estimates, up to a constant that models with the same differences share.
pub(super) fn approximate_criterion(form: &Form, estimate: &Estimate, n: usize) -> f64 {
    if !roots_clear(form, &estimate.terms, RADIUS_CHOSEN) {
        return f64::INFINITY;
    }
    let variance = estimate.variance().max(f64::MIN_POSITIVE);
    corrected(n as f64 * variance.ln(), form, n)
}

/// Hurvich & Tsai's correction (1989); infinite where there are too few values for the parameters.
fn corrected(deviance: f64, form: &Form, n: usize) -> f64 {
    let parameters = (form.parameters() + 1) as f64;
    let left = n as f64 - parameters - 1.0;
    let criterion = deviance + 2.0 * parameters + 2.0 * parameters * (parameters + 1.0) / left;
    if left > 0.0 && !criterion.is_nan() {
        criterion
    } else {
        f64::INFINITY
    }
}

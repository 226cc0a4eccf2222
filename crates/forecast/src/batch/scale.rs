//! Fitting on values near 1, whatever the unit of the series.
//!
//! Values are believed from 1e-300 to 1e100; their squares are not all finite. So every model of this module works on
//! values that were shifted by a level (where its mathematics allows that) and divided by a power of two, which is exact.

use crate::{FitError, Fitted, Prediction, fit::check_train, models::believable};

/// What a scaled value may be at most; with larger ones the model is of another scale, and must be refitted.
const SCALED_MAX: f64 = 1e100;
/// Units below 2^-1000 would not have a finite reciprocal.
const EXPONENT_MIN: f64 = -1000.0;

/// How a series' values relate to those that a model works on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    shift: f64,
    unit: f64,
}

impl Scale {
    /// Keeps 0 at 0, for models in which a value's sign and ratio matter.
    pub(crate) fn ratio(values: &[f64]) -> Self {
        Self::around(0.0, values)
    }

    /// Brings the first value to 0, for models that know only differences.
    pub(crate) fn interval(values: &[f64]) -> Self {
        Self::around(values.first().copied().unwrap_or(0.0), values)
    }

    fn around(shift: f64, values: &[f64]) -> Self {
        let size = values.iter().map(|y| (y - shift).abs()).fold(0.0, f64::max);
        let unit = if size > 0.0 {
            size.log2().ceil().max(EXPONENT_MIN).exp2()
        } else {
            1.0
        };
        Self { shift, unit }
    }

    /// Makes scaled values larger, by a power of two.
    pub(crate) fn enlarge(self, factor: f64) -> Self {
        Self {
            unit: self.unit / factor,
            ..self
        }
    }

    pub(crate) fn apply(self, y: f64) -> f64 {
        (y - self.shift) / self.unit
    }

    pub(crate) fn apply_all(self, values: &[f64]) -> Vec<f64> {
        values.iter().map(|&y| self.apply(y)).collect()
    }

    pub(crate) fn undo(self, x: f64) -> f64 {
        (x * self.unit + self.shift).clamp(f64::MIN, f64::MAX)
    }

    /// Of a difference or a deviation.
    pub(crate) fn undo_width(self, width: f64) -> f64 {
        width * self.unit
    }
}

/// A model of scaled values.
pub(crate) trait Scaled: Send {
    /// What [`Fitted::name`] tells.
    fn name(&self) -> &str;

    /// For each of the next steps the expected value and the standard deviation of its error.
    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>);

    /// As [`Fitted::update`], with what cannot be believed already taken as missing.
    fn step(&mut self, x: Option<f64>) -> bool;
}

/// A model of scaled values and the way back.
#[derive(Debug)]
pub(crate) struct Rescaled<M> {
    pub(crate) scale: Scale,
    pub(crate) model: M,
}

impl<M: Scaled + 'static> Rescaled<M> {
    pub(crate) fn boxed(scale: Scale, model: M) -> Box<dyn Fitted> {
        Box::new(Self { scale, model })
    }
}

impl<M: Scaled> Fitted for Rescaled<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn predict(&self, horizon: usize, quantiles: &[f64]) -> Prediction {
        let (point, deviations) = self.model.path(horizon);
        let point = point.into_iter().map(|x| self.scale.undo(x)).collect();
        let deviations: Vec<f64> = deviations.into_iter().map(|s| self.scale.undo_width(s)).collect();
        // Only quantiles that break the trait's contract, or no horizon at all, come to nothing here.
        Prediction::normal(point, &deviations, quantiles).unwrap_or_default()
    }

    fn update(&mut self, y: Option<f64>) -> bool {
        match believable(y).map(|y| self.scale.apply(y)) {
            Some(x) if x.abs() > SCALED_MAX => false,
            x => self.model.step(x),
        }
    }
}

/// Mean of squares, of those at the fit and of all since.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct MeanSquare {
    count: f64,
    mean: f64,
}

impl MeanSquare {
    pub(crate) fn of(errors: impl IntoIterator<Item = f64>) -> Self {
        let mut squares = Self::default();
        errors.into_iter().for_each(|e| squares.add(e));
        squares
    }

    pub(crate) fn add(&mut self, error: f64) {
        self.count += 1.0;
        self.mean += (error * error - self.mean) / self.count;
    }

    /// Estimate of the variance where `parameters` were fitted to the same errors.
    pub(crate) fn variance(&self, parameters: f64) -> f64 {
        self.mean * self.count / (self.count - parameters).max(1.0)
    }

    pub(crate) fn deviation(&self, parameters: f64) -> f64 {
        self.variance(parameters).sqrt()
    }
}

/// Checks a series and scales it.
pub(crate) fn scaled(
    model: &'static str,
    need: usize,
    train: &[f64],
    scale: impl Fn(&[f64]) -> Scale,
) -> Result<(Scale, Vec<f64>), FitError> {
    check_train(model, need, train)?;
    let scale = scale(train);
    Ok((scale, scale.apply_all(train)))
}

//! Models that are fitted to a whole series: the two traits, and why a fit may fail.

use crate::Prediction;

/// A kind of model, and how it is to be fitted: `fit` finds the parameters from a series.
pub trait Fit: Send + Sync {
    /// A short name of the kind, such as `theta`; it reaches reports and the API.
    fn name(&self) -> &str;

    /// Fits to one value a step, oldest first, without gaps.
    ///
    /// Never panics; values that are not finite, too few of them, or none that vary are a [`FitError`] or a defined
    /// answer, as the model's documentation says.
    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError>;
}

/// A model with its parameters, at the end of the series that it was fitted to.
pub trait Fitted: Send {
    /// The kind and the form that was chosen, such as `arima(2,1,1)`.
    fn name(&self) -> &str;

    /// What is expected of the next `horizon` steps, with a path for each of `quantiles`, which rise strictly in (0, 1).
    ///
    /// All values are finite. The quantiles are the model's own, from its assumptions: where it matters they are
    /// wrong, and what a caller shows is calibrated by what happened.
    fn predict(&self, horizon: usize, quantiles: &[f64]) -> Prediction;

    /// Takes the next step's observation, `None` where nothing was seen, without refitting. False where the
    /// mathematics does not allow that: the model then stays where it was and must be refitted.
    fn update(&mut self, y: Option<f64>) -> bool {
        let _ = y;
        false
    }
}

/// Why a model could not be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The series is shorter than the model needs.
    #[error("{model} needs at least {need} values, the series has {found}")]
    TooShort {
        /// The kind of model.
        model: &'static str,
        /// The fewest that it can be fitted to.
        need: usize,
        /// How many there are.
        found: usize,
    },
    /// A value is NaN, infinite, or over 1e100 in size.
    #[error(
        "value {index} cannot be used: it is missing, not finite, or over 1e100 in size; fill gaps first"
    )]
    Value {
        /// Index into the series.
        index: usize,
    },
    /// The model has nothing to say about a series like this.
    #[error("{model} does not suit this series: {reason}")]
    Unsuitable {
        /// The kind of model.
        model: &'static str,
        /// What is wrong, for people.
        reason: String,
    },
}

/// The first thing that makes a series unfit for any batch model.
#[cfg_attr(
    not(feature = "batch"),
    allow(dead_code, reason = "only batch models are fitted")
)]
pub(crate) fn check_train(model: &'static str, need: usize, train: &[f64]) -> Result<(), FitError> {
    if let Some(index) = train
        .iter()
        .position(|y| crate::models::believable(Some(*y)).is_none())
    {
        return Err(FitError::Value { index });
    }
    if train.len() < need {
        return Err(FitError::TooShort {
            model,
            need,
            found: train.len(),
        });
    }
    Ok(())
}

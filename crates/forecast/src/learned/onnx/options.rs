//! What is agreed on with whoever brings a model.

use super::OnnxError;

/// What a model's numbers mean, where the file does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxOptions {
    /// In which units the model reads and answers.
    pub scaling: Scaling,
    /// Indices, into what [`Forecaster::update_with`](crate::Forecaster::update_with) is given, of the signals that are
    /// its features after the first; the first is the series itself. As many as the model has features, less one.
    pub signals: Vec<usize>,
    /// Probabilities of the answer's last dimension, rising, where it has three. Default 0.1, 0.5, 0.9.
    pub quantiles: Vec<f64>,
    /// Steps ahead that are needed; a model that answers fewer is refused. Default 1.
    pub horizon: usize,
    /// The window where the file leaves it open, 1 to 65,536. Not needed where it is fixed.
    pub window: Option<usize>,
}

/// In which units a model reads and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// Each feature as its distance from its mean over the window, in standard deviations of it, clipped to 20 either
    /// way; answers in the same units of the first one. Where the window does not vary, all are 0.
    #[default]
    Window,
    /// As it is measured, clipped to a million either way.
    None,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self {
            scaling: Scaling::Window,
            signals: Vec::new(),
            quantiles: vec![0.1, 0.5, 0.9],
            horizon: 1,
            window: None,
        }
    }
}

impl Scaling {
    /// No input is larger.
    pub(super) fn input_max(self) -> f64 {
        match self {
            Self::Window => 20.0,
            Self::None => 1e6,
        }
    }

    /// An answer that is larger is no forecast but a model gone wrong.
    pub(super) fn output_max(self) -> f64 {
        100.0 * self.input_max()
    }
}

impl OnnxOptions {
    pub(super) fn check(&self) -> Result<(), OnnxError> {
        let inside = self.quantiles.iter().all(|q| *q > 0.0 && *q < 1.0);
        if inside && self.quantiles.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        Err(OnnxError::Quantiles {
            quantiles: self.quantiles.clone(),
        })
    }
}

//! How a model has done lately at one anchor.

use crate::{error_mean::ErrorMean, quantile_loss::quantile_loss};

/// The discounted mean loss of one model, at the quantile by which models are selected.
///
/// A model forecasts a mean; its quantile is that plus an offset, which follows the model's own errors by the gradient of
/// the quantile loss. So a model is not blamed for a spread that the band takes care of anyway.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    loss: ErrorMean,
    offset: f32,
}

/// Share of the mean loss, over that of the rarer side, by which the offset moves.
const OFFSET_GAIN: f64 = 0.05;

impl Standing {
    /// Takes what was measured less what was forecast; `kept` is what a step leaves of a loss's weight.
    pub(crate) fn add(&mut self, error: f64, quantile: f64, kept: f32) {
        if quantile == 0.5 {
            self.loss.add(error.abs(), kept);
            return;
        }
        let over = error - f64::from(self.offset);
        self.loss.add(quantile_loss(over, quantile), kept);
        let step = OFFSET_GAIN * self.loss.mean(1).unwrap_or(0.0) / quantile.min(1.0 - quantile);
        let hit = f64::from(u8::from(over <= 0.0));
        self.offset += (step * (quantile - hit)) as f32;
    }

    /// `None` while fewer than about `count_min` errors are known.
    pub(crate) fn loss(&self, count_min: u8) -> Option<f64> {
        self.loss.mean(count_min)
    }
}

//! From the newest values to a window in the model's units, and back.

use super::{Fault, Inner, Scaling};
use crate::learned::recent::{Recent, mean_and_deviation};

/// What one answer needs; made once.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    window: Vec<f32>,
    scaled: Vec<f32>,
    /// The answer in the series' units: horizon × width.
    pub(super) answer: Vec<f64>,
}

impl Scratch {
    pub(super) fn new(inner: &Inner) -> Self {
        let numbers = inner.horizon * inner.width;
        Self {
            window: vec![0.0; inner.window * inner.features],
            scaled: vec![0.0; numbers],
            answer: vec![0.0; numbers],
        }
    }
}

impl Inner {
    /// Answers into `scratch` from a full window.
    pub(super) fn answer_recent(&self, recent: &Recent, scratch: &mut Scratch) -> Result<(), Fault> {
        let (level, unit) = self.fill(recent.values(), 0, scratch);
        for (feature, signal) in (1..self.features).zip(recent.signals()) {
            self.fill(signal, feature, scratch);
        }
        self.answer(&scratch.window, &mut scratch.scaled)?;
        for (cell, &scaled) in scratch.answer.iter_mut().zip(&scratch.scaled) {
            *cell = (level + unit * f64::from(scaled)).clamp(f64::MIN, f64::MAX);
        }
        for step in scratch.answer.chunks_exact_mut(self.width) {
            step.sort_by(f64::total_cmp);
        }
        Ok(())
    }

    /// Fills one feature of the window; gives what turns an answer back: the level and the unit.
    fn fill(&self, values: &[f64], feature: usize, scratch: &mut Scratch) -> (f64, f64) {
        let newest = &values[values.len().saturating_sub(self.window)..];
        let (level, unit) = match self.options.scaling {
            Scaling::Window => mean_and_deviation(newest),
            Scaling::None => (0.0, 1.0),
        };
        let largest = self.options.scaling.input_max();
        let cells = scratch.window.iter_mut().skip(feature).step_by(self.features);
        for (cell, y) in cells.zip(newest) {
            let scaled = if unit > 0.0 { (y - level) / unit } else { 0.0 };
            *cell = scaled.clamp(-largest, largest) as f32;
        }
        (level, unit)
    }
}

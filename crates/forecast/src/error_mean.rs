//! A mean of errors that forgets.

/// Mean of errors, the newest counting most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ErrorMean {
    sum: f32,
    weight: f32,
}

impl ErrorMean {
    /// `kept` is what one step leaves of an error's weight, in (0.97, 1): of 0.99, half is forgotten in 69 steps.
    pub(crate) fn add(&mut self, error: f64, kept: f32) {
        // Sums beyond single precision stay the largest it has: still the worst of all, and still forgotten.
        self.sum = (self.sum * kept + error as f32).min(f32::MAX);
        self.weight = self.weight * kept + 1.0;
    }

    /// `None` while fewer than about `count_min` errors were added; at most 30.
    pub(crate) fn mean(&self, count_min: u8) -> Option<f64> {
        // So many errors weigh a little less than their number.
        (self.weight > f32::from(count_min) * 0.74).then(|| f64::from(self.sum / self.weight))
    }
}

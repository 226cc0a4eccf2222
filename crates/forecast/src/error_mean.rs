//! A mean of errors that forgets.

/// Mean of absolute errors, the newest counting most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ErrorMean {
    sum: f32,
    weight: f32,
}

/// What one step leaves of an error's weight: half is forgotten in 69 steps.
const DISCOUNT: f32 = 0.99;

impl ErrorMean {
    pub(crate) fn add(&mut self, error: f64) {
        self.sum = self.sum * DISCOUNT + error as f32;
        self.weight = self.weight * DISCOUNT + 1.0;
    }

    /// `None` while fewer than about `count_min` errors were added; at most 60.
    pub(crate) fn mean(&self, count_min: u8) -> Option<f64> {
        // So many errors weigh a little less than their number.
        (self.weight > f32::from(count_min) * 0.74).then(|| f64::from(self.sum / self.weight))
    }
}

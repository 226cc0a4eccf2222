//! "The load stays as it is": the forecast to beat.

use super::{Forecaster, believable};

/// Persistence: every step ahead is the newest observation. A missing one changes nothing.
#[derive(Debug, Clone, Default)]
pub struct LastValue {
    last: f64,
}

impl Forecaster for LastValue {
    fn name(&self) -> &str {
        "last_value"
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn update(&mut self, y: Option<f64>) {
        self.last = believable(y).unwrap_or(self.last);
    }

    fn forecast(&self, path: &mut [f64]) {
        path.fill(self.last);
    }
}

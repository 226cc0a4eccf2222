//! Models that are fitted in batches, as members of a pool: before the first fit and after it.

use crate::{Fitted, Forecaster};

/// Holds a place until something was fitted.
pub(super) struct Place(pub(super) String);

impl Forecaster for Place {
    fn name(&self) -> &str {
        &self.0
    }

    fn update(&mut self, _: Option<f64>) {}

    fn forecast(&self, path: &mut [f64]) {
        path.fill(0.0);
    }

    fn reset(&mut self) {}

    fn is_ready(&self) -> bool {
        false
    }
}

/// A fitted model, step by step.
pub(super) struct Batch {
    name: String,
    fitted: Option<Box<dyn Fitted>>,
    /// Steps that it could not take in.
    behind: usize,
}

/// A model that cannot be updated is no longer asked so many steps after its fit.
const BEHIND_MAX: usize = 4_000;

impl Batch {
    pub(super) fn new(fitted: Box<dyn Fitted>) -> Self {
        Self {
            name: fitted.name().to_owned(),
            fitted: Some(fitted),
            behind: 0,
        }
    }
}

impl Forecaster for Batch {
    fn name(&self) -> &str {
        &self.name
    }

    fn update(&mut self, y: Option<f64>) {
        if let Some(fitted) = &mut self.fitted
            && !fitted.update(y)
        {
            self.behind += 1;
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        let Some(fitted) = &self.fitted else {
            path.fill(0.0);
            return;
        };
        let prediction = fitted.predict(self.behind + path.len(), &[]);
        path.copy_from_slice(&prediction.point()[self.behind..]);
    }

    fn reset(&mut self) {
        self.fitted = None;
    }

    fn is_ready(&self) -> bool {
        self.fitted.is_some() && self.behind <= BEHIND_MAX
    }
}

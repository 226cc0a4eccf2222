//! How large a network is and what it is shown.

use super::TrainError;

/// Sizes of a network, in steps and numbers; all else follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) window: usize,
    pub(super) horizon: usize,
    pub(super) hidden: usize,
    /// In steps, rising.
    pub(super) periods: Vec<usize>,
    /// Other series beside the one that is forecast.
    pub(super) signals: usize,
}

/// Inputs that each step has besides those of periods and signals: the level and the change.
const OWN_INPUTS: usize = 2;
/// Inputs that a period makes at each step: the distance to one season ago, and the phase's sine and cosine.
pub(super) const PERIOD_INPUTS: usize = 3;
const PERIODS_MAX: usize = 4;
const PERIOD_MAX: usize = 1 << 17;
const SIGNALS_MAX: usize = 32;

impl Shape {
    /// What is out of range, by name.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        for (name, value, min, max) in [
            ("window", self.window, 2, 2_048),
            ("horizon", self.horizon, 1, 1_024),
            ("hidden", self.hidden, 1, 256),
            ("periods", self.periods.len(), 0, PERIODS_MAX),
            ("signals", self.signals, 0, SIGNALS_MAX),
        ] {
            range(name, value, min, max)?;
        }
        for &period in &self.periods {
            range("period", period, 2, PERIOD_MAX)?;
        }
        if self.periods.is_sorted_by(|a, b| a < b) {
            Ok(())
        } else {
            Err(TrainError::PeriodOrder)
        }
    }

    /// Inputs of each step.
    pub(super) fn inputs(&self) -> usize {
        OWN_INPUTS + PERIOD_INPUTS * self.periods.len() + self.signals
    }

    /// Inputs and the hidden state before.
    pub(super) fn joined(&self) -> usize {
        self.inputs() + self.hidden
    }

    /// All four gates.
    pub(super) fn gates(&self) -> usize {
        4 * self.hidden
    }

    /// What the last layer is shown: the hidden state, and for each period what came one season before each step ahead.
    pub(super) fn head_inputs(&self) -> usize {
        self.hidden + self.periods.len() * self.horizon
    }

    /// Steps that a forecast looks back at.
    pub(super) fn context(&self) -> usize {
        self.window + self.periods.last().copied().unwrap_or(0)
    }

    /// Lengths of the parts that the parameters consist of, in their order: gates' weights, gates' offsets, the last
    /// layer's weights, its offsets.
    pub(super) fn parts(&self) -> [usize; 4] {
        [
            self.joined() * self.gates(),
            self.gates(),
            self.head_inputs() * self.horizon,
            self.horizon,
        ]
    }

    /// Number of parameters.
    pub(super) fn parameters(&self) -> usize {
        self.parts().iter().sum()
    }
}

pub(super) fn range(name: &'static str, found: usize, min: usize, max: usize) -> Result<(), TrainError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(TrainError::Option {
        name,
        found: found as f64,
        min: min as f64,
        max: max as f64,
    })
}

//! The model of several signals, asked only where a node tells its own.
//!
//! It is the dearest of the models: half of a quiet round with a thousand nodes. What it knows beyond the others is how CPU and
//! memory follow what the ingress measures, so a node that tells neither does not pay for it. It begins to learn with the first such
//! report, and ends when none has come for a while.

use foreshift_forecast::{Forecaster, Multivariate, Signal};

/// Rounds without a report after which it is forgotten: a minute of the default `check_interval`.
const SILENT_MAX: u32 = 120;

/// See the module.
pub(super) struct OwnSignals {
    inner: Multivariate,
    /// Rounds since the last report; `None` before the first.
    silent: Option<u32>,
}

impl OwnSignals {
    pub(super) fn new(steps: usize) -> Self {
        Self {
            inner: Multivariate::of_node_signals(steps),
            silent: None,
        }
    }
}

/// Whether a node says anything of its CPU or memory.
fn tells(signals: &[Option<f64>]) -> bool {
    let told = |(signal, value): (&Signal, &Option<f64>)| {
        matches!(signal, Signal::Cpu | Signal::Memory) && value.is_some()
    };
    Signal::ALL.iter().zip(signals).any(told)
}

impl Forecaster for OwnSignals {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn update(&mut self, y: Option<f64>) {
        self.update_with(y, &[]);
    }

    fn update_with(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        self.silent = match (tells(signals), self.silent) {
            (true, _) => Some(0),
            (false, Some(rounds)) if rounds < SILENT_MAX => Some(rounds + 1),
            (false, Some(_)) => {
                self.inner.reset();
                None
            }
            (false, None) => None,
        };
        if self.silent.is_some() {
            self.inner.update_with(y, signals);
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        self.inner.forecast(path);
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.silent = None;
    }

    fn is_ready(&self) -> bool {
        self.silent.is_some() && self.inner.is_ready()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_from_the_first_report_on_and_forgets_a_node_that_no_longer_reports() {
        let mut model = OwnSignals::new(20);
        let requests = [None, None, None, None, Some(100.0), None, None, None];
        let with_cpu = [Some(0.5), None, None, None, Some(100.0), None, None, None];
        let mut rounds = |signals: &[Option<f64>], count: u32| {
            for t in 0..count {
                model.update_with(Some(50.0 + f64::from(t % 7)), signals);
            }
            model.is_ready()
        };
        assert!(!rounds(&requests, 500), "a node that tells nothing pays nothing");
        assert!(rounds(&with_cpu, 200));
        assert!(rounds(&requests, SILENT_MAX), "some reports may be missing");
        assert!(!rounds(&requests, 1));
    }
}

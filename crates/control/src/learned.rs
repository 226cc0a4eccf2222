//! Models that a pool is given in a file: read and checked here, watched while they run.
//!
//! A file that is missing or wrong keeps a pool from starting. One that goes wrong later, by what it answers or by how
//! long it takes, is dropped for the whole pool: its nodes share it, and the forecasts go on without. It comes back with
//! the next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use foreshift_forecast::{
    Forecaster, Signal,
    learned::{self, Model, Scaling},
};
use foreshift_wire::{Config, ForecastConfig, ModelScaling, ModelSignal, Pool, PoolForecast};

use crate::Error;

/// Why the file of a pool's `model_path` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no model, or none for these signals.
    #[error(transparent)]
    Unusable(learned::ModelError),
    /// It does not look as far ahead as the forecasts do.
    #[error(
        "the model tells {found} steps ahead, prediction_horizon is {needed} of check_interval; train it for as many"
    )]
    Horizon {
        /// Steps that it tells.
        found: usize,
        /// Steps that are needed.
        needed: usize,
    },
    /// It was trained for another step.
    #[error(
        "the model was trained for steps of {found_ms} ms, check_interval is {needed_ms} ms; make them the same"
    )]
    Step {
        /// Milliseconds that it was trained for.
        found_ms: u64,
        /// Milliseconds that it would be used with.
        needed_ms: u64,
    },
}

/// In the words of the configuration.
impl From<learned::ModelError> for ModelError {
    fn from(error: learned::ModelError) -> Self {
        match error {
            learned::ModelError::Horizon { found, needed } => Self::Horizon { found, needed },
            learned::ModelError::Step { found_ms, needed_ms } => Self::Step { found_ms, needed_ms },
            error => Self::Unusable(error),
        }
    }
}

/// Reads every pool's model, as the start would.
pub fn check_models(config: &Config) -> Result<(), Error> {
    for (index, pool) in config.pool.iter().enumerate() {
        let read = Learned::read(pool, &config.forecast);
        read.map_err(|source| Error::Model { index, source })?;
    }
    Ok(())
}

/// A pool's model, and how it fares.
pub(crate) struct Learned {
    model: Model,
    health: Arc<Health>,
    /// Rounds in a row that it took too long in.
    slow_rounds: u32,
    is_told: bool,
}

#[derive(Default)]
struct Health {
    fault: OnceLock<String>,
    /// Nanoseconds spent in the round under way.
    spent_ns: AtomicU64,
}

/// The share of a round that a pool's model may take.
const ROUND_SHARE_MAX: u32 = 10;
/// A single slow round may be the machine's.
const SLOW_ROUNDS_MAX: u32 = 3;

impl Learned {
    /// Reads the file that a pool names; `None` where it names none.
    pub(crate) fn read(pool: &Pool, forecast: &ForecastConfig) -> Result<Option<Self>, ModelError> {
        let Some(path) = &pool.forecast.model_path else {
            return Ok(None);
        };
        let step = pool.check_interval.get().as_millis().max(1);
        let steps = forecast.prediction_horizon.get().as_millis().div_ceil(step) as usize;
        let bytes = fs::read(path).map_err(|source| ModelError::Read {
            path: path.clone(),
            source,
        })?;
        let model = model(path, &bytes, &pool.forecast)?;
        model.check(step as u64, steps)?;
        Ok(Some(Self {
            model,
            health: Arc::default(),
            slow_rounds: 0,
            is_told: false,
        }))
    }

    /// The model for one more node.
    pub(crate) fn forecaster(&self) -> Box<dyn Forecaster> {
        Box::new(Watched {
            inner: self.model.forecaster(),
            health: self.health.clone(),
        })
    }

    /// Ends a round, of which one comes every `interval`. Gives, once, why the model was dropped.
    pub(crate) fn end_round(&mut self, interval: Duration) -> Option<&str> {
        let spent = Duration::from_nanos(self.health.spent_ns.swap(0, Ordering::Relaxed));
        let allowed = interval / ROUND_SHARE_MAX;
        self.slow_rounds = if spent > allowed { self.slow_rounds + 1 } else { 0 };
        if self.slow_rounds >= SLOW_ROUNDS_MAX {
            let fault = format!("it took {spent:?} of a round for all nodes, {allowed:?} are allowed");
            self.health.fault.get_or_init(|| fault);
        }
        let fault = self.health.fault.get().filter(|_| !self.is_told)?;
        self.is_told = true;
        Some(fault)
    }
}

fn model(path: &Path, bytes: &[u8], forecast: &PoolForecast) -> Result<Model, learned::ModelError> {
    let scaling = match forecast.scaling {
        ModelScaling::Window => Scaling::Window,
        ModelScaling::None => Scaling::None,
    };
    let signals = forecast.signals.iter().copied().map(index_of).collect();
    Model::from_file(&path.to_string_lossy(), bytes, signals, scaling)
}

/// Where a signal stands in what predictors hand on.
fn index_of(signal: ModelSignal) -> usize {
    let wanted = match signal {
        ModelSignal::Cpu => Signal::Cpu,
        ModelSignal::Memory => Signal::Memory,
        ModelSignal::Utilisation => Signal::Utilisation,
        ModelSignal::RequestsInFlight => Signal::RequestsInFlight,
        ModelSignal::RequestsPerS => Signal::RequestsPerS,
        ModelSignal::ResponseMsP99 => Signal::ResponseMsP99,
        ModelSignal::Connections => Signal::Connections,
        ModelSignal::BytesPerS => Signal::BytesPerS,
    };
    let place = Signal::ALL.iter().position(|signal| *signal == wanted);
    place.expect("all signals are among all signals")
}

/// One node's model, whose fault is that of all and whose time is counted.
struct Watched {
    inner: Box<dyn Forecaster>,
    health: Arc<Health>,
}

impl Forecaster for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn update(&mut self, y: Option<f64>) {
        self.update_with(y, &[]);
    }

    fn update_with(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        if self.health.fault.get().is_some() {
            return;
        }
        let begin = Instant::now();
        self.inner.update_with(y, signals);
        let spent_ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.health.spent_ns.fetch_add(spent_ns, Ordering::Relaxed);
        if let Some(fault) = self.inner.fault() {
            self.health.fault.get_or_init(|| fault.to_owned());
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        self.inner.forecast(path);
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn is_ready(&self) -> bool {
        self.fault().is_none() && self.inner.is_ready()
    }

    fn fault(&self) -> Option<&str> {
        self.health.fault.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers, after a while, as long as it is not told to fail.
    struct Made {
        fails_at: u32,
        steps: u32,
        fault: Option<String>,
    }

    impl Forecaster for Made {
        fn name(&self) -> &str {
            "made"
        }

        fn update(&mut self, _: Option<f64>) {
            self.steps += 1;
            if self.steps == self.fails_at {
                self.fault = Some("its answer is NaN".into());
            }
        }

        fn forecast(&self, path: &mut [f64]) {
            path.fill(1.0);
        }

        fn reset(&mut self) {}

        fn fault(&self) -> Option<&str> {
            self.fault.as_deref()
        }
    }

    fn watched(health: &Arc<Health>, fails_at: u32) -> Watched {
        Watched {
            inner: Box::new(Made {
                fails_at,
                steps: 0,
                fault: None,
            }),
            health: health.clone(),
        }
    }

    fn learned(health: &Arc<Health>) -> Learned {
        let bytes = include_bytes!("../../forecast/tests/fixtures/onnx/mlp.onnx");
        Learned {
            model: Model::from_file("mlp.onnx", bytes, Vec::new(), Scaling::Window).unwrap(),
            health: health.clone(),
            slow_rounds: 0,
            is_told: false,
        }
    }

    #[test]
    fn what_goes_wrong_on_one_node_is_dropped_on_all_and_told_once() {
        let health = Arc::new(Health::default());
        let mut pool = learned(&health);
        let (mut a, mut b) = (watched(&health, 3), watched(&health, 99));
        for round in 1..6 {
            a.update(Some(1.0));
            b.update(Some(1.0));
            let told = pool.end_round(Duration::from_secs(3600)).map(str::to_owned);
            assert_eq!(told.is_some(), round == 3, "{round}: {told:?}");
            assert_eq!((a.is_ready(), b.is_ready()), (round < 3, round < 3));
        }
        assert_eq!(b.fault(), Some("its answer is NaN"));
    }

    #[test]
    fn a_model_that_is_too_slow_for_three_rounds_in_a_row_is_dropped() {
        let health = Arc::new(Health::default());
        let mut pool = learned(&health);
        let node = watched(&health, 99);
        let mut round = |spent_ms: u64| {
            health.spent_ns.store(spent_ms * 1_000_000, Ordering::Relaxed);
            pool.end_round(Duration::from_millis(500)).map(str::to_owned)
        };
        for spent_ms in [60, 60, 10, 60, 60, 49] {
            assert_eq!(round(spent_ms), None);
        }
        assert_eq!((round(60), round(60)), (None, None));
        let fault = round(80).unwrap();
        assert_eq!(fault, "it took 80ms of a round for all nodes, 50ms are allowed");
        assert!(!node.is_ready());
        assert_eq!(round(80), None);
    }
}

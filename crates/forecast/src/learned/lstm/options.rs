//! What is trained, how, on what, and what is told meanwhile.

use super::{TrainError, shape::Shape, shape::range};

/// How a network is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Steps that it reads one after another, 2 to 2,048. Default 48.
    pub window: usize,
    /// Steps ahead that it tells, 1 to 1,024. Default 12.
    pub horizon: usize,
    /// Size of its state, 1 to 256; time to train grows with the square. Default 32.
    pub hidden: usize,
    /// Seasons that it is shown, in steps, rising: at most four, each 2 to 131,072. Default none.
    pub periods: Vec<usize>,
    /// Other series that it is shown beside each one, 0 to 32. Default none.
    pub signals: usize,
    /// Rounds at most, 1 to 10,000. Default 30.
    pub epochs: usize,
    /// Windows drawn in each round, 64 to 10,000,000; fewer where there are fewer. Default 16,384.
    pub windows_per_epoch: usize,
    /// Rounds without progress on what is held out, after which it is done, 1 or more. Default 5.
    pub patience: usize,
    /// Adam's rate at first, in 1e-6 to 1; it falls to nothing along a half cosine. Default 0.004.
    pub learning_rate: f64,
    /// The share of each series, at its end, that is not learned from but judged by, 0.01 to 0.5. Default 0.15.
    pub held_out: f64,
    /// The same seed on the same series gives the same weights, bit for bit, by however many threads.
    pub seed: u64,
    /// Milliseconds of a step, told to whoever uses the network; not at all where it is to serve any step.
    pub step_ms: Option<u64>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            window: 48,
            horizon: 12,
            hidden: 32,
            periods: Vec::new(),
            signals: 0,
            epochs: 30,
            windows_per_epoch: 16_384,
            patience: 5,
            learning_rate: 0.004,
            held_out: 0.15,
            seed: 1,
            step_ms: None,
        }
    }
}

impl TrainOptions {
    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.shape().check()?;
        range("epochs", self.epochs, 1, 10_000)?;
        range("windows_per_epoch", self.windows_per_epoch, 64, 10_000_000)?;
        range("patience", self.patience, 1, 10_000)?;
        for (name, found, min, max) in [
            ("learning_rate", self.learning_rate, 1e-6, 1.0),
            ("held_out", self.held_out, 0.01, 0.5),
        ] {
            if !(min..=max).contains(&found) {
                return Err(TrainError::Option {
                    name,
                    found,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            window: self.window,
            horizon: self.horizon,
            hidden: self.hidden,
            periods: self.periods.clone(),
            signals: self.signals,
        }
    }
}

/// A series to learn from, one value a step, oldest first.
///
/// NaN is a missing value, and so is one that is infinite or over 1e100: it is held at the newest known one, and nothing
/// is learned from it as a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainSeries<'a> {
    /// The series that is forecast.
    pub values: &'a [f64],
    /// Others beside it, each as long: [`TrainOptions::signals`] of them, in the same order in all series.
    pub signals: &'a [&'a [f64]],
    /// Steps from an origin common to all series to the first value: Unix time divided by the step. It makes the
    /// phase of each period known; without it the network goes by what came one season before alone.
    pub first_step: Option<i64>,
}

impl<'a> From<&'a [f64]> for TrainSeries<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self {
            values,
            signals: &[],
            first_step: None,
        }
    }
}

/// How far a training has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The round, from 0, and how many there are at most.
    pub epoch: usize,
    /// Rounds at most.
    pub epochs: usize,
    /// Batches of this round that are done.
    pub batch: usize,
    /// Batches of a round.
    pub batches: usize,
    /// Mean loss of this round so far: Huber's, on errors in units of each window's spread.
    pub loss: f64,
    /// The same on what is held out; only at a round's end.
    pub validation_loss: Option<f64>,
}

/// One part of a batch; parts are independent of each other.
pub type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Whoever computes the parts of a batch: this crate has no threads.
///
/// ```
/// use foreshift_forecast::learned::{Executor, Job};
///
/// /// Two threads, each with every second job.
/// struct Two;
///
/// impl Executor for Two {
///     fn run(&self, jobs: Vec<Job<'_>>) {
///         let (mut left, mut right) = (Vec::new(), Vec::new());
///         for (i, job) in jobs.into_iter().enumerate() {
///             if i % 2 == 0 { left.push(job) } else { right.push(job) }
///         }
///         std::thread::scope(|scope| {
///             scope.spawn(|| right.into_iter().for_each(|job| job()));
///             left.into_iter().for_each(|job| job());
///         });
///     }
/// }
/// ```
pub trait Executor {
    /// Runs all jobs, in any order or at once, and comes back when they are done. Four of some milliseconds each.
    fn run(&self, jobs: Vec<Job<'_>>);
}

/// One after another, here.
#[derive(Debug, Clone, Copy, Default)]
pub struct InTurn;

impl Executor for InTurn {
    fn run(&self, jobs: Vec<Job<'_>>) {
        jobs.into_iter().for_each(|job| job());
    }
}

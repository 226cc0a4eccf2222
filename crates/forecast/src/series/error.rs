//! Why there is no series.

use std::time::Duration;

/// Why values or samples do not make a [`Series`](super::Series), or why two do not go together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The step is no whole number of milliseconds from 1 ms to 366 days.
    #[error("step {step:?} cannot be used: it must be whole milliseconds, 1 ms to 366 days")]
    Step {
        /// What was asked for.
        step: Duration,
    },
    /// A value is infinite, or became so when it was summed.
    #[error("value {index} is infinite; leave it out or give it as missing (NaN)")]
    Value {
        /// Index into the values or samples.
        index: usize,
    },
    /// The series would have more than ten million steps.
    #[error(
        "{steps} steps of {step:?} are too many (at most 10,000,000): is a timestamp or its unit wrong, or the step too fine?"
    )]
    TooLong {
        /// How many it would have.
        steps: u128,
        /// Their distance.
        step: Duration,
    },
    /// An instant is out of the range of 64-bit milliseconds.
    #[error("instant {at_ms} ms is out of range")]
    Instant {
        /// The instant, in Unix milliseconds.
        at_ms: i64,
    },
    /// There is no sample with a value.
    #[error("there is no sample with a value")]
    NoSamples,
    /// Nothing was measured at any step, so nothing can be filled.
    #[error("all {steps} values are missing")]
    AllMissing {
        /// How many steps.
        steps: usize,
    },
    /// A roll-up of nothing.
    #[error("a roll-up needs a factor of at least 1")]
    Factor,
    /// Series of different steps cannot be aligned.
    #[error("series of steps {first:?} and {other:?} cannot be aligned; resample one of them")]
    Steps {
        /// The step of the first.
        first: Duration,
        /// The step that differs.
        other: Duration,
    },
    /// The series share no instant.
    #[error("the series have no instant in common")]
    Disjoint,
}

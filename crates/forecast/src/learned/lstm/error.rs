//! Why a network could not be trained, or not be read.

/// Why a network could not be trained.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An option is out of its range.
    #[error("{name} is {found}; it must be {min} to {max}")]
    Option {
        /// Which one.
        name: &'static str,
        /// What was asked for.
        found: f64,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// Periods are given once each, the shortest first.
    #[error("periods must rise, each given once")]
    PeriodOrder,
    /// A series does not have the signals that the options say, or one is not as long as it.
    #[error(
        "series {series} has {found} signals of {length} values; it needs {expected}, each as long as it"
    )]
    Signals {
        /// Its index.
        series: usize,
        /// How many signals it has.
        found: usize,
        /// How many it should have.
        expected: usize,
        /// How long it is.
        length: usize,
    },
    /// No series is long enough to be learned from and to be held out from.
    #[error(
        "no series is long enough: {need} values are needed for one window, its horizon and a held-out one, the longest has {found}"
    )]
    NoWindows {
        /// The fewest values.
        need: usize,
        /// Values of the longest series.
        found: usize,
    },
    /// No window varies, so there is nothing to learn.
    #[error("nothing varies in these series, or no value in them is known; there is nothing to learn")]
    Constant,
}

/// Why bytes are not a network that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not safetensors, or cut short.
    #[error("this is no safetensors file, or a damaged one: {reason}")]
    Format {
        /// What the reader said.
        reason: String,
    },
    /// The header does not say what this is, or says something else.
    #[error(
        "the file's header is not one of a Foreshift LSTM: {reason}; train it by `foreshift forecast train`"
    )]
    Header {
        /// What is missing or wrong.
        reason: String,
    },
    /// Made by another version.
    #[error("the file has version {found}, this program reads {known}; train it anew")]
    Version {
        /// What the file says.
        found: u32,
        /// What can be read.
        known: u32,
    },
    /// The header's sizes are out of range.
    #[error("the file's header: {0}")]
    Size(#[from] TrainError),
    /// A tensor is missing, or not of the shape that the header says.
    #[error("tensor {name}: expected 32-bit floats of shape {expected:?}, found {found}")]
    Shape {
        /// Which one.
        name: &'static str,
        /// What the header makes it.
        expected: Vec<usize>,
        /// What is there.
        found: String,
    },
    /// A number is NaN, infinite, or too large to have been trained.
    #[error("tensor {name}: element {index} is not a finite number under 1e6")]
    Value {
        /// Which tensor.
        name: &'static str,
        /// Which element.
        index: usize,
    },
    /// Spreads must rise with the probability.
    #[error("tensor spread: at step {step} a higher quantile lies under a lower one")]
    Crossing {
        /// Steps ahead, from 0.
        step: usize,
    },
}

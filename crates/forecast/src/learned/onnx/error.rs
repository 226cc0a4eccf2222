//! Why a model is refused, and why one is dropped.

/// Why bytes are not a model that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// Larger than any model that could answer in time.
    #[error("the file has {found} bytes, {max} at most are read")]
    Size {
        /// Bytes of the file.
        found: usize,
        /// The most.
        max: usize,
    },
    /// Not ONNX, cut short, or with operators that are not supported.
    #[error("this is no ONNX model that can be run: {reason}")]
    Load {
        /// What the reader said.
        reason: String,
    },
    /// A model has one input and one output.
    #[error("the model has {inputs} inputs and {outputs} outputs; expected one of each")]
    Ends {
        /// Its inputs.
        inputs: usize,
        /// Its outputs.
        outputs: usize,
    },
    /// Numbers are 32-bit floats.
    #[error("the model's {end} is of {found}; expected 32-bit floats")]
    Type {
        /// `input` or `output`.
        end: &'static str,
        /// What it is of.
        found: String,
    },
    /// The input is `[1, window]` or `[1, window, features]`.
    #[error("the model's input has the shape {found}; expected {expected}")]
    InputShape {
        /// What the file says.
        found: String,
        /// What can be fed.
        expected: String,
    },
    /// The output is `[1, horizon]` or `[1, horizon, quantiles]`.
    #[error("the model's output has the shape {found}; expected {expected}")]
    OutputShape {
        /// What came out of the first run.
        found: String,
        /// What can be used.
        expected: String,
    },
    /// Probabilities rise and lie in (0, 1).
    #[error("quantiles {quantiles:?} do not rise strictly within 0 and 1")]
    Quantiles {
        /// What was given.
        quantiles: Vec<f64>,
    },
    /// It ran, and not as it should.
    #[error("the model was tried with {window}: {fault}")]
    Trial {
        /// What it was fed.
        window: &'static str,
        /// What came of it.
        fault: Fault,
    },
}

/// What a model did instead of answering.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The answer holds NaN or an infinity.
    #[error("its answer for step {step} is {value}, which is not a number that can be used")]
    NotFinite {
        /// Index into the answer.
        step: usize,
        /// What is there.
        value: f32,
    },
    /// The answer is out of all proportion to the input.
    #[error("its answer for step {step} is {value}, over {max} in size")]
    Range {
        /// Index into the answer.
        step: usize,
        /// What is there.
        value: f32,
        /// The most, in the model's units.
        max: f64,
    },
    /// The answer's shape changed.
    #[error("its answer has {found} numbers, before it had {expected}")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// An operator failed.
    #[error("it failed: {reason}")]
    Run {
        /// What was said.
        reason: String,
    },
    /// An operator panicked.
    #[error("it panicked: {reason}")]
    Panic {
        /// What was said.
        reason: String,
    },
}

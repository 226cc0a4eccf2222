//! Models that were trained elsewhere and are brought in a file.
//!
//! What a file says is checked before it is believed: shapes, ranges, finiteness. Reading files and measuring time is
//! the shell's; bytes come in, and bytes go out.

mod lstm;
mod model;
mod onnx;
mod recent;

pub use lstm::{
    Executor, Header, InTurn, Job, LoadError, Lstm, LstmFitted, LstmForecaster, Progress, TrainError,
    TrainOptions, TrainSeries,
};
pub use model::{Model, ModelError};
pub use onnx::{Fault, Onnx, OnnxError, OnnxFitted, OnnxForecaster, OnnxOptions, Scaling};

//! What the predictor promises, on series with known properties and on real ones: one behaviour a module.

mod backtest;
#[cfg(all(feature = "batch", feature = "learned"))]
mod bad_input;
mod change;
mod common;
mod coverage;
mod laws;
#[cfg(feature = "learned")]
mod lstm;
mod no_season;
#[cfg(feature = "learned")]
mod onnx;
mod real_traces;
#[cfg(feature = "batch")]
mod selector;
mod signals;
mod surges;
mod ticks;
#[cfg(feature = "batch")]
mod verdict;

//! What the batch models promise: on published series, on the folds of a benchmark, and on input that is hard.
#![cfg(feature = "batch")]

mod arima_golden;
mod arima_laws;
mod changes;
mod common;
mod folds;
mod laws;
mod seasons;

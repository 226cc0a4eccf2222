//! What the batch models promise: on published series, on the folds of a benchmark, and on input that is hard.
#![cfg(feature = "batch")]

mod changes;
mod common;
mod folds;
mod laws;
mod seasons;

//! The demo: four backends, the ingress before them, load that heats up, and a look at what happens.
//!
//! Everything that takes part is a process of its own, so that what is shown is what a user would run. The scenario
//! is in [`setting`], [`run`](run::run) plays it once, `compare` plays the same recorded load three times.

mod child;
mod cluster;
mod compare;
mod config;
mod events;
mod live;
mod options;
mod run;
mod setting;
mod summary;
mod watch;

pub(crate) use cluster::Ready;
pub use options::{DemoOptions, demo};
pub use run::Approach;
pub use summary::{MoveCounts, Summary};

//! One pool: its loop and all that changes it.
//!
//! Each pool is one task that owns everything about it and takes turns: a round of the loop, a batch of events
//! of the ingress, a verdict of the health checks, a request of the API. Nothing is locked, and no two changes
//! of a pool can cross. [`PoolHandle`] hides the channel to that task.

mod adopt;
mod affinity;
mod agents;
mod configure;
mod expire;
mod handle;
mod log;
mod models;
mod nodes;
mod observe;
mod outliers;
mod own_signals;
mod plan;
mod reports;
mod routes;
mod runtime;
mod service;
mod settle;
mod state;
mod sweep;
mod units;
mod view;
mod wishes;

pub(crate) use configure::NewSettings;
pub(crate) use handle::{PoolHandle, Refusal};
pub(crate) use reports::Reports;
pub(crate) use runtime::info;
pub(crate) use service::start;
pub(crate) use state::Parts;

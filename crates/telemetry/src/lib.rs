//! What was measured, in the shapes that forecasts and plans need.
//!
//! The ingress reports counts over intervals; here they become rates and quantiles per node ([`NodeLoad`]), series
//! with bounded retention ([`NodeSeries`], [`Series`]), and smoothed loads of the keys and buckets that could be moved
//! ([`KeyLoads`]). The sketch that finds heavy keys ([`SpaceSaving`]) and the histogram of response times
//! ([`Latency`]) serve both the ingress, which fills them, and control, which reads them.
//!
//! What nodes say of themselves comes in formats of others, read by [`orca`], [`agent_check`] and [`prometheus`].
//!
//! Pure: values in, values out. Times are arguments in Unix milliseconds, and every structure has a bound. What
//! collects (scrapes, agents) is not here.

pub mod agent_check;
mod error;
mod figure;
mod guard;
mod latency;
mod node;
pub mod orca;
pub mod prometheus;
mod series;
mod signals;
mod sketch;
mod smooth;
mod sources;
mod units;

pub use error::Error;
pub use figure::{AMOUNT_MAX, FigureError, SHARE_MAX, figure};
pub use guard::LatencyGuard;
pub use latency::{Latency, LatencySummary};
pub use node::NodeLoad;
pub use series::{Level, Point, Series};
pub use signals::NodeSeries;
pub use sketch::{Heavy, SpaceSaving};
pub use sources::{Said, Sources};
pub use units::{KeyLoadOptions, KeyLoads, UnitKind, UnitLoad, UnitRate};

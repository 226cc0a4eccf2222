//! What was measured, in the shapes that forecasts and plans need.
//!
//! The sketch that finds heavy keys ([`SpaceSaving`]) and the histogram of response times ([`Latency`]) serve both the
//! ingress, which fills them, and control, which reads them.
//!
//! Pure: values in, values out. Times are arguments in Unix milliseconds, and every structure has a bound. What
//! collects (scrapes, agents) is not here.

mod error;
mod latency;
mod sketch;

pub use error::Error;
pub use latency::Latency;
pub use sketch::{Heavy, SpaceSaving};

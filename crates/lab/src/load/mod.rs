//! Open-loop load: computed ahead, sent when it is due, measured from then.
//!
//! A [`Scenario`] says how much each user sends when, a [`Schedule`] is one draw of it, and [`play`] sends it.
//! The same seed gives the same schedule, so that several runs answer the very same load. Latency counts from the
//! intended send time: a client that waits for a slow answer does not hide the wait (coordinated omission).

mod client;
mod player;
mod record;
mod scenario;
mod schedule;
mod shape;

pub(crate) use player::user;
pub use player::{PlayOptions, play};
pub use record::{Latency, Record, Sample};
pub use scenario::{Scenario, ScenarioOptions, Surge};
pub use schedule::{Item, Schedule};
pub use shape::{Trace, TraceError};

//! What forecasts would have been worth on a series' past.
//!
//! A back-test walks over a series once, step by step. At each step a [`Stepwise`] forecaster is shown that step's value
//! and asked for its prediction, which is scored at once against the values that follow and that it has not seen. Beside
//! it stand three forecasts that cost nothing, persistence, the seasonal naive one and a smoothed level, and, where a threshold is given, an
//! account of the [early warnings](EarlyWarning) that alarms on the forecast would have given, beside those of plain
//! alarms on the present. A [`Verdict`] says in plain words what that amounts to, no included.
//!
//! Time is that of the forecaster and some nanoseconds per step of the horizon; memory does not grow with the number of
//! origins, but for a few copies of the series.
//!
//! No files, no plots, no clock: a caller that wants to draw or to tell its progress is shown every [`Step`].

mod baseline;
mod error;
mod hint;
mod options;
mod periods;
mod report;
mod run;
mod scores;
mod stepwise;
mod tally;
mod verdict;
mod warning;

pub use error::Error;
pub use options::{Options, QUANTILES};
pub use periods::calendar_periods;
pub use report::{Report, Simple};
pub use run::{Step, run};
pub use scores::{HorizonScores, Scores};
pub use stepwise::{Online, Stepwise};
pub use tally::AlarmTally;
pub use verdict::{Answer, Verdict};
pub use warning::{Alarm, AlarmRow, EarlyWarning};

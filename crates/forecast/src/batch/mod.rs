//! Models for minutes to weeks ahead, fitted to a whole series.
//!
//! Each is a [`Fit`](crate::Fit): it takes one value a step without gaps, and finite values give finite forecasts. Values
//! are scaled inside, so that the unit of the series makes no difference. Intervals are each model's own, from its
//! assumptions; what is shown to people is calibrated elsewhere by what happened.

pub mod arima;

mod acf;
pub mod change;
mod decompose;
mod drift;
mod ets;
mod intermittent;
mod mstl;
mod naive;
pub mod outliers;
#[cfg(test)]
mod published;
mod scale;
pub mod season;
mod ses;
mod theta;

pub use arima::{Arima, ArimaOptions};
pub use drift::Drift;
pub use ets::Ets;
pub use intermittent::{Croston, Tsb};
pub use mstl::Mstl;
pub use naive::{Naive, SeasonalNaive};
pub use theta::Theta;

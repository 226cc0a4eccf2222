//! The models: each sees one observation a step and can be asked for a path at any time.

mod holt;
mod last_value;

pub use holt::Holt;
pub use last_value::LastValue;

/// A model of one series on a regular grid.
///
/// An online model does all its work in `update`, in constant time and without allocating.
///
/// Finite observations up to 1e100 in size give finite forecasts; larger ones, NaN and infinities are taken as missing.
/// Before the first observation the forecast is 0.
pub trait Forecaster {
    /// A short name, such as `holt_fast`; it reaches the API.
    fn name(&self) -> &str;

    /// Takes the next step's observation; `None` where nothing was seen, which still lets a step pass.
    fn update(&mut self, y: Option<f64>);

    /// Fills `path` with the expected values of the next steps: element 0 is one step ahead.
    fn forecast(&self, path: &mut [f64]);
}

/// Largest observation that is believed; beyond it squares overflow.
const BELIEVABLE_MAX: f64 = 1e100;

/// `None` for what no model can use.
pub(crate) fn believable(y: Option<f64>) -> Option<f64> {
    y.filter(|y| y.abs() <= BELIEVABLE_MAX)
}

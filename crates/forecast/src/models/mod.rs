//! The models: each sees one observation a step and can be asked for a path at any time.

mod autoregression;
mod holt;
mod lagged;
mod last_season;
mod last_value;
mod multivariate;
mod range;
mod rls;
mod seasonal;

use crate::Error;

pub use autoregression::Autoregression;
pub use holt::Holt;
pub use lagged::Lagged;
pub use last_season::LastSeason;
pub use last_value::LastValue;
pub use multivariate::Multivariate;
pub use seasonal::Seasonal;

/// A model of one series on a regular grid.
///
/// An online model does all its work in `update`, in constant time and without allocating. A model that is fitted
/// in batches answers `forecast` from its latest fit and is fitted elsewhere.
///
/// Finite observations up to 1e100 in size give finite forecasts; larger ones, NaN and infinities are taken as missing.
/// Before the first observation the forecast is 0.
pub trait Forecaster: Send {
    /// A short name, such as `holt_fast`; it reaches the API.
    fn name(&self) -> &str;

    /// Takes the next step's observation; `None` where nothing was seen, which still lets a step pass.
    fn update(&mut self, y: Option<f64>);

    /// As [`update`](Self::update), with what else was measured in this step: as many elements each time and in the same
    /// order, none where nothing was. A model that knows only the series itself leaves this as it is.
    fn update_with(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        let _ = signals;
        self.update(y);
    }

    /// Fills `path` with the expected values of the next steps: element 0 is one step ahead.
    fn forecast(&self, path: &mut [f64]);

    /// Forgets all observations, as if newly made: the series begins anew.
    fn reset(&mut self);

    /// Tells that the series repeats every `period_steps` (2 to [`PERIOD_STEPS_MAX`]), or that it no longer does.
    ///
    /// A model that begins anew because of it answers true, and is then shown the recent observations again through
    /// `update`, oldest first, so that it is judged by what it would have forecast.
    fn set_period(&mut self, period_steps: Option<usize>) -> bool {
        let _ = period_steps;
        false
    }

    /// False while the model has nothing of its own to say; its forecasts are then neither used nor judged.
    fn is_ready(&self) -> bool {
        true
    }

    /// Why the model was dropped, for people: it is never ready again. Models of ours have no such end; one that was
    /// brought in a file can fail while it runs.
    fn fault(&self) -> Option<&str> {
        None
    }
}

/// Longest period that models and detection know, in steps.
pub const PERIOD_STEPS_MAX: usize = 128;

/// Largest observation that is believed; beyond it squares overflow.
const BELIEVABLE_MAX: f64 = 1e100;

/// `None` for what no model can use.
pub(crate) fn believable(y: Option<f64>) -> Option<f64> {
    y.filter(|y| y.abs() <= BELIEVABLE_MAX)
}

/// Most steps back that a model is made to look: nineteen years of days, two of minutes.
const LAG_MAX: usize = 1 << 20;

/// A setting brought into its range; what is no number becomes the lowest, which `clamp` would let through.
fn within(setting: f64, low: f64, high: f64) -> f64 {
    setting.max(low).min(high)
}

/// What [`PredictorOptions::model`](crate::PredictorOptions::model) may be.
const KINDS: &[&str] = &["auto", "last_value", "holt", "ar", "seasonal"];

/// The models of one kind, persistence first, and the index of the first that is meant to have a weight.
pub(crate) fn members(kind: String) -> Result<(Vec<Box<dyn Forecaster>>, usize), Error> {
    let wanted = |kinds: &[&str]| kinds.contains(&kind.as_str());
    if !wanted(KINDS) {
        return Err(Error::Model {
            name: kind,
            known: KINDS,
        });
    }
    let mut members: Vec<Box<dyn Forecaster>> = vec![Box::new(LastValue::default())];
    if wanted(&["auto", "holt"]) {
        members
            .extend([Holt::slow(), Holt::medium(), Holt::fast()].map(|m| Box::new(m) as Box<dyn Forecaster>));
    }
    if wanted(&["auto", "ar", "seasonal"]) {
        members.push(Box::new(Autoregression::of_order_4()));
    }
    if wanted(&["auto", "ar"]) {
        members.push(Box::new(Autoregression::of_order_8()));
    }
    if wanted(&["auto", "seasonal"]) {
        members.push(Box::new(Seasonal::new()));
    }
    let only_persistence = members.len() == 1;
    Ok((members, usize::from(!only_persistence && !wanted(&["auto"]))))
}

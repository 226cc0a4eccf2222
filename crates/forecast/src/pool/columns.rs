//! What stands where in a row of pending forecasts.

use super::settings::{Profile, Settings};

/// Where things stand in a row of what is pending: members first.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) point: usize,
    /// The first of as many as there are quantiles.
    pub(super) quantiles: usize,
    /// The first of two, where the bands have several windows.
    pub(super) units: Option<usize>,
    pub(super) count: usize,
}

impl Columns {
    pub(super) fn of(members: usize, settings: &Settings) -> Self {
        let quantiles = members + 1;
        let end = quantiles + settings.quantiles.len();
        let units = (settings.profile == Profile::Thorough).then_some(end);
        Self {
            point: members,
            quantiles,
            units,
            count: end + if units.is_some() { 2 } else { 0 },
        }
    }
}

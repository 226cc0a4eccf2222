//! Which members of the pool are fitted, what became of them, and when the next fit is due.

use std::sync::Arc;

use super::member::Place;
use crate::{Fit, Forecaster};

/// The members that are fitted, and when they were.
pub(super) struct Slots {
    /// The first of them in the pool; the others follow.
    pub(super) first: usize,
    pub(super) fits: Vec<Arc<dyn Fit>>,
    pub(super) states: Vec<State>,
    /// Steps since the newest fit, or since the beginning.
    pub(super) since: u64,
    /// Steps after which seasons are looked for.
    pub(super) seasons_at: u64,
    pub(super) is_under_way: bool,
    /// Rises when the pool begins anew: what was fitted before is of no use.
    pub(super) generation: u64,
}

/// What became of one kind of model.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Not tried yet.
    New,
    /// In the pool.
    Fitted,
    /// It does not suit the series, for this reason.
    Refused(String),
}

/// The first fit comes after so many steps.
pub(super) const FIRST_FIT_STEPS: u64 = 64;
/// The next fit comes when the series has grown by this share, within bounds.
const GROWTH: u64 = 4;
const REFIT_STEPS_MAX: u64 = 10_000;

impl Slots {
    pub(super) fn new(first: usize, fits: Vec<Arc<dyn Fit>>) -> Self {
        Self {
            first,
            states: vec![State::New; fits.len()],
            fits,
            since: 0,
            seasons_at: FIRST_FIT_STEPS,
            is_under_way: false,
            generation: 0,
        }
    }

    /// What stands in the pool until something was fitted.
    pub(super) fn places(&self) -> impl Iterator<Item = Box<dyn Forecaster>> + '_ {
        let place = |fit: &Arc<dyn Fit>| Box::new(Place(fit.name().to_owned())) as Box<dyn Forecaster>;
        self.fits.iter().map(place)
    }

    pub(super) fn clear(&mut self) {
        self.generation += 1;
        self.states.fill(State::New);
        (self.since, self.is_under_way) = (0, false);
    }

    /// Goes on where `older` was, with another pool.
    pub(super) fn follow(&mut self, older: &Self) {
        (self.generation, self.seasons_at) = (older.generation, older.seasons_at);
    }

    /// Lets the next fit be due now.
    pub(super) fn hasten(&mut self) {
        self.since = REFIT_STEPS_MAX;
    }

    /// True where the series, now of so many steps, has grown enough since.
    pub(super) fn is_due(&self, steps: u64) -> bool {
        !self.is_under_way && self.since >= (steps / GROWTH).clamp(FIRST_FIT_STEPS, REFIT_STEPS_MAX)
    }

    pub(super) fn step(&mut self) {
        self.since += 1;
    }

    /// By member of the pool, why a kind is not in it.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (usize, &str)> {
        let states = self.states.iter().enumerate();
        states.filter_map(|(i, state)| match state {
            State::Refused(reason) => Some((self.first + i, reason.as_str())),
            _ => None,
        })
    }

    pub(super) fn is_new(&self) -> bool {
        self.states.iter().all(|state| *state != State::Fitted)
    }
}

//! Models that are fitted in batches, as members of a pool.
//!
//! A first fit leaves out the newest part of the series: the model is shown that part step by step, and has a record
//! when it comes. Later fits use everything, and keep the record of their kind.

use std::sync::Arc;

use super::Selector;
use crate::{Fit, FitError, Fitted, Forecaster};

/// A fit that is due: all that it needs, to be run on any thread.
pub struct Refit {
    fits: Vec<Arc<dyn Fit>>,
    /// Without gaps, oldest first, in the selector's unit.
    values: Vec<f64>,
    /// Newest values that are left out.
    tail: usize,
    at_step: u64,
    generation: u64,
}

/// What came of a [`Refit`].
pub struct Refits {
    fitted: Vec<Result<Box<dyn Fitted>, FitError>>,
    tail: usize,
    at_step: u64,
    generation: u64,
}

impl Refit {
    /// Fits all models; tens of milliseconds for some thousand values.
    pub fn run(self) -> Refits {
        let train = &self.values[..self.values.len() - self.tail];
        Refits {
            fitted: self.fits.iter().map(|fit| fit.fit(train)).collect(),
            tail: self.tail,
            at_step: self.at_step,
            generation: self.generation,
        }
    }
}

/// The members that are fitted, and when they were.
pub(super) struct Slots {
    /// The first of them in the pool; the others follow.
    first: usize,
    fits: Vec<Arc<dyn Fit>>,
    states: Vec<State>,
    /// Steps since the newest fit, or since the beginning.
    since: u64,
    is_under_way: bool,
    /// Rises when the pool begins anew: what was fitted before is of no use.
    generation: u64,
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

/// Fewest values for a first fit.
const FIRST_FIT_STEPS: u64 = 64;
/// The next fit comes when the series has grown by this share, within bounds.
const GROWTH: u64 = 4;
const REFIT_STEPS_MAX: u64 = 2_000;
/// Share of the values, and most of them, that judge a first fit.
const TAIL_SHARE: usize = 5;
const TAIL_MAX: usize = 200;

impl Slots {
    pub(super) fn new(first: usize, fits: Vec<Arc<dyn Fit>>) -> Self {
        Self {
            first,
            states: vec![State::New; fits.len()],
            fits,
            since: 0,
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

    fn is_new(&self) -> bool {
        self.states.iter().all(|state| *state != State::Fitted)
    }
}

impl Selector {
    /// A fit that is now due, if one is: the first after 64 values, then whenever the series has grown by a quarter, at
    /// the latest after 2,000 steps. Until its result is accepted, no other is due.
    pub fn refit_due(&mut self) -> Option<Refit> {
        let growth = (self.history.steps / GROWTH).clamp(FIRST_FIT_STEPS, REFIT_STEPS_MAX);
        if self.slots.is_under_way || self.slots.since < growth || self.seen < FIRST_FIT_STEPS {
            return None;
        }
        self.prepare()
    }

    /// Fits all models that can be fitted, now and on this thread.
    pub fn refit(&mut self) {
        if let Some(refit) = self.prepare() {
            self.accept(refit.run());
        }
    }

    fn prepare(&mut self) -> Option<Refit> {
        if self.slots.fits.is_empty() || self.seen < super::SEEN_MIN {
            return None;
        }
        let values = self.filled();
        let tail = if self.slots.is_new() {
            (values.len() / TAIL_SHARE).clamp((2 * self.options.horizon).min(TAIL_MAX), TAIL_MAX)
        } else {
            0
        };
        self.slots.is_under_way = true;
        self.slots.since = 0;
        Some(Refit {
            fits: self.slots.fits.clone(),
            tail: tail.min(values.len() / 2),
            values,
            at_step: self.history.steps,
            generation: self.slots.generation,
        })
    }

    /// The newest values that a fit may have, in the pool's unit; gaps hold the value before them.
    fn filled(&self) -> Vec<f64> {
        let values = &self.history.values;
        let longest = self.periods.last().copied().unwrap_or(0);
        let wanted = self.options.fit_steps.max(2 * longest).min(values.len());
        let newest = values.range(values.len() - wanted..);
        let mut last = newest.clone().copied().find(|y| !y.is_nan()).unwrap_or(0.0);
        newest
            .map(|&y| {
                if !y.is_nan() {
                    last = y;
                }
                self.unit.shrink(last)
            })
            .collect()
    }

    /// Takes what was fitted; dropped where the selector has begun anew since.
    pub fn accept(&mut self, refits: Refits) {
        if refits.generation != self.slots.generation {
            return;
        }
        self.slots.is_under_way = false;
        let elapsed = (self.history.steps - refits.at_step) as usize + refits.tail;
        for (slot, fitted) in refits.fitted.into_iter().enumerate() {
            match fitted {
                Ok(fitted) => self.install(slot, fitted, elapsed),
                Err(error) => self.slots.states[slot] = State::Refused(error.to_string()),
            }
        }
        self.pool.reconsider();
    }

    /// Puts a fitted model in its place and shows it the newest `elapsed` steps.
    fn install(&mut self, slot: usize, fitted: Box<dyn Fitted>, elapsed: usize) {
        let member = self.slots.first + slot;
        let is_first = self.slots.states[slot] != State::Fitted;
        self.slots.states[slot] = State::Fitted;
        let (history, unit) = (&self.history, self.unit);
        let ago = |age: usize| history.ago(age).map(|y| unit.shrink(y));
        let mut model = Box::new(Batch::new(fitted));
        if is_first {
            self.pool.replace(member, model);
            self.pool.replay(member, elapsed.min(history.values.len()), ago);
        } else {
            (0..elapsed).rev().for_each(|age| model.update(ago(age)));
            self.pool.replace(member, model);
        }
    }
}

/// Holds a place until something was fitted.
struct Place(String);

impl Forecaster for Place {
    fn name(&self) -> &str {
        &self.0
    }

    fn update(&mut self, _: Option<f64>) {}

    fn forecast(&self, path: &mut [f64]) {
        path.fill(0.0);
    }

    fn reset(&mut self) {}

    fn is_ready(&self) -> bool {
        false
    }
}

/// A fitted model, step by step.
struct Batch {
    name: String,
    fitted: Option<Box<dyn Fitted>>,
    /// Steps that it could not take in.
    behind: usize,
}

/// A model that cannot be updated is no longer asked so many steps after its fit.
const BEHIND_MAX: usize = 4_000;

impl Batch {
    fn new(fitted: Box<dyn Fitted>) -> Self {
        Self {
            name: fitted.name().to_owned(),
            fitted: Some(fitted),
            behind: 0,
        }
    }
}

impl Forecaster for Batch {
    fn name(&self) -> &str {
        &self.name
    }

    fn update(&mut self, y: Option<f64>) {
        if let Some(fitted) = &mut self.fitted
            && !fitted.update(y)
        {
            self.behind += 1;
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        let Some(fitted) = &self.fitted else {
            path.fill(0.0);
            return;
        };
        let prediction = fitted.predict(self.behind + path.len(), &[]);
        path.copy_from_slice(&prediction.point()[self.behind..]);
    }

    fn reset(&mut self) {
        self.fitted = None;
    }

    fn is_ready(&self) -> bool {
        self.fitted.is_some() && self.behind <= BEHIND_MAX
    }
}

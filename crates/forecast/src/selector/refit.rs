//! Fits of batch models, and how their results come into the pool.
//!
//! A first fit leaves out the newest part of the series: the model is shown that part step by step, and has a record
//! when it comes. Later fits use everything, and keep the record of their kind.

use std::sync::Arc;

use super::{
    Selector,
    member::Batch,
    slots::{FIRST_FIT_STEPS, State},
};
use crate::{Fit, FitError, Fitted, Forecaster};

/// Share of the values, and most of them, that judge a first fit.
const TAIL_SHARE: usize = 5;
const TAIL_MAX: usize = 200;

/// A fit that is due: all that it needs, to be run on any thread.
pub struct Refit {
    fits: Vec<Arc<dyn Fit>>,
    /// Without gaps, oldest first, in the selector's unit.
    values: Vec<f64>,
    /// Newest values that are left out.
    tail: usize,
    /// All that is remembered, where seasons are to be looked for.
    remembered: Option<Vec<f64>>,
    at_step: u64,
    generation: u64,
}

/// What came of a [`Refit`].
pub struct Refits {
    fitted: Vec<Result<Box<dyn Fitted>, FitError>>,
    tail: usize,
    periods: Option<Vec<usize>>,
    at_step: u64,
    generation: u64,
}

impl Refit {
    /// Fits all models; tens of milliseconds for some thousand values.
    pub fn run(self) -> Refits {
        let train = trainable(&self.values[..self.values.len() - self.tail]);
        Refits {
            fitted: self.fits.iter().map(|fit| fit.fit(&train)).collect(),
            tail: self.tail,
            periods: self.remembered.as_deref().map(strongest_periods),
            at_step: self.at_step,
            generation: self.generation,
        }
    }
}

/// Newest values that are never drawn in: forecasts begin from them.
#[cfg(feature = "batch")]
const AS_THEY_ARE: usize = 16;

/// Without outliers, which would bend every parameter.
#[cfg(feature = "batch")]
fn trainable(values: &[f64]) -> Vec<f64> {
    let mut train = crate::batch::outliers::clip(values).values;
    let newest = values.len().saturating_sub(AS_THEY_ARE);
    train[newest..].copy_from_slice(&values[newest..]);
    train
}

#[cfg(not(feature = "batch"))]
fn trainable(values: &[f64]) -> Vec<f64> {
    values.to_vec()
}

/// Periods that the models of a selector reckon with, when it found them itself.
#[cfg(feature = "batch")]
const FOUND_MAX: usize = 2;

#[cfg(feature = "batch")]
fn strongest_periods(values: &[f64]) -> Vec<usize> {
    let mut seasons = crate::batch::season::detect(values);
    seasons.retain(|season| season.period <= super::SelectorOptions::PERIOD_MAX);
    seasons.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let mut periods: Vec<usize> = seasons
        .iter()
        .take(FOUND_MAX)
        .map(|season| season.period)
        .collect();
    periods.sort_unstable();
    periods
}

#[cfg(not(feature = "batch"))]
fn strongest_periods(_: &[f64]) -> Vec<usize> {
    Vec::new()
}

impl Selector {
    /// A fit that is now due, if one is: the first after 64 values, then whenever the series has grown by a quarter, at
    /// the latest after 10,000 steps. Until its result is accepted, no other is due.
    pub fn refit_due(&mut self) -> Option<Refit> {
        if !self.slots.is_due(self.history.steps) || self.seen < FIRST_FIT_STEPS {
            return None;
        }
        self.prepare()
    }

    /// Fits all models that can be fitted, now and on this thread; looks for seasons first where that is due.
    pub fn refit(&mut self) {
        let generation = self.slots.generation;
        if let Some(refit) = self.prepare() {
            self.accept(refit.run());
        }
        // Other seasons, other models: nothing was fitted yet.
        if generation != self.slots.generation
            && let Some(refit) = self.prepare()
        {
            self.accept(refit.run());
        }
    }

    fn prepare(&mut self) -> Option<Refit> {
        let looks_for_seasons = self.options.periods.is_empty()
            && self.options.model != "last_value"
            && self.history.steps >= self.slots.seasons_at;
        if (self.slots.fits.is_empty() && !looks_for_seasons) || self.seen < super::SEEN_MIN {
            return None;
        }
        let longest = self.periods.last().copied().unwrap_or(0);
        let values = self.filled(self.options.fit_steps.max(2 * longest));
        let remembered = looks_for_seasons.then(|| self.filled(usize::MAX));
        if looks_for_seasons {
            self.slots.seasons_at = self.history.steps.saturating_mul(2);
        }
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
            remembered,
            at_step: self.history.steps,
            generation: self.slots.generation,
        })
    }

    /// The newest values, `steps` at most, in the pool's unit; gaps hold the value before them.
    fn filled(&self, steps: usize) -> Vec<f64> {
        let values = &self.history.values;
        let newest = values.range(values.len() - steps.min(values.len())..);
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

    /// Takes what was fitted; dropped where the selector has begun anew since. Where a season is new, its models are shown
    /// all that is remembered, which takes some 10 µs a step.
    pub fn accept(&mut self, refits: Refits) {
        if refits.generation != self.slots.generation {
            return;
        }
        self.slots.is_under_way = false;
        if let Some(periods) = refits.periods.filter(|periods| !is_alike(periods, &self.periods)) {
            self.set_periods(periods);
            return;
        }
        // What came in meanwhile, as far as it is remembered.
        let elapsed = (self.history.steps - refits.at_step) as usize + refits.tail;
        let elapsed = elapsed.min(self.history.values.len());
        for (slot, fitted) in refits.fitted.into_iter().enumerate() {
            match fitted {
                Ok(fitted) => self.install(slot, fitted, elapsed),
                // One that was fitted before goes on as it was.
                Err(_) if self.slots.states[slot] == State::Fitted => {}
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
            self.pool.replay(member, elapsed, ago);
        } else {
            (0..elapsed).rev().for_each(|age| model.update(ago(age)));
            self.pool.replace(member, model);
        }
    }
}

/// Periods so close that models of one serve the other are the same.
fn is_alike(found: &[usize], known: &[usize]) -> bool {
    let is_near = |(a, b): (&usize, &usize)| a.abs_diff(*b) * 200 <= *b;
    found.len() == known.len() && found.iter().zip(known).all(is_near)
}

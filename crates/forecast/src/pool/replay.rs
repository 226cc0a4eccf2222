//! A model that begins anew, because a season was found, is replayed the recent past.
//!
//! Otherwise it would be without a record just when it is needed: the next surge is less than a period away.

use super::{ERRORS_MIN, Pool};
use crate::{error_mean::ErrorMean, history::History, residuals::Residuals};

/// Residuals that a replay must give before they replace those of the pool.
const REPLAY_MIN: usize = 20;
/// Errors that a replay gives at the end of the horizon, where periods are short.
const REPLAY_JUDGED: usize = 30;

impl Pool {
    /// Tells the models the series' period. One that begins anew is replayed the recent history and judged by that;
    /// where it does better than all others it also brings its residuals, so that the band does not stay as wide as
    /// it was. True where a model began anew.
    pub(crate) fn set_period(&mut self, period_steps: Option<usize>, history: &History) -> bool {
        let mut is_new = false;
        for m in 0..self.members.len() {
            if self.members[m].set_period(period_steps) {
                self.replay(m, history, period_steps.unwrap_or(0));
                is_new = true;
            }
        }
        is_new
    }

    fn replay(&mut self, m: usize, history: &History, period_steps: usize) {
        let (count, anchors) = (self.members.len(), self.bands.len());
        for a in 0..anchors {
            self.errors[a * count + m] = ErrorMean::default();
            self.pending.rows(a).for_each(|row| row[m] = f32::NAN);
        }
        let mut residuals: Vec<_> = self
            .horizons
            .anchors()
            .iter()
            .map(|&h| Residuals::new(h))
            .collect();
        let replayed = history.len().min(self.replay_steps(period_steps));
        for (i, y) in history.iter().enumerate().skip(history.len() - replayed) {
            let age = history.len() - i;
            for (a, residuals) in residuals.iter_mut().enumerate() {
                let forecast = self.pending.row_at(a, age)[m];
                if let Some(y) = y.filter(|_| !forecast.is_nan()) {
                    self.errors[a * count + m].add((y - f64::from(forecast)).abs());
                    residuals.push(y - f64::from(forecast));
                }
            }
            self.members[m].update(y);
            self.note_replayed(m, age);
        }
        for (a, residuals) in residuals.into_iter().enumerate() {
            self.take_over(m, a, residuals);
        }
    }

    /// The last two periods, one to learn from and one to be judged by, more where those are short. Not the whole
    /// history: the pattern may be younger than that.
    fn replay_steps(&self, period_steps: usize) -> usize {
        period_steps + period_steps.max(self.steps() + REPLAY_JUDGED)
    }

    fn note_replayed(&mut self, m: usize, age: usize) {
        let ready = self.members[m].is_ready();
        if ready {
            self.members[m].forecast(&mut self.scratch);
        }
        for (a, &h) in self.horizons.anchors().iter().enumerate() {
            self.pending.row_at(a, age)[m] = if ready {
                self.scratch[h - 1] as f32
            } else {
                f32::NAN
            };
        }
    }

    fn take_over(&mut self, m: usize, a: usize, residuals: Residuals) {
        let count = self.members.len();
        let errors = &self.errors[a * count..(a + 1) * count];
        let mean = |m: usize| errors[m].mean(ERRORS_MIN).unwrap_or(f64::INFINITY);
        let best = (0..count).all(|other| mean(m) <= mean(other)) && mean(m).is_finite();
        if !best || residuals.len() < REPLAY_MIN {
            return;
        }
        self.bands[a].replace(residuals, &self.quantiles);
        for row in self.pending.rows(a) {
            row[count] = row[m];
            row[count + 1..].fill(f32::NAN);
        }
    }
}

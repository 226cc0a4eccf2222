//! A model that begins anew, because a season was found, is replayed the recent past.
//!
//! Otherwise it would be without a record just when it is needed: the next surge is less than a period away.

use super::{ERRORS_MIN, Pool, Standing};
use crate::{history::History, models::Forecaster};

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
                let replayed = history.len().min(self.replay_steps(period_steps.unwrap_or(0)));
                let residuals = self.replay(m, replayed, |age| history.ago(age));
                for (a, residuals) in residuals.into_iter().enumerate() {
                    self.take_over(m, a, &residuals);
                }
                is_new = true;
            }
        }
        is_new
    }

    /// Shows member `m` the newest `steps` again, oldest first, and judges it by them alone. Returns its errors by anchor.
    pub(crate) fn replay(
        &mut self,
        m: usize,
        steps: usize,
        ago: impl Fn(usize) -> Option<f64>,
    ) -> Vec<Vec<f64>> {
        let (count, anchors) = (self.members.len(), self.bands.len());
        for a in 0..anchors {
            self.standings[a * count + m] = Standing::default();
            self.pending.rows(a, |mut row| row.set(m, f64::NAN));
        }
        let mut residuals = vec![Vec::new(); anchors];
        for age in (1..=steps).rev() {
            let y = ago(age - 1);
            if let Some(y) = y {
                self.judge_replayed(m, age, y, &mut residuals);
            }
            self.members[m].update(y);
            self.note_replayed(m, age);
        }
        residuals
    }

    /// Puts another model in the place of member `m`; the record stays.
    pub(crate) fn replace(&mut self, m: usize, model: Box<dyn Forecaster>) {
        self.members[m] = model;
    }

    /// The last two periods, one to learn from and one to be judged by, more where those are short. Not the whole
    /// history: the pattern may be younger than that.
    fn replay_steps(&self, period_steps: usize) -> usize {
        period_steps + period_steps.max(self.steps() + REPLAY_JUDGED)
    }

    fn judge_replayed(&mut self, m: usize, age: usize, y: f64, residuals: &mut [Vec<f64>]) {
        let (count, selection) = (self.members.len(), self.settings.selection);
        for (a, residuals) in residuals.iter_mut().enumerate() {
            let error = y - self.pending.row_at(a, age).get(m);
            if !error.is_nan() {
                self.standings[a * count + m].add(error, selection, self.settings.error_kept());
                residuals.push(error);
            }
        }
    }

    fn note_replayed(&mut self, m: usize, age: usize) {
        let is_ready = self.ask(m);
        for (a, &h) in self.horizons.anchors().iter().enumerate() {
            let forecast = if is_ready { self.scratch[h - 1] } else { f64::NAN };
            self.pending.row_at(a, age).set(m, forecast);
        }
    }

    fn take_over(&mut self, m: usize, a: usize, residuals: &[f64]) {
        let columns = self.columns();
        let count = self.members.len();
        let standings = &self.standings[a * count..(a + 1) * count];
        let loss = |m: usize| standings[m].loss(ERRORS_MIN).unwrap_or(f64::INFINITY);
        let best = (0..count).all(|other| loss(m) <= loss(other)) && loss(m).is_finite();
        if !best || residuals.len() < REPLAY_MIN {
            return;
        }
        self.bands[a].replace(residuals);
        self.pending.rows(a, |mut row| {
            let forecast = row.get(m);
            row.set(columns.point, forecast);
            (0..self.settings.quantiles.len()).for_each(|i| row.set(columns.quantiles + i, f64::NAN));
        });
    }
}

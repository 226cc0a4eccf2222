//! The early-warning account of a threshold: what alarms on the forecast would have given, and plain alarms on the
//! present beside them.
//!
//! A plain alarm at the threshold itself comes with the overload and foresees nothing, by definition; one further down
//! may foresee as much as any forecast. So levels from half of the threshold on are all tried, and the best of them in
//! hindsight is what a forecast has to beat.
//!
//! An alarm that is on in vain for more than a quarter of the calm time is no candidate for the best, however much it
//! foresees: nobody can act on it.

use super::{
    hint,
    tally::{AlarmTally, Events, Phase},
};
use crate::Prediction;

/// A kind of alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Alarm {
    /// On while the path of a quantile is above the threshold at any step within the horizon.
    Predicted {
        /// Its probability, 0.5 or more.
        quantile: f64,
    },
    /// On while the newest value is above a share of the threshold.
    Present {
        /// The share, 0.5 to 1.
        share: f64,
    },
}

/// An alarm and how it did.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmRow {
    /// Which alarm.
    pub alarm: Alarm,
    /// What it foresaw and what not.
    pub tally: AlarmTally,
}

/// Share of the calm time that an alarm may be on in vain.
const VAIN_MAX: f64 = 0.25;

impl AlarmRow {
    /// Whether it is off for most of the calm time that no overload follows, so that it tells something when it is on.
    pub fn is_candidate(&self) -> bool {
        self.tally.vain_share() <= VAIN_MAX
    }
}

/// Overloads, and how each alarm did on them.
///
/// An overload begins with a value above the threshold and ends when none has been above it for `rest_steps`.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyWarning {
    /// What is an overload: a value above.
    pub threshold: f64,
    /// An overload ends after so many steps at or under the threshold: a quarter of the horizon.
    pub rest_steps: usize,
    /// Overloads that began in the scored part.
    pub overloads: u64,
    /// The highest value in the scored part.
    pub highest: f64,
    /// Share of the scored values that are above the threshold, 0 to 1.
    pub above_share: f64,
    /// Where overloads are under three or nearly all the time: a threshold with some ten, or with three at least.
    pub suggestion: Option<f64>,
    /// Alarms on each quantile from the median on, then plain ones by rising level.
    pub rows: Vec<AlarmRow>,
}

impl EarlyWarning {
    /// The alarm on one quantile's path.
    pub fn predicted(&self, quantile: f64) -> Option<&AlarmRow> {
        self.rows.iter().find(|row| match row.alarm {
            Alarm::Predicted { quantile: q } => (q - quantile).abs() < 1e-9,
            Alarm::Present { .. } => false,
        })
    }

    /// The alarm on the present at a share of the threshold.
    pub fn present(&self, share: f64) -> Option<&AlarmRow> {
        self.rows.iter().find(|row| match row.alarm {
            Alarm::Present { share: other } => (other - share).abs() < 1e-9,
            Alarm::Predicted { .. } => false,
        })
    }

    /// The best alarm on any quantile's path, by [`AlarmTally::score`], of those that are on in vain for a
    /// quarter of the calm time or less.
    pub fn best_predicted(&self) -> Option<&AlarmRow> {
        self.best(|alarm| matches!(alarm, Alarm::Predicted { .. }))
    }

    /// The best plain alarm, by [`AlarmTally::score`], of those that are on in vain for a quarter of the calm
    /// time or less.
    pub fn best_present(&self) -> Option<&AlarmRow> {
        self.best(|alarm| matches!(alarm, Alarm::Present { .. }))
    }

    /// Whether there were enough overloads to tell anything of.
    pub(super) fn has_enough(&self) -> bool {
        self.overloads >= hint::OVERLOADS_MIN
    }

    /// Whether the load is above the threshold nearly always.
    pub(super) fn is_mostly_above(&self) -> bool {
        self.above_share > hint::ABOVE_MAX
    }

    fn best(&self, is_wanted: impl Fn(Alarm) -> bool) -> Option<&AlarmRow> {
        let is_candidate = |row: &&AlarmRow| is_wanted(row.alarm) && row.is_candidate();
        let wanted = self.rows.iter().filter(is_candidate);
        wanted.max_by(|a, b| a.tally.score().total_cmp(&b.tally.score()))
    }
}

/// Keeps the account while a back-test goes on.
#[derive(Debug)]
pub(super) struct Watch {
    events: Events,
    account: EarlyWarning,
    /// Which of a prediction's quantiles the first rows look at.
    paths: Vec<usize>,
}

impl Watch {
    pub(super) fn new(threshold: f64, horizon: usize, quantiles: &[f64]) -> Self {
        let paths: Vec<usize> = (0..quantiles.len()).filter(|&i| quantiles[i] >= 0.5).collect();
        let predicted = paths.iter().map(|&i| Alarm::Predicted {
            quantile: quantiles[i],
        });
        // Under a threshold of 0 or less a share of it lies above it.
        let lowest = if threshold > 0.0 { 25 } else { 50 };
        let present = (lowest..=50).map(|share| Alarm::Present {
            share: f64::from(share) / 50.0,
        });
        let row = |alarm| AlarmRow {
            alarm,
            tally: AlarmTally::new(horizon),
        };
        let rest_steps = horizon.div_ceil(4);
        Self {
            events: Events::new(threshold, rest_steps),
            account: EarlyWarning {
                threshold,
                rest_steps,
                overloads: 0,
                highest: f64::NAN,
                above_share: 0.0,
                suggestion: None,
                rows: predicted.chain(present).map(row).collect(),
            },
            paths,
        }
    }

    /// Step `now`; `newest` is its value, or the last before where it is missing. Answers whether `shown`, the index of
    /// a quantile, has its alarm on.
    pub(super) fn observe(
        &mut self,
        now: usize,
        y: Option<f64>,
        newest: f64,
        prediction: Option<&Prediction>,
    ) {
        let phase = self.events.observe(y);
        let account = &mut self.account;
        account.overloads += u64::from(phase == Phase::Begins);
        let threshold = account.threshold;
        for (i, row) in account.rows.iter_mut().enumerate() {
            let is_on = match row.alarm {
                Alarm::Present { share } => newest > share * threshold,
                Alarm::Predicted { .. } => crosses(prediction, self.paths[i], threshold),
            };
            row.tally.observe(now, phase, is_on);
        }
    }

    /// What was found; `values` are those that were observed.
    pub(super) fn account(self, values: &[f64]) -> EarlyWarning {
        let mut account = self.account;
        let mut sorted: Vec<f64> = values.iter().copied().filter(|y| !y.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let above = sorted.iter().filter(|y| **y > account.threshold).count();
        account.highest = sorted.last().copied().unwrap_or(f64::NAN);
        account.above_share = above as f64 / sorted.len().max(1) as f64;
        if !account.has_enough() || account.is_mostly_above() {
            account.suggestion = hint::threshold(values, &sorted, account.rest_steps);
        }
        account
    }
}

/// Whether a quantile's path is above the threshold at any step.
fn crosses(prediction: Option<&Prediction>, path: usize, threshold: f64) -> bool {
    let path = prediction.and_then(|prediction| prediction.quantiles().get(path));
    path.is_some_and(|(_, path)| path.iter().any(|y| *y > threshold))
}

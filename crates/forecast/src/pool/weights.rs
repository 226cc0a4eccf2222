//! How much each model counts, by what became of its forecasts.

use super::{ERRORS_MIN, Pool};

/// How fast a model's weight falls with its loss: `exp(−8 (loss / best − 1))`.
const SHARPNESS: f64 = 8.0;
/// A model so much worse has no weight at all, rather than one of 1e-7.
const WORSE_BY_MAX: f64 = 16.0;
/// Losses under this are as good as none: a constant load is forecast by all alike.
const LOSS_MIN: f64 = 1e-9;

impl Pool {
    /// Sets each model's weight at each anchor; those at one anchor sum to 1.
    pub(super) fn weigh(&mut self) {
        let count = self.members.len();
        let ready = |m: usize| self.members[m].is_ready();
        let rows = self.standings.chunks(count).zip(self.weights.chunks_mut(count));
        for (standings, weights) in rows {
            // First each weight is its model's loss, infinite where it may have none.
            for (m, (weight, standing)) in weights.iter_mut().zip(standings).enumerate() {
                let loss = standing
                    .loss(ERRORS_MIN)
                    .filter(|_| m >= self.first_weighed && ready(m));
                *weight = loss.unwrap_or(f64::INFINITY);
            }
            let best = weights.iter().copied().fold(f64::INFINITY, f64::min);
            if best == f64::INFINITY {
                unproven(weights, self.first_weighed, ready);
                continue;
            }
            let scale = SHARPNESS / best.max(LOSS_MIN);
            for weight in weights.iter_mut() {
                let worse_by = (*weight - best) * scale;
                *weight = if worse_by < WORSE_BY_MAX {
                    (-worse_by).exp()
                } else {
                    0.0
                };
            }
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
}

/// Weights before any model has a record: persistence in a mixed pool, else the wanted kind.
fn unproven(weights: &mut [f64], first_weighed: usize, ready: impl Fn(usize) -> bool) {
    let wanted = |m: &usize| first_weighed > 0 && *m >= first_weighed && ready(*m);
    let count = (0..weights.len()).filter(wanted).count();
    for (m, weight) in weights.iter_mut().enumerate() {
        *weight = if wanted(&m) { 1.0 / count as f64 } else { 0.0 };
    }
    if count == 0 {
        weights[0] = 1.0;
    }
}

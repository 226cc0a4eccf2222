//! The three forecasts that cost nothing: the last value, the value one season before, and the mean of the last values.
//!
//! The last is what to expect of noise, against which the last value is off by √2 too much: without it, any forecast that
//! says the mean would seem to foresee something.
//!
//! All have bands, or a comparison of quantile losses would be no comparison: normal ones, as wide as their own recent
//! errors at each distance. The spread is from mean absolute errors, which neither overflow nor vanish where squares do.

use crate::normal::{self, DEVIATION_BY_MEAN_ABSOLUTE};

/// A baseline's point and spread.
#[derive(Debug)]
pub(super) struct Baseline {
    /// `None` is persistence; of the [`levels`] of a series, its smoothed level.
    period: Option<usize>,
    /// Mean absolute error lately, one element a step of the horizon.
    errors: Vec<Recent>,
    /// One element a quantile: how many standard deviations from the point.
    deviations: Vec<f64>,
}

#[derive(Debug, Clone, Default)]
struct Recent {
    mean: f64,
    count: f64,
}

/// Errors that the mean remembers at most.
const MEMORY: f64 = 500.0;

impl Baseline {
    pub(super) fn new(period: Option<usize>, horizon: usize, quantiles: &[f64]) -> Self {
        Self {
            period,
            errors: vec![Recent::default(); horizon],
            deviations: quantiles.iter().map(|&q| normal::quantile(q)).collect(),
        }
    }

    /// Takes note of how wrong it was about step `now`. `held` is the series with the last value held through gaps.
    pub(super) fn observe(&mut self, held: &[f64], now: usize, y: f64) {
        let period = self.period;
        for (k, recent) in self.errors.iter_mut().enumerate().take(now) {
            let error = (y - point(period, held, now - k - 1, k)).abs();
            if !error.is_nan() {
                recent.count = (recent.count + 1.0).min(MEMORY);
                recent.mean += (error - recent.mean) / recent.count;
            }
        }
    }

    /// What it says at `origin` of the step `k + 1` ahead; NaN where nothing was seen yet.
    pub(super) fn point(&self, held: &[f64], origin: usize, k: usize) -> f64 {
        point(self.period, held, origin, k)
    }

    /// How far quantile `i` lies from the point `k + 1` steps ahead.
    pub(super) fn offset(&self, k: usize, i: usize) -> f64 {
        self.deviations[i] * DEVIATION_BY_MEAN_ABSOLUTE * self.errors[k].mean
    }
}

fn point(period: Option<usize>, held: &[f64], origin: usize, k: usize) -> f64 {
    let seasonal = period.and_then(|period| {
        let seasons = k / period + 1;
        held.get((origin + k + 1).checked_sub(seasons * period)?)
    });
    match seasonal.copied() {
        Some(y) if !y.is_nan() => y,
        // In the first season there is none before.
        _ => held[origin],
    }
}

/// The series with the last value held through gaps; NaN before the first.
pub(super) fn held(values: &[f64]) -> Vec<f64> {
    let mut last = f64::NAN;
    let hold = |y: &f64| {
        if !y.is_nan() {
            last = *y;
        }
        last
    };
    values.iter().map(hold).collect()
}

/// How many values the smoothed level is a mean of: few, where the level moves, or many, where it does not.
pub(super) fn level_lengths(horizon: usize) -> [usize; 2] {
    [(4 * horizon).max(16), (16 * horizon).max(64)]
}

/// At each step the mean of the last `length` values that are held, or of all where there are fewer; NaN before the first.
///
/// Sums are of blocks of `length` and never subtracted from: one huge value would else spoil all means after it.
pub(super) fn levels(held: &[f64], length: usize) -> Vec<f64> {
    let first = held.iter().position(|y| !y.is_nan()).unwrap_or(held.len());
    let (unknown, known) = held.split_at(first);
    // From each value to the end of its block.
    let mut rests = known.to_vec();
    for block in rests.chunks_mut(length) {
        let mut sum = 0.0;
        for rest in block.iter_mut().rev() {
            sum += *rest;
            *rest = sum;
        }
    }
    let mut newest = 0.0;
    let level = |(t, y): (usize, &f64)| {
        newest = if t % length == 0 { *y } else { newest + y };
        let start = (t + 1).saturating_sub(length);
        let before = if start % length == 0 { 0.0 } else { rests[start] };
        (before + newest) / (t + 1 - start) as f64
    };
    let means = known.iter().enumerate().map(level);
    unknown.iter().copied().chain(means).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seasonal_forecast_is_the_same_instant_of_the_last_season_that_is_known() {
        let held: Vec<f64> = (0..12).map(f64::from).collect();
        let baseline = Baseline::new(Some(4), 6, &[0.5]);
        let path: Vec<f64> = (0..6).map(|k| baseline.point(&held, 9, k)).collect();
        assert_eq!(path, [6.0, 7.0, 8.0, 9.0, 6.0, 7.0]);
        assert_eq!(
            baseline.point(&held, 1, 0),
            1.0,
            "persistence in the first season"
        );
    }

    #[test]
    fn bands_are_as_wide_as_recent_errors_at_their_distance() {
        let held: Vec<f64> = (0..100).map(f64::from).collect();
        let mut baseline = Baseline::new(None, 3, &[0.5, 0.95]);
        (0..100).for_each(|now| baseline.observe(&held, now, held[now]));
        for k in 0..3 {
            assert_eq!(baseline.offset(k, 0), 0.0);
            // The line rises by 1 a step: errors are k + 1, their deviation by 1.2533, at 1.645 deviations.
            let expected = 1.644_853_6 * 1.253_314_1 * (k + 1) as f64;
            assert!((baseline.offset(k, 1) - expected).abs() < 1e-5, "{k}");
        }
    }

    #[test]
    fn gaps_hold_the_last_value() {
        let nan = f64::NAN;
        let values = held(&[nan, 2.0, nan, nan, 5.0]);
        assert!(values[0].is_nan());
        assert_eq!(values[1..], [2.0, 2.0, 2.0, 5.0]);
    }
    #[test]
    fn a_level_is_the_mean_of_the_values_in_its_window_whatever_came_before() {
        let mut values: Vec<f64> = (0..40).map(|t| f64::from(t * t % 7)).collect();
        values[0] = f64::NAN;
        values[9] = 1e100;
        for length in [1, 4, 5, 64] {
            let levels = levels(&values, length);
            assert!(levels[0].is_nan());
            for t in 1..values.len() {
                let window = &values[(t + 1).saturating_sub(length).max(1)..=t];
                let mean = window.iter().sum::<f64>() / window.len() as f64;
                assert!((levels[t] - mean).abs() <= 1e-12 * mean.abs(), "{length}, {t}");
            }
        }
        assert!(levels(&[], 4).is_empty());
    }
}

//! How often a series must be differenced.
//!
//! At successive steps: until the test of Kwiatkowski, Phillips, Schmidt & Shin (1992) no longer rejects a stationary
//! level at 5 %. A season apart: once, where the season accounts for most of what is left beside the trend, as in Wang,
//! Smith & Hyndman, *Characteristic-based clustering for time series data* (2006).

use super::{filter::dot, series::is_flat};

/// Critical value at 5 % of the test for a level; table 1 of the paper.
const KPSS_5_PERCENT: f64 = 0.463;

/// Seasonal strength from which a seasonal difference is taken; fitted to M3 by Hyndman's `forecast`.
const STRENGTH_MIN: f64 = 0.64;

/// Differences needed, at most `max`.
pub(super) fn differences(values: &[f64], max: usize) -> usize {
    let mut current = values.to_vec();
    for d in 0..max {
        if current.len() < 4 || is_flat(&current) || kpss(&current) <= KPSS_5_PERCENT {
            return d;
        }
        current = current.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    max
}

/// The statistic for a stationary level, its long-run variance with Bartlett weights over `3 √n / 13` lags.
fn kpss(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let errors: Vec<f64> = values.iter().map(|y| y - mean).collect();
    let lags = (3.0 * n.sqrt() / 13.0) as usize;
    let weight = |lag: usize| 1.0 - lag as f64 / (lags + 1) as f64;
    let later = (1..=lags).map(|lag| 2.0 * weight(lag) * dot(&errors[lag..], &errors));
    let variance = (dot(&errors, &errors) + later.sum::<f64>()) / n;
    let mut sum = 0.0;
    let walk: f64 = errors
        .iter()
        .map(|e| {
            sum += e;
            sum * sum
        })
        .sum();
    walk / (n * n * variance)
}

/// Whether the season is so strong that it is to be differenced.
pub(super) fn is_seasonal(values: &[f64], period: usize) -> bool {
    period > 1 && strength(values, period) > STRENGTH_MIN
}

/// Share of the variance beside the trend that a slowly changing season accounts for, in [0, 1].
///
/// Trend by a centred moving average of one period, season by a weighted mean over the same phase of nearby periods.
fn strength(values: &[f64], period: usize) -> f64 {
    let n = values.len();
    if n < 2 * period + 4 {
        return 0.0;
    }
    let beside = detrended(values, period);
    let mut rest = Vec::with_capacity(beside.len());
    for t in 0..beside.len() {
        let (mut sum, mut weights) = (0.0, 0.0);
        for distance in 0..=5_usize {
            let weight = (1.0 - (distance as f64 / 6.0).powi(3)).powi(3);
            let after = beside.get(t + distance * period).filter(|_| distance > 0);
            let before = t.checked_sub(distance * period).map(|at| &beside[at]);
            for y in after.into_iter().chain(before) {
                sum += weight * y;
                weights += weight;
            }
        }
        rest.push(beside[t] - sum / weights);
    }
    let (all, left) = (variance(&beside), variance(&rest));
    if all > 0.0 {
        (1.0 - left / all).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn detrended(values: &[f64], period: usize) -> Vec<f64> {
    let half = period / 2;
    let edge = if period.is_multiple_of(2) { 0.5 } else { 1.0 };
    (half..values.len() - half)
        .map(|t| {
            let window = &values[t - half..=t + half];
            let ends = window[0] + window[2 * half];
            let inner: f64 = window[1..2 * half].iter().sum();
            values[t] - (inner + edge * ends) / period as f64
        })
        .collect()
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    fn noise(n: usize) -> Vec<f64> {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        (0..n).map(|_| rng.random::<f64>() - 0.5).collect()
    }

    fn sums(values: &[f64]) -> Vec<f64> {
        let mut sum = 0.0;
        let next = |y: &f64| {
            sum += y;
            sum
        };
        values.iter().map(next).collect()
    }

    #[test]
    fn as_many_differences_are_taken_as_sums_were() {
        let noise = noise(400);
        let walk = sums(&noise);
        assert_eq!(differences(&noise, 2), 0);
        assert_eq!(differences(&walk, 2), 1);
        assert_eq!(differences(&sums(&walk), 2), 2);
        assert_eq!(differences(&[1.0, 2.0, 4.0], 2), 0);
    }

    #[test]
    fn a_season_counts_where_it_outweighs_the_noise() {
        let noise = noise(240);
        for (height, expected) in [(0.0, false), (2.0, true)] {
            let values: Vec<f64> = (0..240)
                .map(|t| height * (std::f64::consts::TAU * t as f64 / 12.0).sin() + noise[t])
                .collect();
            assert_eq!(is_seasonal(&values, 12), expected, "{height}");
            assert!(!is_seasonal(&values, 200));
        }
    }
}

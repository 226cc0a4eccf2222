//! Simple exponential smoothing with the parameters that fit best.
//!
//! For a given smoothing the errors are linear in the first level, so the best first level is known in closed form and
//! only the smoothing is searched for: over a grid, as the sum of squares may have several minima, then by golden section.

/// Smoothing is kept inside `[0.0001, 0.9999]`, as R's `ets` does.
const ALPHA_MIN: f64 = 1e-4;
const ALPHA_MAX: f64 = 0.9999;
const GRID: usize = 20;
const SECTIONS: usize = 24;

/// The end of a smoothed series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ses {
    pub(crate) alpha: f64,
    /// After the last value; the forecast of all that follow.
    pub(crate) level: f64,
    /// Mean of the squared one-step errors.
    pub(crate) mean_square: f64,
}

impl Ses {
    /// `x` holds at least one value.
    pub(crate) fn fit(x: &[f64]) -> Self {
        let alpha_at = |place: f64| {
            // Even steps of the logit: 0.0001 and 0.001 differ as much as 0.999 and 0.9999.
            let (low, high) = (logit(ALPHA_MIN), logit(ALPHA_MAX));
            1.0 / (1.0 + (-(low + place * (high - low))).exp())
        };
        let cost = |place: f64| Self::with(alpha_at(place), x).mean_square;
        let costs: Vec<f64> = (0..=GRID).map(|i| cost(i as f64 / GRID as f64)).collect();
        let best = (0..=GRID).fold(0, |best, i| if costs[i] < costs[best] { i } else { best });
        let low = best.saturating_sub(1) as f64 / GRID as f64;
        let high = (best + 1).min(GRID) as f64 / GRID as f64;
        Self::with(alpha_at(golden_section(low, high, cost)), x)
    }

    /// Smoothing `alpha` and the first level that fits it best.
    fn with(alpha: f64, x: &[f64]) -> Self {
        let origin = x.first().copied().unwrap_or(0.0);
        let (mut level, mut weight) = (0.0, 1.0);
        let (mut cross, mut weights, mut squares) = (0.0, 0.0, 0.0);
        for &x in x {
            let error = x - origin - level;
            cross += error * weight;
            weights += weight * weight;
            squares += error * error;
            level += alpha * error;
            weight *= 1.0 - alpha;
        }
        let first = cross / weights.max(f64::MIN_POSITIVE);
        Self {
            alpha,
            level: origin + level + first * weight,
            mean_square: (squares - first * cross).max(0.0) / x.len().max(1) as f64,
        }
    }
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Where `cost` is least between `low` and `high`, if it has one minimum there.
pub(crate) fn golden_section(mut low: f64, mut high: f64, cost: impl Fn(f64) -> f64) -> f64 {
    const SHARE: f64 = 0.618_033_988_749_894_8;
    let (mut left, mut right) = (high - SHARE * (high - low), low + SHARE * (high - low));
    let (mut at_left, mut at_right) = (cost(left), cost(right));
    for _ in 0..SECTIONS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - SHARE * (high - low);
            at_left = cost(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + SHARE * (high - low);
            at_right = cost(right);
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::published::NILE;

    #[test]
    fn the_nile_is_smoothed_as_its_local_level_model_has_it() {
        // Durbin & Koopman's maximum likelihood has q = 1469.1 / 15098.5; the steady-state gain of that is 0.2668.
        let q: f64 = 1469.1 / 15098.5;
        let gain = (-q + (q * q + 4.0 * q).sqrt()) / 2.0;
        let ses = Ses::fit(&NILE);
        assert!((ses.alpha - gain).abs() < 0.025, "{} against {gain}", ses.alpha);
        assert!((ses.level - 798.4).abs() < 8.0, "{}", ses.level);
    }

    #[test]
    fn no_smoothing_near_the_one_found_is_better() {
        let walk: Vec<f64> = (0..200)
            .map(|t| f64::from(t * 7919 % 101) * 0.1 + f64::from(t % 13))
            .collect();
        for x in [&NILE[..], &walk] {
            let found = Ses::fit(x);
            for alpha in [0.0001, 0.01, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.9999] {
                assert!(
                    found.mean_square <= Ses::with(alpha, x).mean_square * (1.0 + 1e-9),
                    "{alpha}"
                );
            }
        }
    }
}

//! How far from the point forecast the quantiles lie, at one anchor.
//!
//! Adaptive conformal inference (Gibbs & Candès, 2021) on signed residuals: a quantile is an order statistic of the
//! newest errors, and the level at which it is read moves a little up after each miss and a very little down after
//! each hit, so that the share of hits comes to what was promised whatever the errors' distribution does. The models'
//! own intervals are not used: where it matters they are wrong (0.5 to 0.95 for a promised 0.9).

use crate::{normal, residuals::Residuals};

/// Residuals and the levels they are read at.
#[derive(Debug, Clone)]
pub(crate) struct Band {
    residuals: Residuals,
    levels: Vec<f64>,
    offsets: Vec<f64>,
}

/// How much a level moves after a miss.
const LEVEL_STEP: f64 = 0.01;
/// With fewer residuals the band is also at least as wide as the prior.
const RESIDUALS_MIN: usize = 20;

impl Band {
    /// For forecasts `steps_ahead`.
    pub(crate) fn new(quantiles: &[f64], steps_ahead: usize) -> Self {
        Self {
            residuals: Residuals::new(steps_ahead),
            levels: quantiles.to_vec(),
            offsets: vec![0.0; quantiles.len()],
        }
    }

    pub(crate) fn reset(&mut self, quantiles: &[f64]) {
        self.residuals.clear();
        self.levels.copy_from_slice(quantiles);
    }

    /// Reads at the promised levels again, and forgets the newest `errors`: what moved them is over.
    pub(crate) fn relax(&mut self, quantiles: &[f64], errors: usize) {
        self.levels.copy_from_slice(quantiles);
        if errors > 0 {
            self.residuals.forget(errors);
        }
    }

    /// Replaces the residuals by those of a model that has taken over.
    pub(crate) fn replace(&mut self, residuals: Residuals, quantiles: &[f64]) {
        self.residuals = residuals;
        self.levels.copy_from_slice(quantiles);
    }

    /// Distance from the point forecast of each quantile, rising.
    pub(crate) fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// Takes what was measured beside what had been forecast for it; `forecast` holds one value a quantile, NaN
    /// where none had been made.
    pub(crate) fn observe(&mut self, actual: f64, point: f64, forecast: &[f32], quantiles: &[f64]) {
        self.residuals.push(actual - point);
        for ((level, &q), &limit) in self.levels.iter_mut().zip(quantiles).zip(forecast) {
            if limit.is_nan() {
                continue;
            }
            let hit = f64::from(u8::from(actual as f32 <= limit));
            *level = (*level + LEVEL_STEP * (q - hit)).clamp(0.0, 1.0);
        }
    }

    /// Reads the offsets; `prior` is the standard deviation to assume while there is little to go by.
    pub(crate) fn refresh(&mut self, quantiles: &[f64], prior: f64) {
        let young = self.residuals.len() < RESIDUALS_MIN;
        let mut below = f64::NEG_INFINITY;
        for ((offset, &level), &q) in self.offsets.iter_mut().zip(&self.levels).zip(quantiles) {
            let measured = self.residuals.quantile(level);
            *offset = match q {
                _ if !young => measured,
                q if q < 0.5 => measured.min(normal::quantile(q) * prior),
                q => measured.max(normal::quantile(q) * prior),
            };
            *offset = offset.max(below);
            below = *offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

    #[test]
    fn the_promised_share_is_kept_when_errors_grow_tenfold() {
        let mut band = Band::new(&QUANTILES, 1);
        let mut hits = 0;
        for t in 0..4_000_u32 {
            band.refresh(&QUANTILES, 1.0);
            let limits: Vec<f32> = band.offsets().iter().map(|&o| o as f32).collect();
            let size = if t < 2_000 { 1.0 } else { 10.0 };
            let error = size * f64::from(t.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
            hits += u32::from(error as f32 <= limits[1]);
            band.observe(error, 0.0, &limits, &QUANTILES);
        }
        let share = f64::from(hits) / 4_000.0;
        assert!((share - 0.9).abs() < 0.015, "{share}");
    }

    #[test]
    fn a_young_band_is_as_wide_as_the_prior() {
        let mut band = Band::new(&QUANTILES, 1);
        band.observe(0.0, 0.0, &[f32::NAN; 3], &QUANTILES);
        band.refresh(&QUANTILES, 10.0);
        assert!((band.offsets()[1] - 12.8).abs() < 0.3, "{:?}", band.offsets());
    }
}

//! How far from the point forecast the quantiles lie, at one anchor.
//!
//! A quantile is an order statistic of the newest signed errors, plus a correction that rises a little after each miss
//! and falls a very little after each hit, in proportion to the errors' size: so the share of hits comes to what was
//! promised whatever the errors' distribution does. That is adaptive conformal inference (Gibbs & Candès, 2021) with
//! the quantile itself as what is adapted (Angelopoulos, Candès & Tibshirani, *Conformal PID control*, 2023): a level
//! that is adapted saturates at the outermost error just where errors many steps ahead come in runs.
//!
//! How many errors to look at, and whether they grow with the series' level or with its unrest, differs between series.
//! Several windows may be kept; each is weighed by its quantile loss.
//!
//! The models' own intervals are not used: where it matters they are wrong (0.5 to 0.95 for a promised 0.9).

mod window;

use crate::{error_mean::ErrorMean, normal};

pub(crate) use window::{Unit, Units, Window};

/// Windows, and what the misses of late add to them.
#[derive(Debug, Clone)]
pub(crate) struct Band {
    windows: Vec<Window>,
    /// By quantile, in mean absolute residuals of late: so one that large errors called for is small again after them.
    corrections: Vec<f64>,
    /// Mean absolute residual.
    spread: ErrorMean,
    gain: f64,
    /// The outer quantiles lie on either side of the point.
    encloses: bool,
    offsets: Vec<f64>,
}

/// How far a miss one step ahead moves the correction, in mean absolute residuals. Further ahead one cause brings many
/// misses, and the share falls with the fourth root of the distance. Higher ones keep the share of hits more strictly
/// and make bands wider: this is the least that kept it at every distance of the series it was tried on.
const GAIN: f64 = 0.012;
/// What one step leaves of a residual's weight in their mean size.
const SPREAD_KEPT: f32 = 0.99;
/// With fewer residuals the band is also at least as wide as the prior.
const RESIDUALS_MIN: usize = 20;
/// How fast a window's weight falls with its loss: `exp(−32 (loss / best − 1))`.
const SHARPNESS: f64 = 32.0;
/// Quantiles up to this one, and from its mirror on, are outer ones.
const OUTER: f64 = 0.1;

impl Band {
    /// For forecasts `steps_ahead`; at least one window.
    pub(crate) fn new(windows: Vec<Window>, quantiles: usize, steps_ahead: usize) -> Self {
        Self {
            windows,
            corrections: vec![0.0; quantiles],
            spread: ErrorMean::default(),
            gain: GAIN / (steps_ahead as f64).sqrt().sqrt(),
            encloses: false,
            offsets: vec![0.0; quantiles],
        }
    }

    /// Lets the outer quantiles enclose the point: errors of late may all have had one sign, but a band beside its own
    /// forecast helps nobody.
    pub(crate) fn enclosing(mut self) -> Self {
        self.encloses = true;
        self
    }

    pub(crate) fn reset(&mut self) {
        self.windows.iter_mut().for_each(Window::clear);
        self.corrections.fill(0.0);
        self.spread = ErrorMean::default();
    }

    /// Takes back all corrections, and forgets the newest `errors`: what moved them is over.
    pub(crate) fn relax(&mut self, errors: usize) {
        self.corrections.fill(0.0);
        if errors > 0 {
            self.windows.iter_mut().for_each(|window| window.forget(errors));
        }
    }

    /// Replaces the residuals by those of a model that has taken over.
    pub(crate) fn replace(&mut self, residuals: &[f64]) {
        self.reset();
        for &residual in residuals {
            self.spread.add(residual.abs(), SPREAD_KEPT);
        }
        self.windows
            .iter_mut()
            .for_each(|window| window.replace(residuals));
    }

    /// Distance from the point forecast of each quantile, rising.
    pub(crate) fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// Takes a residual and, for each quantile, whether what was measured lay at or under what was told; `None` where
    /// nothing had been told, or where that could not be moved. `units` are those of the instant of the forecast.
    pub(crate) fn observe(
        &mut self,
        residual: f64,
        units: Units,
        quantiles: &[f64],
        is_hit: impl Fn(usize) -> Option<bool>,
    ) {
        if self.windows.len() > 1 {
            self.windows
                .iter_mut()
                .for_each(|window| window.judge(residual, units, quantiles));
        }
        self.windows
            .iter_mut()
            .for_each(|window| window.push(residual, units));
        self.spread.add(residual.abs(), SPREAD_KEPT);
        for (i, (correction, &q)) in self.corrections.iter_mut().zip(quantiles).enumerate() {
            if let Some(is_hit) = is_hit(i) {
                *correction += self.gain * (q - f64::from(u8::from(is_hit)));
            }
        }
    }

    /// Reads the offsets; `prior` is the standard deviation to assume while there is little to go by.
    pub(crate) fn refresh(&mut self, quantiles: &[f64], units: Units, prior: f64) {
        let young = self.windows.iter().all(|window| window.len() < RESIDUALS_MIN);
        let spread = self.spread.mean(1).unwrap_or(0.0);
        let mut below = f64::NEG_INFINITY;
        for (i, &q) in quantiles.iter().enumerate() {
            let measured = self.blend(i, q, units) + self.corrections[i] * spread;
            let offset = match q {
                _ if !young => measured,
                q if q < 0.5 => measured.min(normal::quantile(q) * prior),
                q => measured.max(normal::quantile(q) * prior),
            };
            let offset = match q {
                q if self.encloses && q <= OUTER => offset.min(0.0),
                q if self.encloses && q >= 1.0 - OUTER => offset.max(0.0),
                _ => offset,
            };
            below = offset.max(below);
            self.offsets[i] = below;
        }
    }

    /// What the windows say of quantile `i`, the better ones counting more.
    fn blend(&self, i: usize, q: f64, units: Units) -> f64 {
        if let [only] = self.windows.as_slice() {
            return only.offset(q, units);
        }
        let losses = || self.windows.iter().filter_map(|window| window.loss(i));
        let best = losses().fold(f64::INFINITY, f64::min);
        let (mut sum, mut weights) = (0.0, 0.0);
        for window in self.windows.iter().filter(|window| window.len() > 0) {
            let weight = match window.loss(i) {
                Some(loss) if best > 0.0 => (-SHARPNESS * (loss / best - 1.0)).exp(),
                // The best is perfect, or this one has not been judged while others have.
                Some(loss) => f64::from(u8::from(loss <= best)),
                None => f64::from(u8::from(best == f64::INFINITY)),
            };
            sum += weight * window.offset(q, units);
            weights += weight;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residuals::Residuals;

    const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

    fn band(units: &[Unit]) -> Band {
        let window = |&unit| Window::new(unit, Residuals::new(80), QUANTILES.len());
        Band::new(units.iter().map(window).collect(), QUANTILES.len(), 1)
    }

    fn uniform(t: u32) -> f64 {
        f64::from(t.wrapping_mul(2_654_435_761) >> 16) / 65_536.0
    }

    #[test]
    fn the_promised_share_is_kept_when_errors_grow_tenfold() {
        let mut band = band(&[Unit::One]);
        let mut hits = 0;
        for t in 0..4_000_u32 {
            band.refresh(&QUANTILES, Units::ONE, 1.0);
            let limits = band.offsets().to_vec();
            let error = if t < 2_000 { uniform(t) } else { 10.0 * uniform(t) };
            hits += u32::from(error <= limits[1]);
            band.observe(error, Units::ONE, &QUANTILES, |i| Some(error <= limits[i]));
        }
        let share = f64::from(hits) / 4_000.0;
        assert!((share - 0.9).abs() < 0.015, "{share}");
    }

    #[test]
    fn the_window_whose_unit_makes_errors_alike_is_the_one_that_counts() {
        let mut band = band(&[Unit::One, Unit::Level]);
        let level = |t: u32| if (t / 40).is_multiple_of(2) { 1.0 } else { 20.0 };
        let units = |t| Units {
            level: level(t),
            ..Units::ONE
        };
        for t in 0..3_000 {
            band.observe(level(t) * uniform(t), units(t), &QUANTILES, |_| None);
        }
        for t in [0, 40] {
            band.refresh(&QUANTILES, units(t), 1.0);
            let share = band.offsets()[1] / level(t);
            assert!((0.8..1.1).contains(&share), "{share} of the level {}", level(t));
        }
    }

    #[test]
    fn an_enclosing_band_has_the_point_inside_even_when_all_errors_have_one_sign() {
        let mut band = band(&[Unit::One]).enclosing();
        (0..100).for_each(|t| band.observe(-5.0 - uniform(t), Units::ONE, &QUANTILES, |_| None));
        band.refresh(&QUANTILES, Units::ONE, 1.0);
        let offsets = band.offsets();
        assert!(
            offsets[0] < -4.0 && offsets[1] == 0.0 && offsets[2] == 0.0,
            "{offsets:?}"
        );
    }

    #[test]
    fn a_young_band_is_as_wide_as_the_prior() {
        let mut band = band(&[Unit::One]);
        band.observe(0.0, Units::ONE, &QUANTILES, |_| None);
        band.refresh(&QUANTILES, Units::ONE, 10.0);
        assert!((band.offsets()[1] - 12.8).abs() < 0.3, "{:?}", band.offsets());
    }
}

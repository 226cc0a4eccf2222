//! Autoregression, fitted as the observations come.
//!
//! Recursive least squares with exponential forgetting (Haykin, *Adaptive Filter Theory*, ch. 10) on deviations from
//! a slowly moving reference, in units of their own size: so the same constants hold for a series in bytes and
//! one in shares. Three guards keep it sound on real load: the covariance's trace is capped (without new
//! information forgetting would let it grow without end), a single step's surprise is clipped, and forecasts stay
//! near the range that was seen.

use super::{Forecaster, believable, range::Range};

/// AR(`N`): the next value from the `N` before it. One update costs some `2 N²` multiplications.
///
/// A missing observation is replaced by what was expected, and nothing is learned from it.
#[derive(Debug, Clone)]
pub struct Autoregression<const N: usize> {
    name: &'static str,
    forgetting: f64,
    state: Option<State<N>>,
}

#[derive(Debug, Clone)]
struct State<const N: usize> {
    /// Newest first.
    lags: [f64; N],
    reference: f64,
    power: f64,
    seen: u32,
    range: Range,
    weights: [f64; N],
    covariance: [[f64; N]; N],
}

/// The reference and the deviations' mean square follow with at least this gain.
const REFERENCE_GAIN: f64 = 0.02;
/// Cap on the mean of the covariance's diagonal, in units of the deviations' inverse mean square.
const COVARIANCE_MAX: f64 = 100.0;
/// Cap on one step's surprise, in root mean squares of the deviations.
const SURPRISE_MAX: f64 = 4.0;
/// Deviations under this share of the reference are rounding, not signal.
const SIGNAL_SHARE_MIN: f64 = 1e-10;

impl Autoregression<4> {
    /// Order 4, forgetting half in 69 steps.
    pub fn of_order_4() -> Self {
        Self {
            name: "ar4",
            forgetting: 0.99,
            state: None,
        }
    }
}

impl Autoregression<8> {
    /// Order 8, forgetting half in 138 steps.
    pub fn of_order_8() -> Self {
        Self {
            name: "ar8",
            forgetting: 0.995,
            state: None,
        }
    }
}

impl<const N: usize> State<N> {
    fn at(y: f64) -> Self {
        let mut weights = [0.0; N];
        weights[0] = 1.0;
        let mut covariance = [[0.0; N]; N];
        (0..N).for_each(|i| covariance[i][i] = 1.0);
        let range = Range::at(y);
        Self {
            lags: [y; N],
            reference: y,
            power: 0.0,
            seen: 1,
            range,
            weights,
            covariance,
        }
    }

    fn deviations(&self) -> [f64; N] {
        self.lags.map(|y| y - self.reference)
    }

    fn expected(&self) -> f64 {
        let (low, high) = self.range.bounds();
        (self.reference + dot(&self.weights, &self.deviations())).clamp(low, high)
    }

    fn push(&mut self, y: f64) {
        self.lags.copy_within(..N - 1, 1);
        self.lags[0] = y;
    }

    fn observe(&mut self, y: f64, forgetting: f64) {
        self.seen = self.seen.saturating_add(1);
        if self.seen > N as u32 {
            self.learn(y, forgetting);
        }
        let gain = REFERENCE_GAIN.max(1.0 / f64::from(self.seen));
        let deviation = y - self.reference;
        self.power += gain * (deviation * deviation - self.power);
        self.reference += gain * deviation;
        self.range.observe(y);
        self.push(y);
    }

    fn learn(&mut self, y: f64, forgetting: f64) {
        let size = self.power.sqrt();
        if size.is_nan() || size <= self.reference.abs() * SIGNAL_SHARE_MIN {
            return;
        }
        let inputs = self.deviations().map(|d| d / size);
        let surprise = (y - self.reference) / size - dot(&self.weights, &inputs);
        let surprise = surprise.clamp(-SURPRISE_MAX, SURPRISE_MAX);
        let spread: [f64; N] = std::array::from_fn(|i| dot(&self.covariance[i], &inputs));
        let scale = 1.0 / (forgetting + dot(&inputs, &spread));
        for (weight, s) in self.weights.iter_mut().zip(&spread) {
            *weight += s * scale * surprise;
        }
        for (row, a) in self.covariance.iter_mut().zip(&spread) {
            for (cell, b) in row.iter_mut().zip(&spread) {
                *cell = (*cell - a * b * scale) / forgetting;
            }
        }
        self.keep_bounded();
    }

    fn keep_bounded(&mut self) {
        let mean = (0..N).map(|i| self.covariance[i][i]).sum::<f64>() / N as f64;
        let sound = mean.is_finite() && self.weights.iter().all(|w| w.is_finite());
        let positive = (0..N).all(|i| self.covariance[i][i] > 0.0);
        if !(sound && positive) {
            let fresh = Self::at(0.0);
            (self.weights, self.covariance) = (fresh.weights, fresh.covariance);
        } else if mean > COVARIANCE_MAX {
            let shrink = COVARIANCE_MAX / mean;
            self.covariance
                .iter_mut()
                .flatten()
                .for_each(|cell| *cell *= shrink);
        }
    }
}

impl<const N: usize> Forecaster for Autoregression<N> {
    fn name(&self) -> &str {
        self.name
    }

    fn reset(&mut self) {
        self.state = None;
    }

    fn update(&mut self, y: Option<f64>) {
        match (&mut self.state, believable(y)) {
            (Some(state), Some(y)) => state.observe(y, self.forgetting),
            (Some(state), None) => state.push(state.expected()),
            (None, Some(y)) => self.state = Some(State::at(y)),
            (None, None) => {}
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        let Some(state) = &self.state else {
            path.fill(0.0);
            return;
        };
        let mut ahead = state.deviations();
        let (low, high) = state.range.bounds();
        let (low, high) = (low - state.reference, high - state.reference);
        for step in path {
            let deviation = dot(&state.weights, &ahead).clamp(low, high);
            ahead.copy_within(..N - 1, 1);
            ahead[0] = deviation;
            *step = state.reference + deviation;
        }
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    // From the oldest lag on: in a forecast only the newest one waits for the step before.
    a.iter().zip(b).rev().map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_is_carried_on_because_it_obeys_a_recursion_of_order_two() {
        let wave = |t: u32| 50.0 + 20.0 * (f64::from(t) * 0.3).cos();
        let mut model = Autoregression::of_order_4();
        (0..400).for_each(|t| model.update(Some(wave(t))));
        let mut path = [0.0; 10];
        model.forecast(&mut path);
        for (h, y) in path.iter().enumerate() {
            let truth = wave(400 + h as u32);
            assert!((y - truth).abs() < 2.0, "step {h}: {y} for {truth}");
        }
    }

    #[test]
    fn silence_does_not_let_the_covariance_grow() {
        let mut model = Autoregression::of_order_8();
        (0..200).for_each(|t| model.update(Some(f64::from(t * 37 % 11))));
        (0..100_000).for_each(|_| model.update(Some(5.0)));
        let state = model.state.as_ref().unwrap();
        let largest = state
            .covariance
            .iter()
            .flatten()
            .fold(0.0_f64, |m, c| m.max(c.abs()));
        assert!(largest <= COVARIANCE_MAX * 8.0, "{largest}");
        model.update(Some(60.0));
        let mut path = [0.0; 20];
        model.forecast(&mut path);
        assert!(path.iter().all(|y| (-60.0..=120.0).contains(y)), "{path:?}");
    }

    #[test]
    fn the_size_of_the_series_does_not_change_the_forecast() {
        let series = |t: u32| 40.0 + f64::from(t * 7_919 % 101) / 10.0;
        let paths = [1e-60, 1.0, 1e60].map(|unit| {
            let mut model = Autoregression::of_order_8();
            (0..300).for_each(|t| model.update(Some(series(t) * unit)));
            let mut path = [0.0; 5];
            model.forecast(&mut path);
            path.map(|y| y / unit)
        });
        for path in &paths {
            for (a, b) in path.iter().zip(&paths[1]) {
                assert!((a - b).abs() < 1e-6, "{paths:?}");
            }
        }
    }
}

//! Autoregression, fitted as the observations come.
//!
//! Recursive least squares on deviations from a slowly moving reference, in units of their own size: so the same
//! constants hold for a series in bytes and one in shares. Forecasts stay near the range that was seen.

use super::{Forecaster, believable, range::Range, rls::Rls, within};

/// AR(`N`): the next value from the `N` before it. One update costs some `2 N²` multiplications.
///
/// A missing observation is replaced by what was expected, and nothing is learned from it.
#[derive(Debug, Clone)]
pub struct Autoregression<const N: usize> {
    name: &'static str,
    forgetting: f64,
    reference_gain: f64,
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
    rls: Rls<N>,
}

/// At the start the newest value is taken for the next one.
const FIRST_WEIGHT: f64 = 1.0;
/// Deviations under this share of the reference are rounding, not signal.
const SIGNAL_SHARE_MIN: f64 = 1e-10;

impl Autoregression<4> {
    /// Order 4, forgetting half in 69 steps.
    pub fn of_order_4() -> Self {
        Self::new("ar4", 0.99, 0.02)
    }
}

impl Autoregression<8> {
    /// Order 8, forgetting half in 138 steps.
    pub fn of_order_8() -> Self {
        Self::new("ar8", 0.995, 0.02)
    }
}

impl<const N: usize> Autoregression<N> {
    /// `forgetting` in (0.9, 1] is what one step leaves of an observation's weight; the reference and the deviations'
    /// mean square follow with at least `reference_gain` in (0, 1). Values outside are brought to the nearest, NaN to the
    /// lowest.
    pub fn new(name: &'static str, forgetting: f64, reference_gain: f64) -> Self {
        Self {
            name,
            forgetting: within(forgetting, 0.9, 1.0),
            reference_gain: within(reference_gain, 1e-6, 1.0),
            state: None,
        }
    }
}

impl<const N: usize> State<N> {
    fn at(y: f64, forgetting: f64) -> Self {
        Self {
            lags: [y; N],
            reference: y,
            power: 0.0,
            seen: 1,
            range: Range::at(y),
            rls: Rls::new(forgetting, FIRST_WEIGHT),
        }
    }

    fn deviations(&self) -> [f64; N] {
        self.lags.map(|y| y - self.reference)
    }

    fn expected(&self) -> f64 {
        let (low, high) = self.range.bounds();
        (self.reference + self.rls.expected(&self.deviations())).clamp(low, high)
    }

    fn push(&mut self, y: f64) {
        self.lags.copy_within(..N - 1, 1);
        self.lags[0] = y;
    }

    fn observe(&mut self, y: f64, reference_gain: f64) {
        self.seen = self.seen.saturating_add(1);
        if self.seen > N as u32 {
            self.learn(y);
        }
        let gain = reference_gain.max(1.0 / f64::from(self.seen));
        let deviation = y - self.reference;
        self.power += gain * (deviation * deviation - self.power);
        self.reference += gain * deviation;
        self.range.observe(y);
        self.push(y);
    }

    fn learn(&mut self, y: f64) {
        let size = self.power.sqrt();
        if size.is_nan() || size <= self.reference.abs() * SIGNAL_SHARE_MIN {
            return;
        }
        let inputs = self.deviations().map(|d| d / size);
        self.rls.learn(&inputs, (y - self.reference) / size, FIRST_WEIGHT);
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
            (Some(state), Some(y)) => state.observe(y, self.reference_gain),
            (Some(state), None) => state.push(state.expected()),
            (None, Some(y)) => self.state = Some(State::at(y, self.forgetting)),
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
            let deviation = state.rls.expected(&ahead).clamp(low, high);
            ahead.copy_within(..N - 1, 1);
            ahead[0] = deviation;
            *step = state.reference + deviation;
        }
    }
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

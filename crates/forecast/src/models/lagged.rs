//! Autoregression on chosen lags, such as those of a season.
//!
//! A season of a day at one-minute steps is 1,440 lags away; a regression on all of them could not be learned from days.
//! A few lags near the present and a few near one season ago carry most of it. On differences over a season it is the
//! seasonal ARIMA that is most often chosen, learned as observations come.

use super::{Forecaster, LAG_MAX, believable, range::Range, rls::Rls, within};

/// The next value, or its difference from the one `difference` steps before, from those at `N` lags.
///
/// A missing observation is replaced by what was expected, and nothing is learned from it. Keeps as many values as the
/// longest lag and the difference together.
#[derive(Debug, Clone)]
pub struct Lagged<const N: usize> {
    name: &'static str,
    plan: Plan<N>,
    /// The newest values as a ring.
    values: Vec<f64>,
    next: usize,
    seen: usize,
    reference: f64,
    power: f64,
    learned: u32,
    range: Option<Range>,
    rls: Rls<N>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
struct Plan<const N: usize> {
    /// Rising, 1 and above.
    lags: [usize; N],
    difference: usize,
    forgetting: f64,
    reference_gain: f64,
}

/// Deviations under this share of the values' size are rounding, not signal.
const SIGNAL_SHARE_MIN: f64 = 1e-10;

impl<const N: usize> Lagged<N> {
    /// `lags` rise and are 1 to 1,048,576, else they are sorted and brought there; `difference` 0 means the value itself,
    /// and is at most as much.
    /// `forgetting` and `reference_gain` as in [`Autoregression::new`](super::Autoregression::new).
    pub fn new(
        name: &'static str,
        mut lags: [usize; N],
        difference: usize,
        forgetting: f64,
        reference_gain: f64,
    ) -> Self {
        lags.iter_mut().for_each(|lag| *lag = (*lag).clamp(1, LAG_MAX));
        lags.sort_unstable();
        let plan = Plan {
            lags,
            difference: difference.min(LAG_MAX),
            forgetting: within(forgetting, 0.9, 1.0),
            reference_gain: within(reference_gain, 1e-6, 1.0),
        };
        Self {
            name,
            plan,
            values: Vec::new(),
            next: 0,
            seen: 0,
            reference: 0.0,
            power: 0.0,
            learned: 0,
            range: None,
            rls: Rls::new(plan.forgetting, plan.first_weight()),
        }
    }

    /// The value `age` steps before the newest; `age` is less than the capacity, and that many were seen.
    fn ago(&self, age: usize) -> f64 {
        let capacity = self.plan.capacity();
        self.values[(self.next + capacity - 1 - age) % capacity]
    }

    /// What is regressed, `age` steps before the newest value.
    fn regressed(&self, age: usize) -> f64 {
        match self.plan.difference {
            0 => self.ago(age),
            difference => self.ago(age) - self.ago(age + difference),
        }
    }

    fn push(&mut self, y: f64) {
        let capacity = self.plan.capacity();
        if self.values.len() < capacity {
            self.values.push(y);
        } else {
            self.values[self.next] = y;
        }
        self.next = (self.next + 1) % capacity;
        self.seen = self.seen.saturating_add(1);
    }

    fn is_full(&self) -> bool {
        self.seen >= self.plan.capacity()
    }

    /// Learns from the newest value beside those at its lags.
    fn learn(&mut self) {
        let newest = self.regressed(0);
        let size = self.power.sqrt();
        let floor = self.ago(0).abs().max(self.reference.abs()) * SIGNAL_SHARE_MIN;
        if size > floor {
            let inputs = self
                .plan
                .lags
                .map(|lag| (self.regressed(lag) - self.reference) / size);
            let output = (newest - self.reference) / size;
            self.rls.learn(&inputs, output, self.plan.first_weight());
        }
        self.learned = self.learned.saturating_add(1);
        let gain = self.plan.reference_gain.max(1.0 / f64::from(self.learned));
        let deviation = newest - self.reference;
        self.power += gain * (deviation * deviation - self.power);
        self.reference += gain * deviation;
    }

    fn expected(&self) -> f64 {
        let mut next = [0.0];
        self.forecast(&mut next);
        next[0]
    }
}

impl<const N: usize> Plan<N> {
    fn capacity(&self) -> usize {
        self.lags[N - 1] + self.difference + 1
    }

    /// Of values, the newest is taken for the next one at the start; of differences, none.
    fn first_weight(&self) -> f64 {
        f64::from(u8::from(self.difference == 0))
    }
}

impl<const N: usize> Forecaster for Lagged<N> {
    fn name(&self) -> &str {
        self.name
    }

    fn reset(&mut self) {
        let plan = self.plan;
        *self = Self::new(
            self.name,
            plan.lags,
            plan.difference,
            plan.forgetting,
            plan.reference_gain,
        );
    }

    fn update(&mut self, y: Option<f64>) {
        let Some(y) = believable(y) else {
            if self.seen > 0 {
                self.push(self.expected());
            }
            return;
        };
        self.push(y);
        match &mut self.range {
            Some(range) => range.observe(y),
            range => *range = Some(Range::at(y)),
        }
        if self.is_full() {
            self.learn();
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        let (Some(range), true) = (self.range, self.is_full()) else {
            path.fill(if self.seen > 0 { self.ago(0) } else { 0.0 });
            return;
        };
        let (low, high) = range.bounds();
        for step in 0..path.len() {
            let (ahead, _) = path.split_at(step);
            // The value `back` steps before the one that is forecast.
            let value = |back: usize| {
                if back <= step {
                    ahead[step - back]
                } else {
                    self.ago(back - step - 1)
                }
            };
            let difference = self.plan.difference;
            let regressed = |back: usize| match difference {
                0 => value(back),
                difference => value(back) - value(back + difference),
            };
            let inputs = self.plan.lags.map(|lag| regressed(lag) - self.reference);
            let expected = self.reference + self.rls.expected(&inputs);
            let base = if difference == 0 { 0.0 } else { value(difference) };
            path[step] = (base + expected).clamp(low, high);
        }
    }

    fn is_ready(&self) -> bool {
        self.learned as usize >= 2 * N
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained<const N: usize>(
        mut model: Lagged<N>,
        steps: usize,
        series: impl Fn(usize) -> f64,
    ) -> Lagged<N> {
        (0..steps).for_each(|t| model.update(Some(series(t))));
        model
    }

    #[test]
    fn a_season_with_a_trend_is_carried_on_by_seasonal_differences() {
        let series = |t: usize| 0.3 * t as f64 + [10.0, 50.0, 20.0, 90.0, 40.0, 0.0, 5.0][t % 7];
        let model = trained(Lagged::new("sd", [1, 2, 3], 7, 0.999, 0.001), 120, series);
        let mut path = [0.0; 20];
        model.forecast(&mut path);
        for (h, y) in path.iter().enumerate() {
            assert!((y - series(120 + h)).abs() < 0.5, "step {h}: {y}");
        }
    }

    #[test]
    fn missing_observations_let_the_season_run_on() {
        let series = |t: usize| if t % 48 < 5 { 90.0 } else { 30.0 };
        let mut model = trained(Lagged::new("s", [1, 47, 48, 49], 0, 0.999, 0.002), 400, series);
        (0..30).for_each(|_| model.update(None));
        let mut path = [0.0; 10];
        model.forecast(&mut path);
        for (h, y) in path.iter().enumerate() {
            assert!((y - series(430 + h)).abs() < 6.0, "step {h}: {path:?}");
        }
    }

    #[test]
    fn before_all_lags_were_seen_it_says_the_last_value_and_is_not_ready() {
        let model = trained(Lagged::new("s", [1, 100], 0, 0.999, 0.002), 50, |t| t as f64);
        let mut path = [0.0; 3];
        model.forecast(&mut path);
        assert!(!model.is_ready() && path == [49.0; 3]);
    }
}

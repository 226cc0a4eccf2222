//! Exponential smoothing with a damped trend.

use super::{Forecaster, believable, within};

/// Damped Holt: a level, and a trend that fades by `damping` each step ahead.
///
/// With `trend_gain` 0 it is simple exponential smoothing. Forecasts are bounded: the trend adds at most
/// `damping / (1 − damping)` of itself. A missing observation moves the level along the trend.
///
/// Gardner & McKenzie, *Forecasting trends in time series*, Management Science 31 (1985).
#[derive(Debug, Clone)]
pub struct Holt {
    name: &'static str,
    level_gain: f64,
    trend_gain: f64,
    damping: f64,
    seen: u32,
    level: Option<f64>,
    trend: f64,
}

impl Holt {
    /// Follows the level slowly and knows no trend: best where noise hides a level.
    pub fn slow() -> Self {
        Self::new("holt_slow", 0.15, 0.0, 0.0)
    }

    /// Between the two.
    pub fn medium() -> Self {
        Self::new("holt_medium", 0.4, 0.1, 0.9)
    }

    /// Follows at once and believes trends: best on ramps with little noise.
    pub fn fast() -> Self {
        Self::new("holt_fast", 0.8, 0.3, 0.9)
    }

    /// Gains in 0 to 1, damping in 0 to 0.98; values outside are brought to the nearest, NaN to 0.
    pub fn new(name: &'static str, level_gain: f64, trend_gain: f64, damping: f64) -> Self {
        Self {
            name,
            level_gain: within(level_gain, 0.0, 1.0),
            trend_gain: within(trend_gain, 0.0, 1.0),
            damping: within(damping, 0.0, 0.98),
            seen: 0,
            level: None,
            trend: 0.0,
        }
    }
}

impl Forecaster for Holt {
    fn name(&self) -> &str {
        self.name
    }

    fn reset(&mut self) {
        (self.seen, self.level, self.trend) = (0, None, 0.0);
    }

    fn update(&mut self, y: Option<f64>) {
        let Some(level) = self.level else {
            self.level = believable(y);
            return;
        };
        let faded = self.damping * self.trend;
        let expected = level + faded;
        let Some(y) = believable(y) else {
            self.level = Some(expected);
            self.trend = faded;
            return;
        };
        self.seen = self.seen.saturating_add(1);
        // At first the level is the mean of what was seen, else a slow one would keep the first value for long.
        let gain = self.level_gain.max(1.0 / f64::from(self.seen + 1));
        let next = expected + gain * (y - expected);
        self.trend = faded + self.trend_gain * (next - level - faded);
        self.level = Some(next);
    }

    fn forecast(&self, path: &mut [f64]) {
        let mut y = self.level.unwrap_or(0.0);
        let mut trend = self.trend;
        for step in path {
            trend *= self.damping;
            y += trend;
            *step = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mut model: Holt, series: impl IntoIterator<Item = Option<f64>>) -> Vec<f64> {
        series.into_iter().for_each(|y| model.update(y));
        let mut path = vec![0.0; 10];
        model.forecast(&mut path);
        path
    }

    #[test]
    fn a_ramp_is_carried_on_and_fades() {
        let path = after(Holt::fast(), (0..100).map(|t| Some(f64::from(t))));
        assert!(path[0] > 99.5 && path[0] < 100.2, "{path:?}");
        assert!(path[9] > path[0] && path[9] < 109.0, "{path:?}");
    }

    #[test]
    fn missing_observations_leave_a_constant_where_it_was() {
        let series = [Some(7.0), Some(7.0), None, None, None];
        for model in [Holt::slow(), Holt::medium(), Holt::fast()] {
            assert_eq!(after(model, series), vec![7.0; 10]);
        }
    }
}

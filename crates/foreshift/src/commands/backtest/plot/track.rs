//! What was forecast one horizon before, for every step: what the picture shows of a back-test.

use std::ops::Range;

use foreshift_forecast::{Prediction, backtest::Step};

/// One element a step of the series; NaN where nothing was forecast for it.
#[derive(Debug)]
pub(crate) struct Track {
    horizon: usize,
    threshold: Option<f64>,
    pub(super) point: Vec<f64>,
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
    /// Where the alarm on the 0.9 path was on, after that step's value was seen.
    pub(super) alarm: Vec<bool>,
    /// The highest value that was forecast, and its step.
    peak: Option<(usize, f64)>,
}

impl Track {
    pub(crate) fn new(steps: usize, horizon: usize, threshold: Option<f64>) -> Self {
        Self {
            horizon,
            threshold,
            point: vec![f64::NAN; steps],
            low: vec![f64::NAN; steps],
            high: vec![f64::NAN; steps],
            alarm: vec![false; steps],
            peak: None,
        }
    }

    /// Takes what one step of the back-test gave.
    pub(crate) fn add(&mut self, step: &Step<'_>) {
        let is_higher = |y: &f64| self.peak.is_none_or(|(_, highest)| *y > highest);
        if let (Some(y), Some(_)) = (step.actual.filter(is_higher), step.prediction) {
            self.peak = Some((step.index, y));
        }
        if let Some(prediction) = step.prediction {
            self.alarm[step.index] = self.threshold.is_some_and(|level| is_alarm(prediction, level));
            self.hold(step.index + self.horizon, prediction);
        }
    }

    fn hold(&mut self, target: usize, prediction: &Prediction) {
        if target >= self.point.len() {
            return;
        }
        let end = |path: Option<&[f64]>| path.and_then(<[f64]>::last).copied().unwrap_or(f64::NAN);
        self.point[target] = end(Some(prediction.point()));
        self.low[target] = end(prediction.quantile(0.05));
        self.high[target] = end(prediction.quantile(0.95));
    }

    /// A stretch about the highest value, short enough for each step to be seen.
    pub(super) fn telling_stretch(&self) -> Option<Range<usize>> {
        let (peak, _) = self.peak?;
        let length = (self.horizon * 16).clamp(240, 600);
        let start = peak.saturating_sub(length * 2 / 3);
        Some(start..(start + length).min(self.point.len()))
    }
}

fn is_alarm(prediction: &Prediction, level: f64) -> bool {
    prediction
        .quantile(0.9)
        .is_some_and(|path| path.iter().any(|y| *y > level))
}

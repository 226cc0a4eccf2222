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
    /// The highest value that could be forecast, and the step at which the overload that it is in began; without a
    /// threshold its own.
    peak: Option<(usize, f64)>,
    /// Since when the load has been over the threshold.
    over_since: Option<usize>,
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
            over_since: None,
        }
    }

    /// Takes what one step of the back-test gave.
    pub(crate) fn add(&mut self, step: &Step<'_>) {
        if let Some(y) = step.actual {
            self.look(step.index, y, step.prediction.is_some());
        }
        if let Some(prediction) = step.prediction {
            self.alarm[step.index] = self.threshold.is_some_and(|level| is_alarm(prediction, level));
            self.hold(step.index + self.horizon, prediction);
        }
    }

    fn look(&mut self, index: usize, y: f64, is_forecast: bool) {
        let is_over = self.threshold.is_some_and(|level| y > level);
        self.over_since = self.over_since.or(Some(index)).filter(|_| is_over);
        if is_forecast && self.peak.is_none_or(|(_, highest)| y > highest) {
            self.peak = Some((self.over_since.unwrap_or(index), y));
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

    /// A stretch about the beginning of the highest overload, short enough for each step to be seen.
    pub(super) fn telling_stretch(&self) -> Option<Range<usize>> {
        let (peak, _) = self.peak?;
        let length = (self.horizon * 16).clamp(240, 600);
        let start = peak.saturating_sub(length / 2);
        Some(start..(start + length).min(self.point.len()))
    }
}

fn is_alarm(prediction: &Prediction, level: f64) -> bool {
    prediction
        .quantile(0.9)
        .is_some_and(|path| path.iter().any(|y| *y > level))
}

//! A model of somebody else's at the end of a series: as a batch model, and as one of the online pool.

use super::{Inner, Onnx, scaled::Scratch};
use crate::{Fit, FitError, Fitted, Forecaster, Prediction, fit::check_train, learned::recent::Recent};

/// A model at the end of a series. An update slides the window; only a prediction runs it.
#[derive(Debug, Clone)]
pub struct OnnxFitted {
    onnx: Onnx,
    recent: Recent,
}

/// A model as one of the online pool: each update runs it.
///
/// Ready once a window was seen. Once it has failed it is dropped: it is never ready again and is not run any more. What
/// lies beyond its horizon stays at its last step.
#[derive(Debug, Clone)]
pub struct OnnxForecaster {
    onnx: Onnx,
    recent: Recent,
    scratch: Scratch,
    path: Vec<f64>,
    signals: Vec<Option<f64>>,
    fault: Option<String>,
}

impl Fit for Onnx {
    fn name(&self) -> &str {
        "onnx"
    }

    /// Takes the end of the series as its window.
    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        check_train("onnx", self.inner.window, train)?;
        if self.inner.features > 1 {
            return Err(FitError::Unsuitable {
                model: "onnx",
                reason: format!("it reads {} features, a series alone is one", self.inner.features),
            });
        }
        let mut recent = Recent::new(self.inner.window, 0);
        let newest = &train[train.len() - self.inner.window..];
        newest.iter().for_each(|&y| recent.push(Some(y), &[]));
        Ok(Box::new(OnnxFitted {
            onnx: self.clone(),
            recent,
        }))
    }
}

impl Onnx {
    /// As one of the online models.
    pub fn forecaster(&self) -> OnnxForecaster {
        let inner = &self.inner;
        OnnxForecaster {
            onnx: self.clone(),
            recent: Recent::new(inner.window, inner.features - 1),
            scratch: Scratch::new(inner),
            path: vec![0.0; inner.horizon],
            signals: vec![None; inner.features - 1],
            fault: None,
        }
    }
}

impl Inner {
    /// The expectation of step `h` in an answer: of several quantiles the one nearest to a half.
    fn point(&self, answer: &[f64], h: usize) -> f64 {
        let step = &answer[h * self.width..(h + 1) * self.width];
        let from_half = |i: &usize| (self.options.quantiles.get(*i).copied().unwrap_or(0.5) - 0.5).abs();
        let middle = (0..self.width).min_by(|a, b| from_half(a).total_cmp(&from_half(b)));
        step[middle.unwrap_or(0)]
    }

    /// Quantile `q` of step `h`: straight between those that the model answers, beyond them the outermost. `None` where
    /// it answers none.
    fn quantile(&self, answer: &[f64], h: usize, q: f64) -> Option<f64> {
        if self.width == 1 {
            return None;
        }
        let (known, step) = (
            &self.options.quantiles,
            &answer[h * self.width..(h + 1) * self.width],
        );
        let right = known.partition_point(|&p| p < q);
        if right == 0 || right == known.len() {
            return Some(step[right.min(known.len() - 1)]);
        }
        let share = (q - known[right - 1]) / (known[right] - known[right - 1]);
        Some(step[right - 1] + share * (step[right] - step[right - 1]))
    }
}

impl OnnxFitted {
    /// Root mean square of the window's changes, scaled down first so that no square overflows.
    fn change(&self) -> f64 {
        let changes = || {
            self.recent
                .values()
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).abs())
        };
        let largest = changes().fold(0.0, f64::max);
        if !largest.is_normal() {
            return 0.0;
        }
        let squares: f64 = changes().map(|change| (change / largest).powi(2)).sum();
        largest * (squares / changes().count().max(1) as f64).sqrt()
    }
}

impl Fitted for OnnxFitted {
    fn name(&self) -> &str {
        "onnx"
    }

    /// Quantiles are the model's own where it answers some, else those of a random walk with the window's changes. Beyond
    /// its horizon its last step stays; where it fails now, so does the newest value.
    fn predict(&self, horizon: usize, quantiles: &[f64]) -> Prediction {
        let (inner, mut scratch) = (&self.onnx.inner, Scratch::new(&self.onnx.inner));
        let newest = self.recent.values().last().copied().unwrap_or(0.0);
        if inner.answer_recent(&self.recent, &mut scratch).is_err() {
            scratch.answer.fill(newest);
        }
        let last = inner.horizon - 1;
        let point: Vec<f64> = (0..horizon)
            .map(|h| inner.point(&scratch.answer, h.min(last)))
            .collect();
        let change = self.change();
        let deviations: Vec<f64> = (1..=horizon).map(|h| change * (h as f64).sqrt()).collect();
        let answered = quantiles.iter().map(|&q| {
            let path = (0..horizon).map(|h| inner.quantile(&scratch.answer, h.min(last), q));
            Some((q, path.collect::<Option<Vec<f64>>>()?))
        });
        let prediction = match answered.collect() {
            Some(paths) => Prediction::new(point, paths),
            None => Prediction::normal(point, &deviations, quantiles),
        };
        prediction.unwrap_or_default()
    }

    fn update(&mut self, y: Option<f64>) -> bool {
        self.recent.push(y, &[]);
        true
    }
}

impl OnnxForecaster {
    /// Drops it for a reason that only the caller can know, such as that it takes too long.
    pub fn drop_for(&mut self, reason: impl Into<String>) {
        self.fault.get_or_insert(reason.into());
    }

    fn run(&mut self) {
        match self.onnx.inner.answer_recent(&self.recent, &mut self.scratch) {
            Ok(()) => {
                for (h, y) in self.path.iter_mut().enumerate() {
                    *y = self.onnx.inner.point(&self.scratch.answer, h);
                }
            }
            Err(fault) => self.drop_for(fault.to_string()),
        }
    }
}

impl Forecaster for OnnxForecaster {
    fn name(&self) -> &str {
        "onnx"
    }

    fn update(&mut self, y: Option<f64>) {
        self.update_with(y, &[]);
    }

    fn update_with(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        for (cell, &index) in self.signals.iter_mut().zip(&self.onnx.inner.options.signals) {
            *cell = signals.get(index).copied().flatten();
        }
        self.recent.push(y, &self.signals);
        if self.is_ready() {
            self.run();
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        let shared = path.len().min(self.path.len());
        let (near, beyond) = path.split_at_mut(shared);
        near.copy_from_slice(&self.path[..shared]);
        beyond.fill(self.path.last().copied().unwrap_or(0.0));
    }

    /// Forgets the series, not the fault.
    fn reset(&mut self) {
        self.recent.clear();
        self.path.fill(0.0);
    }

    fn is_ready(&self) -> bool {
        self.fault.is_none() && self.recent.is_full(self.onnx.inner.window)
    }

    fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

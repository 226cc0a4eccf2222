//! A trained network at the end of a series: as a batch model, and as one of the online pool.

use super::{Lstm, net::Scratch, window::Context};
use crate::{Fit, FitError, Fitted, Forecaster, Prediction, fit::check_train, learned::recent::Recent};

/// A network at the end of a series. An update slides the window; only a prediction computes.
#[derive(Debug, Clone)]
pub struct LstmFitted {
    lstm: Lstm,
    recent: Recent,
    newest_step: Option<i64>,
}

/// A network as one of the online models: each update computes the path, in memory that does not grow.
///
/// Ready once a window was seen. What lies beyond the network's horizon stays at its last step.
#[derive(Debug, Clone)]
pub struct LstmForecaster {
    fitted: LstmFitted,
    scratch: Scratch,
    path: Vec<f64>,
    indices: Vec<usize>,
    signals: Vec<Option<f64>>,
}

impl LstmFitted {
    fn context(&self) -> Option<Context<'_>> {
        let newest = self.recent.values().len().checked_sub(1)?;
        Some(Context {
            values: self.recent.values(),
            signals: self.recent.signals(),
            newest,
            newest_step: self.newest_step,
        })
    }

    fn push(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        self.recent.push(y, signals);
        self.newest_step = self.newest_step.map(|step| step.wrapping_add(1));
    }

    /// Answers into `scratch`; false before the first observation.
    fn answer(&self, scratch: &mut Scratch) -> bool {
        let Some(context) = self.context() else {
            return false;
        };
        self.lstm.net.answer(&context, scratch);
        true
    }
}

/// A scaled answer in the series' own unit.
fn unscaled(scratch: &Scratch, scaled: f64) -> f64 {
    (scratch.scale.level + scratch.scale.size * scaled).clamp(f64::MIN, f64::MAX)
}

impl Fitted for LstmFitted {
    fn name(&self) -> &str {
        "lstm"
    }

    /// Beyond the network's horizon its own expectation is taken as if it had come, and the errors grow as those of a
    /// random walk.
    fn predict(&self, horizon: usize, quantiles: &[f64]) -> Prediction {
        let mut ahead = self.clone();
        let mut scratch = Scratch::new(&self.lstm.net.shape);
        let block = self.lstm.net.shape.horizon;
        let mut point = Vec::with_capacity(horizon);
        let mut paths: Vec<(f64, Vec<f64>)> = quantiles.iter().map(|&q| (q, Vec::new())).collect();
        let mut size = 0.0;
        while point.len() < horizon {
            ahead.answer(&mut scratch);
            if point.is_empty() {
                size = scratch.scale.size;
            }
            for h in 0..block.min(horizon - point.len()) {
                let (y, from_start) = (unscaled(&scratch, f64::from(scratch.output[h])), point.len());
                let wider = ((from_start + 1) as f64 / block as f64).max(1.0).sqrt();
                let mut below = f64::MIN;
                for (q, path) in &mut paths {
                    let offset = self.lstm.spread.offset(from_start.min(block - 1), *q);
                    below = (y + size * wider * offset).clamp(below, f64::MAX);
                    path.push(below);
                }
                point.push(y);
                ahead.push(Some(y), &[]);
            }
        }
        Prediction::new(point, paths).unwrap_or_default()
    }

    fn update(&mut self, y: Option<f64>) -> bool {
        self.push(y, &[]);
        true
    }
}

impl Fit for Lstm {
    fn name(&self) -> &str {
        "lstm"
    }

    /// Takes the end of the series as its window; the weights stay as they were trained. The phase of its seasons is not
    /// known from values alone: [`Lstm::at_end_of`] takes it.
    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        Ok(Box::new(self.at_end_of(train, None)?))
    }
}

impl Lstm {
    /// The network at the end of a series that began `first_step` steps after the origin that it was trained with (see
    /// [`TrainSeries::first_step`](super::TrainSeries::first_step)).
    pub fn at_end_of(&self, train: &[f64], first_step: Option<i64>) -> Result<LstmFitted, FitError> {
        check_train("lstm", self.net.shape.window, train)?;
        if self.net.shape.signals > 0 {
            return Err(FitError::Unsuitable {
                model: "lstm",
                reason: format!(
                    "it was trained with {} signals beside the series",
                    self.net.shape.signals
                ),
            });
        }
        let mut fitted = self.at_begin();
        let kept = train.len().saturating_sub(self.net.shape.context());
        train[kept..].iter().for_each(|&y| fitted.push(Some(y), &[]));
        fitted.newest_step = first_step.map(|first| first.wrapping_add(train.len() as i64 - 1));
        Ok(fitted)
    }

    fn at_begin(&self) -> LstmFitted {
        let shape = &self.net.shape;
        LstmFitted {
            lstm: self.clone(),
            recent: Recent::new(shape.context(), shape.signals),
            newest_step: None,
        }
    }

    /// As one of the online models. `indices` says which of the signals of [`Forecaster::update_with`] it was trained
    /// with, in their order there; one that is missing is held at its newest value.
    pub fn forecaster(&self, indices: &[usize]) -> LstmForecaster {
        let shape = &self.net.shape;
        LstmForecaster {
            fitted: self.at_begin(),
            scratch: Scratch::new(shape),
            path: vec![0.0; shape.horizon],
            indices: indices.iter().copied().take(shape.signals).collect(),
            signals: vec![None; shape.signals],
        }
    }
}

impl Forecaster for LstmForecaster {
    fn name(&self) -> &str {
        "lstm"
    }

    fn update(&mut self, y: Option<f64>) {
        self.update_with(y, &[]);
    }

    fn update_with(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        for (cell, &index) in self.signals.iter_mut().zip(&self.indices) {
            *cell = signals.get(index).copied().flatten();
        }
        self.fitted.push(y, &self.signals);
        if self.is_ready() && self.fitted.answer(&mut self.scratch) {
            for (y, &scaled) in self.path.iter_mut().zip(&self.scratch.output) {
                *y = unscaled(&self.scratch, f64::from(scaled));
            }
        }
    }

    fn forecast(&self, path: &mut [f64]) {
        let shared = path.len().min(self.path.len());
        let (near, beyond) = path.split_at_mut(shared);
        near.copy_from_slice(&self.path[..shared]);
        beyond.fill(self.path.last().copied().unwrap_or(0.0));
    }

    fn reset(&mut self) {
        self.fitted.recent.clear();
        self.path.fill(0.0);
    }

    fn is_ready(&self) -> bool {
        self.fitted.recent.is_full(self.fitted.lstm.net.shape.window)
    }
}

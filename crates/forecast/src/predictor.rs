//! Forecasts one node's load score from the ticks of the control loop.

use std::time::Duration;

use crate::{
    Error, Forecast, Forecaster, Holt, LastValue, Provenance, Scored,
    grid::{Grid, Tick},
};

/// How a [`Predictor`] works.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictorOptions {
    /// Distance of the grid's steps; the control loop's interval. Default 500 ms.
    pub step: Duration,
    /// How far ahead; rounded up to whole steps, at most 1,200 of them. Default 10 s.
    pub horizon: Duration,
    /// Probabilities of the quantile paths, in (0, 1), at most 8. 0.9 is always among them. Default 0.5, 0.9, 0.99.
    pub quantiles: Vec<f64>,
    /// `auto` weighs all models by their recent errors; else one of `last_value`, `holt`, `ar`, `seasonal`.
    pub model: String,
    /// Half-life of the predicted score on its way down, see [`Forecast::predicted_score`]. Default 5 s.
    pub release: Duration,
    /// Spreads periodic work of many predictors over ticks; any number that differs between nodes.
    pub stagger: u64,
}

impl Default for PredictorOptions {
    fn default() -> Self {
        Self {
            step: Duration::from_millis(500),
            horizon: Duration::from_secs(10),
            quantiles: vec![0.5, 0.9, 0.99],
            model: "auto".into(),
            release: Duration::from_secs(5),
            stagger: 0,
        }
    }
}

/// Most steps that a horizon may have.
const STEPS_MAX: usize = 1_200;
/// Most quantiles of a forecast.
const QUANTILES_MAX: usize = 8;
/// Names that [`PredictorOptions::model`] may have.
const MODELS: &[&str] = &["auto", "last_value", "holt", "ar", "seasonal"];

impl PredictorOptions {
    fn steps(&self) -> Result<usize, Error> {
        let step = self.step;
        if step < Duration::from_millis(1) || step > Duration::from_secs(3600) {
            return Err(Error::Step { step });
        }
        let steps = self.horizon.as_millis().div_ceil(step.as_millis());
        if steps == 0 || steps > STEPS_MAX as u128 {
            return Err(Error::Horizon {
                horizon: self.horizon,
                step,
                steps,
                steps_max: STEPS_MAX,
            });
        }
        Ok(steps as usize)
    }

    fn levels(self) -> Result<Vec<f64>, Error> {
        if let Some(&quantile) = self.quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
            return Err(Error::Quantile { quantile });
        }
        let mut levels = self.quantiles;
        levels.push(0.9);
        levels.sort_by(f64::total_cmp);
        levels.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        if levels.len() > QUANTILES_MAX {
            return Err(Error::QuantileCount {
                count: levels.len(),
                count_max: QUANTILES_MAX,
            });
        }
        Ok(levels)
    }

    fn check_model(&self) -> Result<(), Error> {
        if MODELS.contains(&self.model.as_str()) {
            return Ok(());
        }
        Err(Error::Model {
            name: self.model.clone(),
            known: MODELS,
        })
    }
}

/// One node's load forecast, updated once a tick.
#[derive(Debug)]
pub struct Predictor {
    grid: Grid,
    step_ms: u64,
    steps: usize,
    levels: Vec<f64>,
    seen: usize,
    last: LastValue,
    holt: Holt,
    change: f64,
}

const SEEN_MIN: usize = 4;

impl Predictor {
    /// Checks the options.
    pub fn new(options: PredictorOptions) -> Result<Self, Error> {
        options.check_model()?;
        let step_ms = options.step.as_millis() as u64;
        let steps = options.steps()?;
        Ok(Self {
            grid: Grid::new(step_ms, 120),
            step_ms,
            steps,
            levels: options.levels()?,
            seen: 0,
            last: LastValue::default(),
            holt: Holt::medium(),
            change: 0.0,
        })
    }

    /// Takes the load score of one tick; `None` where it was not measured.
    pub fn observe(&mut self, now_ms: u64, score: Option<f64>) {
        match self.grid.place(now_ms) {
            Tick::Repeated => return,
            Tick::Restart => self.restart(),
            Tick::Next { missing } => (0..missing).for_each(|_| self.step(None)),
        }
        self.step(score.filter(|y| y.is_finite()).map(|y| y.max(0.0)));
    }

    /// What is expected; `None` while too little was seen.
    pub fn forecast(&self) -> Option<Forecast> {
        if self.seen < SEEN_MIN {
            return None;
        }
        let mut point = vec![0.0; self.steps];
        self.holt.forecast(&mut point);
        point.iter_mut().for_each(|y| *y = y.max(0.0));
        let quantiles = self.levels.iter().map(|&q| (q, self.band(&point, q))).collect();
        let start_ms = self.grid.last_ms()?.saturating_add(self.step_ms);
        let provenance = Provenance {
            model: "holt_medium".into(),
            ..Provenance::default()
        };
        Forecast::new(start_ms, self.step_ms, point, quantiles, provenance).ok()
    }

    /// True while recent forecasts were worse than "the load stays as it is".
    pub fn gated(&self) -> bool {
        false
    }

    /// The newest observations, oldest first, one a step; `None` where nothing was seen.
    pub fn history(&self) -> Vec<Option<f64>> {
        Vec::new()
    }

    /// Forecasts of the full horizon whose time has come, oldest first.
    pub fn scored(&self) -> Vec<Scored> {
        Vec::new()
    }

    fn restart(&mut self) {
        self.seen = 0;
        self.last = LastValue::default();
        self.holt = Holt::medium();
        self.change = 0.0;
    }

    fn step(&mut self, y: Option<f64>) {
        if let Some(y) = y {
            let mut last = [0.0];
            self.last.forecast(&mut last);
            let change = if self.seen == 0 { 0.0 } else { (y - last[0]).abs() };
            self.change += 0.1 * (change - self.change);
            self.seen += 1;
        }
        self.last.update(y);
        self.holt.update(y);
    }

    fn band(&self, point: &[f64], q: f64) -> Vec<f64> {
        let width = (q - 0.5) * 4.0 * (self.change + 1.0);
        let widen = |(i, y): (usize, &f64)| (y + width * ((i + 1) as f64).sqrt()).max(0.0);
        point.iter().enumerate().map(widen).collect()
    }
}

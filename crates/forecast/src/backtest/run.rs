//! The walk over the series.

use super::{
    Error, Options, Report, Scores, Stepwise, Verdict,
    baseline::{self, Baseline},
    options, periods,
    scores::Collector,
    warning::Watch,
};
use crate::{Prediction, series::Series};

/// One step of the walk, as a caller that draws or tells its progress sees it.
#[derive(Debug)]
pub struct Step<'a> {
    /// Index into the series.
    pub index: usize,
    /// The value there.
    pub actual: Option<f64>,
    /// What was expected of the steps after, once that value was seen. Absent in the warm-up and where the forecaster
    /// had nothing to say.
    pub prediction: Option<&'a Prediction>,
}

/// Back-tests a forecaster on a series, from the series' beginning; `each` is shown every step.
///
/// The forecaster should be new. Every answer is made before the values that it is scored against are shown to it.
pub fn run(
    series: &Series,
    forecaster: &mut dyn Stepwise,
    options: &Options,
    mut each: impl FnMut(&Step<'_>),
) -> Result<Report, Error> {
    let warm_up = options::check(series, options)?;
    let mut walk = Walk::new(series, options);
    for (index, actual) in series.iter().enumerate() {
        forecaster.observe(actual);
        let is_origin = index + 1 >= warm_up;
        let prediction = if is_origin { forecaster.predict() } else { None };
        if let Some(prediction) = &prediction {
            check_shape(index, prediction, options)?;
        }
        walk.baselines(index, actual);
        if is_origin {
            walk.origin(index, actual, prediction.as_ref());
            if prediction.is_some() {
                walk.count_model(forecaster.model());
            }
        }
        each(&Step {
            index,
            actual,
            prediction: prediction.as_ref(),
        });
    }
    walk.report(series, options, warm_up)
}

/// The smoothed level as a baseline.
struct Level {
    length: usize,
    values: Vec<f64>,
    baseline: Baseline,
    collector: Collector,
}

struct Walk<'a> {
    values: &'a [f64],
    held: Vec<f64>,
    horizon: usize,
    persistence: (Baseline, Collector),
    seasonal: Option<(usize, Baseline, Collector)>,
    levels: [Level; 2],
    forecast: Collector,
    watch: Option<Watch>,
    origins: u64,
    silent: u64,
    models: Vec<(String, u64)>,
}

impl<'a> Walk<'a> {
    fn new(series: &'a Series, options: &Options) -> Self {
        let (horizon, quantiles) = (options.horizon, options.quantiles.as_slice());
        let collector = || Collector::new(horizon, quantiles);
        let baseline = |period| Baseline::new(period, horizon, quantiles);
        let period = periods::best(series, options);
        let held = baseline::held(series.values());
        let level = |length| Level {
            length,
            values: baseline::levels(&held, length),
            baseline: baseline(None),
            collector: collector(),
        };
        Self {
            values: series.values(),
            levels: baseline::level_lengths(horizon).map(level),
            held,
            horizon,
            persistence: (baseline(None), collector()),
            seasonal: period.map(|period| (period, baseline(Some(period)), collector())),
            forecast: collector(),
            watch: options
                .threshold
                .map(|threshold| Watch::new(threshold, horizon, quantiles)),
            origins: 0,
            silent: 0,
            models: Vec::new(),
        }
    }

    fn baselines(&mut self, index: usize, actual: Option<f64>) {
        let Some(y) = actual else { return };
        self.persistence.0.observe(&self.held, index, y);
        if let Some((_, baseline, _)) = &mut self.seasonal {
            baseline.observe(&self.held, index, y);
        }
        for level in &mut self.levels {
            level.baseline.observe(&level.values, index, y);
        }
    }

    fn origin(&mut self, index: usize, actual: Option<f64>, prediction: Option<&Prediction>) {
        if let Some(watch) = &mut self.watch {
            watch.observe(index, actual, self.held[index], prediction);
        }
        let Some(prediction) = prediction else {
            self.silent += 1;
            return;
        };
        self.origins += 1;
        // Without any value so far there is nothing to compare with.
        if self.held[index].is_nan() {
            return;
        }
        let targets = &self.values[(index + 1)..];
        for (k, &y) in targets.iter().take(self.horizon).enumerate() {
            if !y.is_nan() {
                self.score(index, k, y, prediction);
            }
        }
    }

    fn score(&mut self, origin: usize, k: usize, y: f64, prediction: &Prediction) {
        let path = |i: usize| prediction.quantiles()[i].1[k];
        self.forecast.add(k, y, prediction.point()[k], path);
        let held = &self.held;
        let baseline = |baseline: &Baseline, collector: &mut Collector, held: &[f64]| {
            let point = baseline.point(held, origin, k);
            collector.add(k, y, point, |i| point + baseline.offset(k, i));
        };
        baseline(&self.persistence.0, &mut self.persistence.1, held);
        if let Some((_, seasonal, collector)) = &mut self.seasonal {
            baseline(seasonal, collector, held);
        }
        for level in &mut self.levels {
            baseline(&level.baseline, &mut level.collector, &level.values);
        }
    }

    fn count_model(&mut self, model: &str) {
        if let Some((_, origins)) = self.models.iter_mut().find(|(name, _)| name == model) {
            *origins += 1;
        } else if self.models.len() < MODELS_MAX {
            // Names may hold fitted forms; the tail of rare ones is not worth memory.
            self.models.push((model.to_owned(), 1));
        }
    }

    fn report(mut self, series: &Series, options: &Options, warm_up: usize) -> Result<Report, Error> {
        let forecast = self.forecast.scores();
        if forecast.overall.count == 0 {
            return Err(Error::NothingScored { warm_up });
        }
        self.models
            .sort_by_key(|(_, origins)| std::cmp::Reverse(*origins));
        let seasonal = self.seasonal.map(|(period, _, scores)| (period, scores.scores()));
        let [short, long] = self.levels.map(|level| (level.length, level.collector.scores()));
        let at_end = |scores: &Scores| scores.by_horizon.last().map(|score| score.mae);
        let is_long = at_end(&long.1) < at_end(&short.1);
        let mut report = Report {
            steps: series.len(),
            step: series.step(),
            missing: series.missing(),
            warm_up,
            horizon: self.horizon,
            origins: self.origins,
            silent: self.silent,
            quantiles: options.quantiles.clone(),
            scale: periods::mean_difference(self.values, 1).filter(|scale| *scale > 0.0),
            forecast,
            persistence: self.persistence.1.scores(),
            seasonal_naive: seasonal,
            smoothed_level: if is_long { long } else { short },
            models: self.models,
            early_warning: self
                .watch
                .map(|watch| watch.account(&self.values[(warm_up - 1)..])),
            verdict: Verdict::unknown(),
        };
        report.verdict = Verdict::of(&report);
        Ok(report)
    }
}

const MODELS_MAX: usize = 64;

fn check_shape(index: usize, prediction: &Prediction, options: &Options) -> Result<(), Error> {
    let (steps, found) = (prediction.point().len(), prediction.quantiles());
    let agreed = found.iter().map(|(q, _)| q).zip(&options.quantiles);
    let is_as_agreed = steps == options.horizon
        && found.len() == options.quantiles.len()
        && agreed.into_iter().all(|(a, b)| (a - b).abs() < 1e-9);
    if is_as_agreed {
        return Ok(());
    }
    let quantiles = found.len();
    Err(Error::Shape {
        index,
        steps,
        quantiles,
    })
}

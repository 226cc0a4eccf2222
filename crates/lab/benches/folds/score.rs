//! Scores of forecasts: by data set over the folds, and step by step over whole series.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anyhow::Result;

use crate::{
    files::{Fold, Folder},
    forecaster::{self, Forecast},
};

/// Each fold's scores, by data set.
#[derive(Default)]
pub(crate) struct Scores(BTreeMap<String, Vec<Score>>);

/// Errors in units of the mean change over one season in what was trained on.
struct Score {
    mase: f64,
    covered: f64,
    /// Winkler score at 0.1: width, and 20 times what lies outside.
    winkler: f64,
    cpu_s: f64,
}

impl Scores {
    /// Folds whose training values do not change are not scored: there is no unit.
    pub(crate) fn add(&mut self, fold: &Fold, train: &[f64], test: &[f64], forecast: &Forecast, cpu_s: f64) {
        let changes = train.iter().zip(train.iter().skip(fold.m));
        let unit = mean(changes.map(|(a, b)| (a - b).abs()));
        if unit.is_nan() || unit <= 1e-9 {
            return;
        }
        let bounds = || test.iter().zip(forecast.low.iter().zip(&forecast.high));
        let missed = |y: f64, low: f64, high: f64| (low - y).max(0.0) + (y - high).max(0.0);
        let winkler = bounds().map(|(&y, (&low, &high))| high - low + 20.0 * missed(y, low, high));
        let score = Score {
            mase: mean(test.iter().zip(&forecast.mean).map(|(y, f)| (y - f).abs())) / unit,
            covered: mean(bounds().map(|(y, (low, high))| f64::from(u8::from(low <= y && y <= high)))),
            winkler: mean(winkler) / unit,
            cpu_s,
        };
        self.0.entry(fold.dataset.clone()).or_default().push(score);
    }

    pub(crate) fn table(&self, model: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:<22} {:>6} {:>9} {:>9} {:>7} {:>9} {:>9}   model {model}",
            "data set", "folds", "MASE", "median", "cov90", "Winkler", "CPU ms"
        );
        for (dataset, scores) in &self.0 {
            let all = |of: fn(&Score) -> f64| scores.iter().map(of);
            let _ = writeln!(
                text,
                "{dataset:<22} {:>6} {:>9.4} {:>9.4} {:>7.3} {:>9.3} {:>9.2}",
                scores.len(),
                mean(all(|s| s.mase)),
                median(all(|s| s.mase)),
                mean(all(|s| s.covered)),
                median(all(|s| s.winkler)),
                1e3 * mean(all(|s| s.cpu_s)),
            );
        }
        text
    }
}

/// The share of values inside the 90 % band at each step ahead, over all steps of all whole series but the first
/// quarter of each.
pub(crate) fn step_by_step(folder: &Folder, model: &str) -> Result<String> {
    let mut tallies: BTreeMap<&str, (Vec<u64>, u64)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for fold in folder.folds() {
        if !seen.insert((&fold.dataset, &fold.series)) {
            continue;
        }
        let tally = tallies
            .entry(&fold.dataset)
            .or_insert_with(|| (vec![0; fold.h], 0));
        cover(folder.series(fold)?, fold, model, tally)?;
    }
    let mut text = String::from("share inside the 90 % band, step by step, by steps ahead\n");
    for (dataset, (hits, count)) in tallies {
        let share = |hits: &u64| format!("{:.3}", *hits as f64 / count.max(1) as f64);
        let shares: Vec<String> = hits.iter().map(share).collect();
        let _ = writeln!(text, "{dataset:<22} {} ({count} origins)", shares.join(" "));
    }
    Ok(text)
}

fn cover(values: &[f64], fold: &Fold, model: &str, (hits, count): &mut (Vec<u64>, u64)) -> Result<()> {
    let mut selector = forecaster::selector(model, fold.h, fold.m, values.len())?;
    let young = values.len() / 4;
    for (t, &y) in values.iter().enumerate() {
        selector.observe(Some(y));
        if let Some(refit) = selector.refit_due() {
            selector.accept(refit.run());
        }
        let Some(truth) = values.get(t + 1..=t + fold.h).filter(|_| t >= young) else {
            continue;
        };
        let Some(prediction) = selector.predict() else {
            continue;
        };
        let (Some(low), Some(high)) = (prediction.quantile(0.05), prediction.quantile(0.95)) else {
            continue;
        };
        *count += 1;
        for (h, y) in truth.iter().enumerate() {
            hits[h] += u64::from(low[h] <= *y && *y <= high[h]);
        }
    }
    Ok(())
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), y| (sum + y, count + 1));
    sum / f64::from(count)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 if middle > 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values.get(middle).copied().unwrap_or(f64::NAN),
    }
}

//! `foreshift forecast FILE`: what comes next in one series.

use anyhow::{Result, bail};
use foreshift_forecast::{Prediction, backtest::Stepwise};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    forecaster::{self, Ahead, Brought},
    history::{self, History, Source, duration::show},
    output::{Output, Rows},
    progress::Progress,
};

/// Steps that the table shows; JSON has all.
const LINES_MAX: usize = 20;

#[derive(Debug, Serialize)]
struct Shown<'a> {
    series: &'a str,
    step_ms: u64,
    /// The instant of the first element of the paths, in Unix milliseconds; absent where the file has no times.
    start_ms: Option<i64>,
    model: &'a str,
    reason: Option<&'a str>,
    point: &'a [f64],
    quantiles: Vec<Path<'a>>,
    /// Where a model from a file was given.
    model_file: Option<&'a Brought>,
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct Path<'a> {
    q: f64,
    path: &'a [f64],
}

pub(super) fn forecast(out: &Output, source: &Source, ahead: &Ahead, json: bool) -> Result<()> {
    let mut history = history::read(source)?;
    let step = history.series.step();
    let mut forecaster = forecaster::build(ahead, step)?;
    history.notes.extend(ahead.note(forecaster.horizon(), step));
    let series = &history.series;
    let mut progress = Progress::new("forecasting", series.len() as u64);
    for (index, y) in series.iter().enumerate() {
        forecaster.observe(y);
        progress.at(index as u64);
    }
    progress.finish();
    let Some(prediction) = forecaster.predict() else {
        bail!(
            "{}: too little is known at the end of the series to forecast it",
            history.name
        );
    };
    let told = Told {
        model: forecaster.model().to_owned(),
        reason: forecaster.reason(),
        brought: forecaster.brought(),
    };
    if json {
        return out.json(&shown(&history, &told, &prediction));
    }
    print(out, &history, &told, &prediction)
}

/// What the forecaster tells of itself.
struct Told {
    model: String,
    reason: Option<String>,
    brought: Option<Brought>,
}

fn shown<'a>(history: &'a History, told: &'a Told, prediction: &'a Prediction) -> Shown<'a> {
    let series = &history.series;
    let paths = prediction.quantiles().iter();
    Shown {
        series: &history.name,
        step_ms: series.step().as_millis() as u64,
        start_ms: history.has_times.then(|| series.at_ms(series.len())),
        model: &told.model,
        reason: told.reason.as_deref(),
        point: prediction.point(),
        quantiles: paths.map(|(q, path)| Path { q: *q, path }).collect(),
        model_file: told.brought.as_ref(),
        notes: &history.notes,
    }
}

fn print(out: &Output, history: &History, told: &Told, prediction: &Prediction) -> Result<()> {
    let series = &history.series;
    out.line(format!(
        "{}: {} steps of {}",
        history.name,
        series.len(),
        show(series.step())
    ))?;
    for note in &history.notes {
        out.line(format!("Note: {note}"))?;
    }
    let reason = told.reason.iter().map(|reason| format!(": {reason}"));
    out.line(format!("Model: {}{}", told.model, reason.collect::<String>()))?;
    if let Some(brought) = &told.brought {
        out.line(brought.shown())?;
    }
    let quantiles = prediction.quantiles();
    let names = quantiles.iter().map(|(q, _)| format!(">q {q}"));
    let time_name = if history.has_times { "time (utc)" } else { "time" };
    let columns: Vec<String> = [time_name.to_owned(), ">ahead".into(), ">point".into()]
        .into_iter()
        .chain(names)
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut rows = Rows::new(&columns);
    let steps = prediction.point().len();
    // The last step is always among those shown.
    let every = steps.div_ceil(LINES_MAX);
    for k in (0..steps).filter(|k| (steps - 1 - k).is_multiple_of(every)) {
        let values = std::iter::once(prediction.point()[k]).chain(quantiles.iter().map(|(_, path)| path[k]));
        let cells = [time(history, k), show(series.step().saturating_mul(k as u32 + 1))];
        rows.add(cells.into_iter().chain(values.map(figures)));
    }
    out.line(rows.text())
}

/// The instant of step `k` of the forecast.
fn time(history: &History, k: usize) -> String {
    let at_ms = history.series.at_ms(history.series.len() + k);
    match Timestamp::from_millisecond(at_ms) {
        Ok(at) if history.has_times => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => format!("step {}", history.series.len() + k),
    }
}

/// Five significant figures.
pub(crate) fn figures(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e9).contains(&size) => format!("{value:.4e}"),
        size => format!("{value:.*}", (4.0 - size.log10().floor()).max(0.0) as usize),
    }
}

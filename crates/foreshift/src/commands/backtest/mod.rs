//! `foreshift backtest`: would prediction have helped on this history?

mod json;
mod plot;
mod table;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use foreshift_forecast::{
    backtest::{self, Options, Report, calendar_periods},
    series::Series,
};

use crate::{
    forecaster,
    history::{self, History, Source, duration},
    output::Output,
    progress::Progress,
    usage::usage,
};

#[derive(Debug, Args)]
pub(crate) struct Backtest {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    ahead: Ahead,
    /// A value above is an overload: tells which would have been foreseen, and how long before
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Steps or time that is only learned from [default: a tenth, at most 2000 steps]
    #[arg(long, value_name = "STEPS|TIME", value_parser = span)]
    warm_up: Option<Span>,
    /// Draw what was measured beside what was forecast; .svg or .png
    #[arg(long, value_name = "FILE", value_parser = plot::file)]
    plot: Option<PathBuf>,
    /// Print JSON, with every horizon and alarm
    #[arg(long)]
    json: bool,
}

/// How far ahead, and by which model.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ahead {
    /// How far ahead: steps, or a time such as 15min
    #[arg(long, value_name = "STEPS|TIME", default_value = "20", value_parser = span)]
    pub(crate) horizon: Span,
    /// The model; auto chooses by what happened
    #[arg(long, default_value = "auto")]
    pub(crate) model: String,
}

/// Steps, or a time that is so many of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Span {
    Steps(usize),
    Time(Duration),
}

fn span(text: &str) -> Result<Span, String> {
    match text.parse() {
        Ok(steps) => Ok(Span::Steps(steps)),
        Err(_) => duration::parse(text)
            .map(Span::Time)
            .map_err(|error| format!("{error}, or as a number of steps")),
    }
}

impl Span {
    /// In steps, rounded up.
    pub(crate) fn steps(self, step: Duration) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Time(time) => {
                usize::try_from(time.as_millis().div_ceil(step.as_millis().max(1))).unwrap_or(usize::MAX)
            }
        }
    }
}

pub(super) fn backtest(out: &Output, args: &Backtest) -> Result<()> {
    let history = history::read(&args.source)?;
    let mut track = None;
    let (report, took) = run(args, &history.series, &mut track)?;
    if let (Some(file), Some(track)) = (&args.plot, &track) {
        plot::write(file, &history.series, track, &labels(&history, &report))?;
    }
    if args.json {
        return out.json(&json::Shown::of(&history, &report, took));
    }
    table::print(out, &history, &report, took)
}

fn labels(history: &History, report: &Report) -> plot::Labels {
    let horizon = u32::try_from(report.horizon).unwrap_or(u32::MAX);
    plot::Labels {
        title: history.name.clone(),
        horizon: duration::show(report.step.saturating_mul(horizon)),
        has_times: history.has_times,
        threshold: report.early_warning.as_ref().map(|warning| warning.threshold),
    }
}

/// Back-tests; fills `track` where a plot is wanted.
fn run(args: &Backtest, series: &Series, track: &mut Option<plot::Track>) -> Result<(Report, Duration)> {
    let step = series.step();
    let options = Options {
        threshold: args.threshold,
        warm_up: args.warm_up.map(|span| span.steps(step)),
        periods: calendar_periods(step),
        ..Options::new(args.ahead.horizon.steps(step))
    };
    let mut forecaster = forecaster::build(&args.ahead.model, options.horizon)?;
    *track = args
        .plot
        .as_ref()
        .map(|_| plot::Track::new(series.len(), options.horizon, args.threshold));
    let mut progress = Progress::new("back-testing", series.len() as u64);
    let report = backtest::run(series, forecaster.as_mut(), &options, |step| {
        progress.at(step.index as u64);
        if let Some(track) = track {
            track.add(step);
        }
    });
    let took = progress.finish();
    let report = report.map_err(|error| match error {
        backtest::Error::Threshold { .. } | backtest::Error::Horizon { .. } => usage(error.to_string()),
        error => error.into(),
    });
    Ok((report.context("this history cannot be back-tested")?, took))
}

/// Where in the horizon the table looks: its first, middle and last step, without repetition.
fn looked_at(horizon: usize) -> Vec<usize> {
    let mut steps = vec![0, horizon.div_ceil(2) - 1, horizon - 1];
    steps.dedup();
    steps
}

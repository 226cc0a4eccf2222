//! `foreshift backtest`: would prediction have helped on this history?

mod json;
mod plot;
mod table;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use foreshift_forecast::{
    backtest::{self, Options, Report, calendar_periods},
    batch::season,
    series::Series,
};

use crate::{
    forecaster::{self, Ahead, Brought},
    history::{
        self, History, Source,
        duration::{self, Span, span},
    },
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

pub(super) fn backtest(out: &Output, args: &Backtest) -> Result<()> {
    let history = history::read(&args.source)?;
    let mut track = None;
    let (report, brought, took) = run(args, &history.series, &mut track)?;
    if let (Some(file), Some(track)) = (&args.plot, &track) {
        plot::write(file, &history.series, track, &labels(&history, &report))?;
    }
    if args.json {
        return out.json(&json::Shown::of(&history, &report, brought.as_ref(), took));
    }
    table::print(out, &history, &report, brought.as_ref(), took)
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
fn run(
    args: &Backtest,
    series: &Series,
    track: &mut Option<plot::Track>,
) -> Result<(Report, Option<Brought>, Duration)> {
    let step = series.step();
    let mut forecaster = forecaster::build(&args.ahead, step)?;
    let options = Options {
        threshold: args.threshold,
        warm_up: args.warm_up.map(|span| span.steps(step)),
        periods: periods(series),
        ..Options::new(forecaster.horizon())
    };
    *track = args
        .plot
        .as_ref()
        .map(|_| plot::Track::new(series.len(), options.horizon, args.threshold));
    let mut progress = Progress::new("back-testing", series.len() as u64);
    let report = backtest::run(series, &mut forecaster, &options, |step| {
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
    let report = report.context("this history cannot be back-tested")?;
    Ok((report, forecaster.brought(), took))
}

/// Those of clock and calendar, and what else is found to repeat: for the seasonal naive forecast to choose from.
fn periods(series: &Series) -> Vec<usize> {
    let mut periods = calendar_periods(series.step());
    let found = season::detect(series.values());
    periods.extend(found.iter().map(|season| season.period));
    periods.sort_unstable();
    periods.dedup();
    periods
}

/// Where in the horizon the table looks: its first, middle and last step, without repetition.
fn looked_at(horizon: usize) -> Vec<usize> {
    let mut steps = vec![0, horizon.div_ceil(2) - 1, horizon - 1];
    steps.dedup();
    steps
}

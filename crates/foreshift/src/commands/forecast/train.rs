//! `foreshift forecast train`: one network over many series.

use std::{path::PathBuf, thread};

use anyhow::{Context, Result};
use clap::Args;
use foreshift_forecast::{
    backtest::calendar_periods,
    learned::{Executor, Job, Lstm, TrainError, TrainOptions, TrainSeries},
};

use crate::{
    history::{
        self, History, Reading,
        duration::{Span, show, span},
    },
    output::Output,
    progress::Progress,
    usage::usage,
};

#[derive(Debug, Args)]
pub(super) struct Train {
    /// CSV files; every column of values is a series, unless --column names one
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where to write the network
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// How far ahead it tells: steps, or a time such as 15min
    #[arg(long, value_name = "STEPS|TIME", default_value = "12", value_parser = span)]
    horizon: Span,
    /// How much it reads, likewise
    #[arg(long, value_name = "STEPS|TIME", default_value = "48", value_parser = span)]
    window: Span,
    /// Size of its state; time to train grows with the square
    #[arg(long, default_value_t = 32)]
    hidden: usize,
    /// Rounds at most
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    /// The same seed on the same series gives the same network, bit for bit
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// All of this machine's cores.
struct Cores(usize);

impl Executor for Cores {
    fn run(&self, jobs: Vec<Job<'_>>) {
        let mut hands: Vec<Vec<Job<'_>>> = (0..self.0.max(1)).map(|_| Vec::new()).collect();
        let count = hands.len();
        for (i, job) in jobs.into_iter().enumerate() {
            hands[i % count].push(job);
        }
        let own = hands.pop().unwrap_or_default();
        thread::scope(|scope| {
            for hand in hands {
                scope.spawn(|| hand.into_iter().for_each(|job| job()));
            }
            own.into_iter().for_each(|job| job());
        });
    }
}

pub(super) fn train(out: &Output, args: &Train) -> Result<()> {
    let mut histories = Vec::new();
    for file in &args.files {
        histories.extend(history::read_all(file, &args.reading)?);
    }
    let options = options(args, &histories)?;
    let series: Vec<TrainSeries<'_>> = histories.iter().map(of).collect();
    let cores = Cores(thread::available_parallelism().map_or(1, usize::from));
    let mut progress: Option<Progress> = None;
    let trained = Lstm::train(&series, &options, &cores, |at| {
        let batches = at.batches as u64;
        let progress = progress.get_or_insert_with(|| Progress::new("training", at.epochs as u64 * batches));
        progress.at(at.epoch as u64 * batches + at.batch as u64);
    });
    let took = progress.map(Progress::finish).unwrap_or_default();
    let network = trained.map_err(|error| match error {
        TrainError::Option { .. } => usage(error.to_string()),
        error => error.into(),
    })?;
    let bytes = network.to_bytes();
    std::fs::write(&args.out, &bytes).with_context(|| format!("write {}", args.out.display()))?;
    let header = network.header();
    out.line(format!(
        "{}: {} KiB, trained on {} series with {} windows for {} rounds in {:.1} s",
        args.out.display(),
        bytes.len().div_ceil(1_024),
        header.series,
        header.windows,
        header.epochs,
        took.as_secs_f64()
    ))?;
    let share = header.validation_loss / header.persistence_loss.max(f64::MIN_POSITIVE);
    let judgement = if share < 1.0 {
        "better than"
    } else {
        "no better than"
    };
    out.line(format!(
        "Loss on what was held out: {:.4}, that of persistence {:.4}: {judgement} \"it stays as it is\"",
        header.validation_loss, header.persistence_loss
    ))
}

/// As asked for, with the calendar's seasons as far as they fit three times into the longest series.
fn options(args: &Train, histories: &[History]) -> Result<TrainOptions> {
    let Some(first) = histories.first() else {
        return Err(usage("the files hold no column of values"));
    };
    let step = first.series.step();
    if let Some(other) = histories.iter().find(|other| other.series.step() != step) {
        return Err(usage(format!(
            "{} has steps of {}, {} of {}; bring them onto one with --step",
            first.name,
            show(step),
            other.name,
            show(other.series.step())
        )));
    }
    let longest = histories
        .iter()
        .map(|history| history.series.len())
        .max()
        .unwrap_or(0);
    let periods = calendar_periods(step)
        .into_iter()
        .filter(|period| period * 3 <= longest);
    Ok(TrainOptions {
        window: args.window.steps(step),
        horizon: args.horizon.steps(step),
        hidden: args.hidden,
        epochs: args.epochs,
        seed: args.seed,
        periods: periods.collect(),
        step_ms: u64::try_from(step.as_millis()).ok(),
        ..TrainOptions::default()
    })
}

fn of(history: &History) -> TrainSeries<'_> {
    let series = &history.series;
    let step_ms = i64::try_from(series.step().as_millis()).unwrap_or(i64::MAX);
    TrainSeries {
        values: series.values(),
        signals: &[],
        first_step: history.has_times.then(|| series.start_ms().div_euclid(step_ms)),
    }
}

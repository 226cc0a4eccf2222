//! Reads a series that was measured elsewhere: from a CSV file or from Prometheus, onto regular steps.
//!
//! What was guessed (the step, the column) or put right (clocks put forward, values that are no numbers) is told as
//! notes, since a figure made from a misread file looks like any other.

mod clock;
mod columns;
mod csv;
mod doubts;
pub(crate) mod duration;
mod prometheus;
mod table;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use foreshift_forecast::series::{Aggregate, Series, guess_step};

use crate::usage::usage;

/// Where a series comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Source {
    /// CSV with a header, `timestamp,value` or one column a series; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Read from this Prometheus instead, as in http://127.0.0.1:9090
    #[arg(long, value_name = "URL", conflicts_with = "file", requires = "query")]
    pub(crate) prometheus: Option<String>,
    /// What to ask Prometheus for; must give one series
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    pub(crate) query: Option<String>,
    /// Since when: RFC 3339, Unix seconds, or a time ago such as 14d [default: 7d]
    #[arg(long, value_name = "WHEN", requires = "prometheus")]
    pub(crate) from: Option<String>,
    /// Until when, likewise [default: now]
    #[arg(long, value_name = "WHEN", requires = "prometheus")]
    pub(crate) to: Option<String>,
}

/// How a file is read.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// The column of values, by name or number from 1; needed where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,
    /// The column of times; found by name or content where absent
    #[arg(long, value_name = "NAME")]
    pub(crate) time_column: Option<String>,
    /// The time zone of times that do not tell theirs
    #[arg(long, default_value = "UTC")]
    pub(crate) zone: String,
    /// Bring samples onto steps this long, such as 1min; guessed from the times where absent
    #[arg(long, value_parser = duration::parse)]
    pub(crate) step: Option<Duration>,
    /// What becomes of several samples of one step; count is for logs with a row an event
    #[arg(long, value_enum, default_value_t = How::Mean)]
    pub(crate) aggregate: How,
    /// The values are a counter: take how much it rose in each step; where it fell (a restart), nothing is known
    #[arg(long, conflicts_with = "aggregate")]
    pub(crate) rate: bool,
}

/// What becomes of several samples of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    Mean,
    Sum,
    Max,
    Last,
    Count,
}

impl From<How> for Aggregate {
    fn from(how: How) -> Self {
        match how {
            How::Mean => Self::Mean,
            How::Sum => Self::Sum,
            How::Max => Self::Max,
            How::Last => Self::Last,
            How::Count => Self::Count,
        }
    }
}

/// A series as it was read.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) series: Series,
    /// Where it is from, for people: file and column, or the query.
    pub(crate) name: String,
    /// False where the file has no times, so that instants mean nothing.
    pub(crate) has_times: bool,
    /// What was guessed or put right.
    pub(crate) notes: Vec<String>,
}

/// Samples before they are on steps.
#[derive(Debug, Default)]
struct Samples {
    name: String,
    /// Unix milliseconds and value, NaN where missing; without times the instants are missing too.
    at_ms: Option<Vec<i64>>,
    values: Vec<f64>,
    notes: Vec<String>,
}

impl Source {
    /// Whether the command line says anything of a series.
    pub(crate) fn is_given(&self) -> bool {
        let Reading {
            column,
            time_column,
            step,
            rate,
            ..
        } = &self.reading;
        let is_read = column.is_some() || time_column.is_some() || step.is_some() || *rate;
        self.file.is_some() || self.prometheus.is_some() || is_read
    }
}

/// Reads the series that the command line names.
pub(crate) fn read(source: &Source) -> Result<History> {
    if let (Some(url), Some(query)) = (&source.prometheus, &source.query) {
        if source.reading.aggregate == How::Count {
            return Err(usage(
                "--aggregate count is for files of events; ask Prometheus for a rate or an increase",
            ));
        }
        return prometheus::read(url, query, source);
    }
    let Some(file) = &source.file else {
        return Err(usage(
            "name a CSV file (- for standard input), or give --prometheus URL --query PROMQL",
        ));
    };
    read_file(file, &source.reading)
}

/// Reads a series from a file.
pub(crate) fn read_file(file: &Path, reading: &Reading) -> Result<History> {
    let samples = csv::read(file, reading)?;
    let name = samples.name.clone();
    on_steps(samples, reading).with_context(|| name)
}

/// Reads every column of values of a file, or the one that is named.
pub(crate) fn read_all(file: &Path, reading: &Reading) -> Result<Vec<History>> {
    let all = csv::read_all(file, reading)?;
    let on_steps = |samples: Samples| {
        let name = samples.name.clone();
        on_steps(samples, reading).with_context(|| name)
    };
    all.into_iter().map(on_steps).collect()
}

fn on_steps(samples: Samples, reading: &Reading) -> Result<History> {
    let Samples {
        name,
        at_ms,
        values,
        mut notes,
    } = samples;
    let Some(at_ms) = at_ms else {
        let Some(step) = reading.step else {
            return Err(usage(
                "no column looks like times: name one with --time-column, or say with --step how far apart the rows are",
            ));
        };
        let series = Series::new(0, step, values)?;
        let series = doubts::counted(series, reading, &mut notes)?;
        return Ok(History {
            series,
            name,
            has_times: false,
            notes,
        });
    };
    let samples: Vec<(i64, f64)> = at_ms.into_iter().zip(values).collect();
    let guessed = guess_step(&samples);
    if reading.aggregate == How::Count && reading.step.is_none() {
        return Err(usage(
            "--aggregate count needs --step: events do not tell how long a step should be",
        ));
    }
    let Some(step) = reading.step.or(guessed) else {
        bail!("there are not two samples at different times");
    };
    // A counter's rise in a step is told by where it stood at the ends.
    let how = if reading.rate {
        How::Last
    } else {
        reading.aggregate
    };
    let series = Series::from_samples(&samples, step, how.into())?;
    notes.extend(note_on_step(reading, step, guessed, &series));
    notes.extend(doubts::repeated(&samples, reading));
    let series = doubts::counted(series, reading, &mut notes)?;
    Ok(History {
        series,
        name,
        has_times: true,
        notes,
    })
}

fn note_on_step(
    reading: &Reading,
    step: Duration,
    guessed: Option<Duration>,
    series: &Series,
) -> Vec<String> {
    let shown = duration::show(step);
    let mut notes = Vec::new();
    match (reading.step, guessed) {
        (None, _) => notes.push(format!(
            "step {shown}, guessed from the times; --step sets another"
        )),
        _ if reading.aggregate == How::Count => {}
        (Some(_), Some(found)) if found > step * 3 / 2 => notes.push(format!(
            "the samples are {} apart, more than the step of {shown}: steps between them are missing",
            duration::show(found)
        )),
        (Some(_), _) => {}
    }
    if series.missing() * 2 > series.len() {
        notes.push(format!(
            "{} of {} steps are missing: is the step right?",
            series.missing(),
            series.len()
        ));
    }
    notes
}

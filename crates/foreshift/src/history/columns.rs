//! Which column holds the times and which the values.

use anyhow::Result;
use jiff::tz::TimeZone;

use super::{Reading, clock::Clock, csv::value, table::Table};
use crate::usage::usage;

/// The columns that are read.
#[derive(Debug)]
pub(super) struct Columns {
    /// Index of the times and how to read them, where there are any.
    pub(super) time: Option<(usize, Clock)>,
    /// Index of the values.
    pub(super) value: usize,
}

const TIME_NAMES: [&str; 9] = [
    "time", "date", "unix", "period", "epoch", "second", "minute", "hour", "ds",
];
/// Names that are listed in an error at most.
const LISTED_MAX: usize = 12;

impl Columns {
    /// As the command line says, or as names and contents let guess.
    pub(super) fn find(table: &Table, reading: &Reading, zone: &TimeZone) -> Result<Self> {
        let time = times(table, reading, zone)?;
        let time_index = time.as_ref().map(|(index, _)| *index);
        let value = match &reading.column {
            Some(name) => find(table, name, "--column")?,
            None => only_values(table, time_index)?,
        };
        Ok(Self { time, value })
    }

    /// One for each column of values; columns that hold no number, such as names, are left out.
    pub(super) fn find_all(table: &Table, reading: &Reading, zone: &TimeZone) -> Result<Vec<Self>> {
        if reading.column.is_some() {
            return Ok(vec![Self::find(table, reading, zone)?]);
        }
        let time = times(table, reading, zone)?;
        let time_index = time.as_ref().map(|(index, _)| *index);
        let holds_numbers =
            |index: &usize| known(table, *index).any(|cell| value(cell).is_some_and(f64::is_finite));
        let indices = (0..table.header.len()).filter(|index| Some(*index) != time_index);
        let of = |value: usize| Self {
            time: time.clone(),
            value,
        };
        Ok(indices.filter(holds_numbers).map(of).collect())
    }
}

/// The columns that are read of a log with a row an event.
#[derive(Debug)]
pub(super) struct Events {
    /// Index of the times and how to read them.
    pub(super) time: (usize, Clock),
    /// What must not be empty for a row to count.
    pub(super) column: Option<usize>,
}

impl Events {
    pub(super) fn find(table: &Table, reading: &Reading, zone: &TimeZone) -> Result<Self> {
        let time = times(table, reading, zone)?;
        let column = reading.column.as_ref().map(|name| find(table, name, "--column"));
        Ok(Self {
            time: time.ok_or_else(|| {
                usage("events are counted by their times, and no column looks like such: name one with --time-column")
            })?,
            column: column.transpose()?,
        })
    }
}

fn times(table: &Table, reading: &Reading, zone: &TimeZone) -> Result<Option<(usize, Clock)>> {
    match &reading.time_column {
        Some(name) => named_times(table, name, zone).map(Some),
        None => Ok(guessed_times(table, zone)),
    }
}

/// A column by its name, or by its number from 1 where no name is that.
fn find(table: &Table, name: &str, option: &str) -> Result<usize> {
    let by_name = table.header.iter().position(|column| column == name);
    let by_number = || {
        let number: usize = name.parse().ok()?;
        (1..=table.header.len()).contains(&number).then(|| number - 1)
    };
    by_name.or_else(by_number).ok_or_else(|| {
        let columns: Vec<&str> = table.header.iter().map(String::as_str).collect();
        usage(format!(
            "{option}: there is no column {name:?}; there are {}",
            listed(&columns)
        ))
    })
}

fn named_times(table: &Table, name: &str, zone: &TimeZone) -> Result<(usize, Clock)> {
    let index = find(table, name, "--time-column")?;
    let clock = Clock::for_cells(known(table, index), zone);
    let clock = clock.ok_or_else(|| {
        let cell = known(table, index).next().unwrap_or_default();
        usage(format!(
            "--time-column {name:?}: its first cell, {cell:?}, is no time"
        ))
    })?;
    Ok((index, clock))
}

/// The first column that is named like times, else the first that holds dates.
fn guessed_times(table: &Table, zone: &TimeZone) -> Option<(usize, Clock)> {
    let is_named = |index: &usize| {
        let name = table.header[*index].to_lowercase();
        name == "ts"
            || name == "t"
            || TIME_NAMES
                .iter()
                .any(|known| name.starts_with(known) || name.ends_with(known))
    };
    let is_dates = |index: &usize| {
        known(table, *index)
            .next()
            .is_some_and(|cell| cell.parse::<f64>().is_err())
    };
    let clock = |index: usize| Some((index, Clock::for_cells(known(table, index), zone)?));
    let indices = 0..table.header.len();
    let named = indices.clone().filter(is_named).find_map(clock);
    named.or_else(|| indices.filter(is_dates).find_map(clock))
}

/// The cells that are not empty.
fn known(table: &Table, index: usize) -> impl Iterator<Item = &str> + Clone {
    table.column(index).filter(|cell| !cell.is_empty())
}

fn only_values(table: &Table, time: Option<usize>) -> Result<usize> {
    let others: Vec<usize> = (0..table.header.len())
        .filter(|index| Some(*index) != time)
        .collect();
    let names: Vec<&str> = others.iter().map(|&index| table.header[index].as_str()).collect();
    match others.as_slice() {
        [only] => Ok(*only),
        [] => Err(usage("there is no column of values beside the times")),
        several => {
            let value = several
                .iter()
                .find(|&&index| table.header[index].eq_ignore_ascii_case("value"));
            value.copied().ok_or_else(|| {
                usage(format!(
                    "there are {} columns of values; choose one with --column: {}",
                    names.len(),
                    listed(&names)
                ))
            })
        }
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names
        .iter()
        .take(LISTED_MAX)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

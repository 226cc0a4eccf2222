//! Times as files tell them, brought to Unix milliseconds.
//!
//! A file has one form throughout, found from its rows: numbers since 1970 in a unit told by their size, or dates, with
//! their own offset or in one time zone. In a zone whose clocks change, a time that occurs twice is taken as the first,
//! unless that would go back behind the row before; a time that does not exist is taken as much later as the clocks were
//! put forward, and counted, since that mostly means that the zone is wrong.

use anyhow::{Result, bail};
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// Reads times of one file, row by row.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    zone: TimeZone,
    form: Form,
    before_ms: Option<i64>,
    /// Times that do not exist in the zone.
    pub(super) in_gaps: usize,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// A number, and how many milliseconds one of it is.
    Number(f64),
    Date,
}

impl Clock {
    /// A clock for cells of this form. `None` where the cells are no times.
    ///
    /// Numbers up to 1e11 are seconds (the year 5138), then milliseconds, microseconds and nanoseconds by thousands.
    pub(super) fn for_cells<'a>(mut cells: impl Iterator<Item = &'a str>, zone: &TimeZone) -> Option<Self> {
        let first = cells.next()?;
        let size = |cell: &str| cell.parse().ok().map(f64::abs).filter(|size| size.is_finite());
        let largest = std::iter::once(first)
            .chain(cells)
            .try_fold(0.0, |largest: f64, cell| Some(largest.max(size(cell)?)));
        let form = match largest {
            Some(largest) => Form::Number(unit_ms(largest)),
            None => Form::Date,
        };
        let mut clock = Self {
            zone: zone.clone(),
            form,
            before_ms: None,
            in_gaps: 0,
        };
        clock.read(first).ok()?;
        (clock.before_ms, clock.in_gaps) = (None, 0);
        Some(clock)
    }

    /// The time that a cell tells, in Unix milliseconds.
    pub(super) fn read(&mut self, cell: &str) -> Result<i64> {
        let at_ms = match self.form {
            Form::Number(unit_ms) => number(cell, unit_ms)?,
            Form::Date => self.date(cell)?,
        };
        self.before_ms = Some(at_ms);
        Ok(at_ms)
    }

    fn date(&mut self, cell: &str) -> Result<i64> {
        if let Ok(at) = cell.parse::<Timestamp>() {
            return Ok(at.as_millisecond());
        }
        let Ok(local) = cell.parse::<DateTime>() else {
            bail!("{cell:?} is no time; known are RFC 3339, YYYY-MM-DD HH:MM:SS and Unix time");
        };
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let at = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => ambiguous.compatible()?,
            AmbiguousOffset::Gap { .. } => {
                self.in_gaps += 1;
                ambiguous.compatible()?
            }
            AmbiguousOffset::Fold { .. } => {
                let first = ambiguous.earlier()?;
                let goes_back = self
                    .before_ms
                    .is_some_and(|before| first.as_millisecond() <= before);
                if goes_back { ambiguous.later()? } else { first }
            }
        };
        Ok(at.as_millisecond())
    }
}

fn unit_ms(largest: f64) -> f64 {
    match largest {
        n if n < 1e11 => 1e3,
        n if n < 1e14 => 1.0,
        n if n < 1e17 => 1e-3,
        _ => 1e-6,
    }
}

fn number(cell: &str, unit_ms: f64) -> Result<i64> {
    match cell.parse::<f64>() {
        Ok(number) if (number * unit_ms).abs() < 9e15 => Ok((number * unit_ms).round() as i64),
        _ => bail!("{cell:?} is no time; the file's first times are numbers"),
    }
}

/// A time zone by its name, such as `Europe/Berlin`.
pub(super) fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        crate::usage::usage(format!(
            "--zone {name:?} is not known; give a name such as UTC, Europe/Berlin or America/New_York"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[&str], zone_name: &str) -> (Vec<i64>, usize) {
        let mut clock = Clock::for_cells(cells.iter().copied(), &zone(zone_name).unwrap()).unwrap();
        let times = cells
            .iter()
            .map(|cell| clock.read(cell).unwrap() / 1_000)
            .collect();
        (times, clock.in_gaps)
    }

    #[test]
    fn times_are_read_in_every_form() {
        let instant = 1_397_088_240;
        for (cell, zone) in [
            ("2014-04-10 00:04:00", "UTC"),
            ("2014-04-10T00:04:00Z", "Asia/Tokyo"),
            ("2014-04-10T02:04:00+02:00", "UTC"),
            ("2014-04-10 02:04:00.250", "Europe/Berlin"),
            ("2014-04-10 00:04", "UTC"),
            ("2014-04-09T20:04:00.0000000-04:00", "UTC"),
            ("1397088240", "Asia/Tokyo"),
            ("1397088240.25", "UTC"),
            ("1397088240000", "UTC"),
            ("1397088240000000", "UTC"),
            ("1397088240000000000", "UTC"),
        ] {
            assert_eq!(read(&[cell], zone).0, [instant], "{cell} in {zone}");
        }
        assert_eq!(read(&["2014-04-10"], "UTC").0, [instant - 240]);
    }

    #[test]
    fn clocks_put_back_repeat_an_hour_that_goes_on() {
        let cells = [
            "2024-10-27 02:00",
            "2024-10-27 02:30",
            "2024-10-27 02:00",
            "2024-10-27 02:30",
            "2024-10-27 03:00",
        ];
        let (times, gaps) = read(&cells, "Europe/Berlin");
        let minutes: Vec<i64> = times.iter().map(|at| (at - times[0]) / 60).collect();
        assert_eq!(minutes, [0, 30, 60, 90, 120]);
        assert_eq!(gaps, 0);
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_taken_later_and_counted() {
        let cells = ["2024-03-31 01:30", "2024-03-31 02:30", "2024-03-31 03:00"];
        let (times, gaps) = read(&cells, "Europe/Berlin");
        let minutes: Vec<i64> = times.iter().map(|at| (at - times[0]) / 60).collect();
        assert_eq!(minutes, [0, 60, 30]);
        assert_eq!(gaps, 1);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let utc = zone("UTC").unwrap();
        assert!(Clock::for_cells(["yesterday"].into_iter(), &utc).is_none());
        assert!(Clock::for_cells([].into_iter(), &utc).is_none());
        let mut clock = Clock::for_cells(["2014-04-10"].into_iter(), &utc).unwrap();
        for cell in ["", "12", "2014-13-01", "-999999-01-01"] {
            assert!(clock.read(cell).is_err(), "{cell}");
        }
        assert!(
            zone("Mars/Olympus")
                .unwrap_err()
                .to_string()
                .contains("Europe/Berlin")
        );
    }
}

//! A series from a CSV file.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Result, anyhow};
use jiff::tz::TimeZone;

use super::{
    How, Reading, Samples,
    clock::{self, Clock},
    columns::{Columns, Events},
    table::Table,
};

/// Reads the samples of one column; `-` is standard input.
pub(super) fn read(file: &Path, reading: &Reading) -> Result<Samples> {
    let zone = clock::zone(&reading.zone)?;
    let (name, table) = table(file)?;
    if reading.aggregate == How::Count {
        return events(&name, &table, reading, &zone);
    }
    let columns = Columns::find(&table, reading, &zone)?;
    samples(&name, &table, columns)
}

/// Reads the samples of every column of values, or of the one that is named. Columns without any number are left out.
pub(super) fn read_all(file: &Path, reading: &Reading) -> Result<Vec<Samples>> {
    let zone = clock::zone(&reading.zone)?;
    let (name, table) = table(file)?;
    if reading.aggregate == How::Count {
        return Ok(vec![events(&name, &table, reading, &zone)?]);
    }
    let all = Columns::find_all(&table, reading, &zone)?;
    all.into_iter()
        .map(|columns| samples(&name, &table, columns))
        .collect()
}

/// A file's name for people, and what is in it.
fn table(file: &Path) -> Result<(String, Table)> {
    let (name, table) = match file.as_os_str() == "-" {
        true => ("standard input".to_owned(), Table::read(io::stdin().lock())),
        false => (file.display().to_string(), open(file).and_then(Table::read)),
    };
    let table = table.with_context(|| name.clone())?;
    Ok((name, table))
}

/// Rows that count one each: all of them, or those with anything in the named column.
fn events(name: &str, table: &Table, reading: &Reading, zone: &TimeZone) -> Result<Samples> {
    let Events { time, column } = Events::find(table, reading, zone)?;
    let (index, mut clock) = time;
    let is_event = |row: &usize| column.is_none_or(|column| !table.cell(*row, column).is_empty());
    let rows = (0..table.rows.len()).filter(is_event);
    let at_ms: Result<Vec<i64>> = rows.map(|row| time_at(table, row, index, &mut clock)).collect();
    let at_ms = at_ms.with_context(|| name.to_owned())?;
    let what = column.map_or("rows", |column| &table.header[column]);
    Ok(Samples {
        name: format!("{name}, {what}"),
        values: vec![1.0; at_ms.len()],
        at_ms: Some(at_ms),
        notes: Vec::from_iter(note_on_gaps(&clock)),
    })
}

fn samples(name: &str, table: &Table, columns: Columns) -> Result<Samples> {
    let column = &table.header[columns.value];
    let mut samples = Samples {
        name: format!("{name}, {column}"),
        ..Samples::default()
    };
    fill(&mut samples, table, columns).with_context(|| name.to_owned())?;
    Ok(samples)
}

fn open(file: &Path) -> Result<impl Read> {
    let metadata = std::fs::metadata(file)?;
    if metadata.is_dir() {
        return Err(anyhow!("is a folder; name a file"));
    }
    Ok(File::open(file)?)
}

fn fill(samples: &mut Samples, table: &Table, columns: Columns) -> Result<()> {
    let name = &table.header[columns.value];
    let mut infinities = 0;
    for (row, cell) in table.column(columns.value).enumerate() {
        let value = value(cell).ok_or_else(|| {
            anyhow!(
                "line {}: {cell:?} in column {name:?} is no number",
                table.line(row)
            )
        })?;
        infinities += usize::from(value.is_infinite());
        samples
            .values
            .push(if value.is_finite() { value } else { f64::NAN });
    }
    if infinities > 0 {
        samples
            .notes
            .push(format!("{infinities} infinite values are taken as missing"));
    }
    if let Some((index, mut clock)) = columns.time {
        samples.at_ms = Some(times(table, index, &mut clock)?);
        samples.notes.extend(note_on_gaps(&clock));
    }
    Ok(())
}

fn times(table: &Table, index: usize, clock: &mut Clock) -> Result<Vec<i64>> {
    let rows = 0..table.rows.len();
    rows.map(|row| time_at(table, row, index, clock)).collect()
}

fn time_at(table: &Table, row: usize, index: usize, clock: &mut Clock) -> Result<i64> {
    let read = clock.read(table.cell(row, index));
    read.with_context(|| format!("line {}", table.line(row)))
}

fn note_on_gaps(clock: &Clock) -> Option<String> {
    let count = clock.in_gaps;
    (count > 0).then(|| {
        format!("{count} times do not exist, as clocks were put forward then; taken later by as much. Is --zone right?")
    })
}

/// A number, NaN for what stands for a missing one; `None` for anything else.
pub(super) fn value(cell: &str) -> Option<f64> {
    const MISSING: [&str; 7] = ["", "-", "na", "n/a", "nan", "null", "none"];
    match cell.parse() {
        Ok(value) => Some(value),
        Err(_) if MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word)) => Some(f64::NAN),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use super::super::{How, read_file};
    use super::*;

    fn reading() -> Reading {
        Reading {
            column: None,
            time_column: None,
            zone: "UTC".into(),
            step: None,
            aggregate: How::Mean,
            rate: false,
        }
    }

    fn of(text: &str, reading: &Reading) -> Result<super::super::History> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        read_file(file.path(), reading)
    }

    #[test]
    fn a_wide_file_needs_a_column_and_gives_it_with_gaps() {
        let text = "unix_s,vm1,vm2\n300,1.0,5\n600,,6\n1200,3,nan\n";
        let error = of(text, &reading()).unwrap_err();
        assert!(error.to_string().contains("--column: vm1, vm2"), "{error}");
        let column = |name: &str| Reading {
            column: Some(name.into()),
            ..reading()
        };
        let history = of(text, &column("vm1")).unwrap();
        let values: Vec<_> = history.series.iter().collect();
        assert_eq!(history.series.step(), Duration::from_secs(300));
        assert_eq!(values, [Some(1.0), None, None, Some(3.0)]);
        let by_number = of(text, &column("3")).unwrap();
        assert_eq!(by_number.series.values(), [5.0, 6.0]);
        let error = of(text, &column("vm3")).unwrap_err().to_string();
        assert!(error.contains("unix_s, vm1, vm2"), "{error}");
    }

    #[test]
    fn rows_without_times_need_a_step() {
        let error = of("load\n1\n2\n3\n", &reading()).unwrap_err();
        assert!(format!("{error:#}").contains("--step"), "{error:#}");
        let step = Some(Duration::from_secs(2));
        let history = of("load\n1\nNA\n3\n", &Reading { step, ..reading() }).unwrap();
        assert_eq!(
            history.series.iter().collect::<Vec<_>>(),
            [Some(1.0), None, Some(3.0)]
        );
        assert!(!history.has_times);
    }

    #[test]
    fn rows_of_a_log_are_counted_whatever_they_hold() {
        let text =
            "time,path,error\n2024-01-01 00:00:01,/,\n2024-01-01 00:00:59,/a,x\n2024-01-01 00:03:00,/,\n";
        let reading = |column: Option<&str>, step| Reading {
            column: column.map(str::to_owned),
            step,
            aggregate: How::Count,
            ..reading()
        };
        let minute = Some(Duration::from_secs(60));
        let history = of(text, &reading(None, minute)).unwrap();
        assert_eq!(history.series.values(), [2.0, 0.0, 0.0, 1.0]);
        assert!(history.notes.is_empty(), "{:?}", history.notes);
        let errors = of(text, &reading(Some("error"), minute)).unwrap();
        assert_eq!(errors.series.values(), [1.0]);
        for (text, step, reason) in [
            (text, None, "needs --step"),
            ("path\n/\n/a\n", minute, "--time-column"),
        ] {
            let error = format!("{:#}", of(text, &reading(None, step)).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn unsorted_and_doubled_times_are_put_in_order() {
        let text = "time,value\n2024-01-01 00:02:00,3\n2024-01-01 00:00:00,1\n2024-01-01 00:01:00,2\n\
                    2024-01-01 00:01:00,4\n";
        let history = of(text, &reading()).unwrap();
        assert_eq!(history.series.values(), [1.0, 3.0, 3.0]);
        assert!(history.notes[0].contains("1 min, guessed"), "{:?}", history.notes);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, reason) in [
            (
                "time,value\n2024-01-01,1\n2024-01-02,many\n",
                "line 3: \"many\" in column \"value\"",
            ),
            (
                "time,value\n2024-01-01,1\nyesterday,2\n",
                "line 3: \"yesterday\" is no time",
            ),
            ("time,value\n2024-01-01,1\n,2\n", "line 3: \"\" is no time"),
            ("time\n2024-01-01\n", "no column of values"),
            ("time,value\n2024-01-01,1\n", "not two samples at different"),
            (
                "time,value\n2024-01-01,nan\n2024-01-02,\n",
                "no sample with a value",
            ),
            ("time,value\n0,1\n1,1\n2,1\n1e10,1\n", "too many"),
            ("", "is empty"),
        ] {
            let error = format!("{:#}", of(text, &reading()).unwrap_err());
            assert!(error.contains(reason), "{text}: {error}");
        }
        let absent = read_file(Path::new("/nowhere/at.csv"), &reading()).unwrap_err();
        assert!(format!("{absent:#}").contains("/nowhere/at.csv"), "{absent:#}");
    }
}

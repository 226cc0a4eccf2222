//! A CSV file as it lies there: a header, and rows of cells.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail};
use csv::{ErrorKind, Position, ReaderBuilder, StringRecord};

/// Rows of cells.
#[derive(Debug)]
pub(super) struct Table {
    /// Names of the columns; numbers from 1 where the file has none.
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<StringRecord>,
    /// The line of each row, which blank lines and line ends of two characters make other than its number.
    lines: Vec<u64>,
}

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 2 << 30;

impl Table {
    /// Reads a whole file: separated by commas, semicolons or tabs, whichever the first line has most of.
    pub(super) fn read(reader: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        reader.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > BYTES_MAX {
            bail!("is over 2 GiB; cut it, or roll it up to a longer step first");
        }
        let mut rows = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter(&bytes))
            .trim(csv::Trim::All)
            .from_reader(bytes.as_slice())
            .into_records()
            .collect::<Result<Vec<StringRecord>, _>>()
            .map_err(|error| told(&error, &bytes))
            .context("is no CSV file")?;
        let Some(first) = rows.first() else {
            bail!("is empty");
        };
        let has_header = !first.iter().any(is_content);
        let header = match has_header {
            true => rows.remove(0).iter().map(str::to_owned).collect(),
            false => (1..=first.len()).map(|number| number.to_string()).collect(),
        };
        if rows.is_empty() {
            bail!("has a header and no rows");
        }
        let line = |row: &StringRecord| row.position().map_or(0, |position| line(position, &bytes));
        Ok(Self {
            lines: rows.iter().map(line).collect(),
            header,
            rows,
        })
    }

    /// The cells of a column, from the top.
    pub(super) fn column(&self, index: usize) -> impl Iterator<Item = &str> + Clone {
        (0..self.rows.len()).map(move |row| self.cell(row, index))
    }

    /// Empty where there is none.
    pub(super) fn cell(&self, row: usize, column: usize) -> &str {
        let row = self.rows.get(row);
        row.and_then(|row| row.get(column)).unwrap_or_default()
    }

    /// The line of a row in the file, for errors.
    pub(super) fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_default()
    }
}

/// The line that a record at `position` begins on: the reader notes where the record before it ended.
fn line(position: &Position, bytes: &[u8]) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let skipped = bytes.get(start..).unwrap_or_default().iter();
    let ends = skipped.take_while(|b| matches!(b, b'\n' | b'\r'));
    position.line() + ends.filter(|b| **b == b'\n').count() as u64
}

/// What the reader says, with the line as an editor shows it.
fn told(error: &csv::Error, bytes: &[u8]) -> anyhow::Error {
    let line = error.position().map_or(0, |position| line(position, bytes));
    match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            anyhow!("line {line}: {len} cells, and {expected_len} in the first line")
        }
        ErrorKind::Utf8 { .. } => anyhow!("line {line}: is not UTF-8"),
        _ => anyhow!("{error}"),
    }
}

fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|b| **b == delimiter).count();
    // Of equals the last, so that a comma needs no occurrence.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b',')
}

/// A number or a date: what a header has none of.
fn is_content(cell: &str) -> bool {
    cell.parse::<f64>().is_ok_and(f64::is_finite) || cell.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_and_without_a_header_and_of_several_separators_are_read() {
        for (text, header, first) in [
            (
                "timestamp,value\n2014-01-01,5\n",
                vec!["timestamp", "value"],
                vec!["2014-01-01", "5"],
            ),
            ("\u{feff}t;v\r\n1;\"2\"\r\n", vec!["t", "v"], vec!["1", "2"]),
            ("1\t2\n", vec!["1", "2"], vec!["1", "2"]),
            ("7\n8\n", vec!["1"], vec!["7"]),
            ("a , b\n\n 1 , 2 \n", vec!["a", "b"], vec!["1", "2"]),
        ] {
            let table = Table::read(text.as_bytes()).unwrap();
            assert_eq!(table.header, header, "{text}");
            assert_eq!(table.rows[0], first, "{text}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for (bytes, reason) in [
            (&b""[..], "empty"),
            (b"timestamp,value\n", "no rows"),
            (b"a,b\n1,2\n3\n", "CSV"),
            (b"a,b\n1,\xff\n", "CSV"),
        ] {
            let error = Table::read(bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn rows_know_their_lines() {
        for (text, lines) in [
            ("a,b\n1,2\n3,4\n", [2, 3]),
            ("a,b\r\n1,2\r\n3,4\r\n", [2, 3]),
            ("\n\na,b\n\n1,2\n\n\n3,4", [5, 8]),
            ("\r\na,b\r\n\r\n1,2\r\n3,4\r\n", [4, 5]),
            ("1,2\n\n3,4\n", [1, 3]),
            ("a,b\n\"1\n\",2\n3,4\n", [2, 4]),
        ] {
            let table = Table::read(text.as_bytes()).unwrap();
            assert_eq!([table.line(0), table.line(1)], lines, "{text:?}");
        }
    }

    #[test]
    fn a_row_that_is_too_short_or_no_text_is_told_with_its_line() {
        for (bytes, reason) in [
            (
                &b"a,b\n\n1,2\n\n3\n"[..],
                "line 5: 1 cells, and 2 in the first line",
            ),
            (b"a,b\r\n1,\xff\r\n", "line 2: is not UTF-8"),
        ] {
            let error = format!("{:#}", Table::read(bytes).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}

//! A CSV file as it lies there: a header, and rows of cells.

use std::io::Read;

use anyhow::{Context, Result, bail};
use csv::{ReaderBuilder, StringRecord};

/// Rows of cells.
#[derive(Debug)]
pub(super) struct Table {
    /// Names of the columns; numbers from 1 where the file has none.
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<StringRecord>,
    /// The line of the first row.
    first_line: usize,
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
        Ok(Self {
            header,
            rows,
            first_line: 1 + usize::from(has_header),
        })
    }

    /// The cells of a column, from the top.
    pub(super) fn column(&self, index: usize) -> impl Iterator<Item = &str> + Clone {
        self.rows
            .iter()
            .map(move |row| row.get(index).unwrap_or_default())
    }

    /// The line of a row in the file, for errors.
    pub(super) fn line(&self, row: usize) -> u64 {
        let position = self.rows.get(row).and_then(StringRecord::position);
        position.map_or((self.first_line + row) as u64, csv::Position::line)
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
        let table = Table::read("a,b\n1,2\n3,4\n".as_bytes()).unwrap();
        assert_eq!((table.line(0), table.line(1)), (2, 3));
    }
}

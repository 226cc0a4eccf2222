//! What is printed, and how: JSON, or tables with colour where a terminal shows them.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use serde::Serialize;

/// Writes to standard output. A reader that went away (`| head`) ends the program without a complaint.
pub(crate) struct Output {
    colour: bool,
    terminal: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour, terminal }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<()> {
        Ok(writeln!(io::stdout().lock(), "{}", text.as_ref())?)
    }

    pub(crate) fn raw(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.line(serde_json::to_string_pretty(value)?)
    }

    /// A value on one line, for streams.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<()> {
        self.line(serde_json::to_string(value)?)
    }

    /// `text` in a colour, where colours are shown.
    pub(crate) fn paint(&self, colour: AnsiColor, text: &str) -> String {
        match self.colour {
            true => {
                let style = Style::new().fg_color(Some(colour.into()));
                format!("{style}{text}{style:#}")
            }
            false => text.into(),
        }
    }
}

/// A plain table: a header, and columns two spaces apart.
///
/// Our own, because cells may be coloured: only what is visible counts as width.
pub(crate) struct Rows {
    /// True for a column that is set to the right.
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// `columns` are the headers; one that begins with `>` is set to the right, as numbers are.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let header = columns
            .iter()
            .map(|name| name.trim_start_matches('>').to_uppercase());
        Self {
            right: columns.iter().map(|name| name.starts_with('>')).collect(),
            rows: vec![header.collect()],
        }
    }

    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let row: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.right.len(), "a cell a column");
        self.rows.push(row);
    }

    pub(crate) fn text(&self) -> String {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| visible(&row[column]))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row
                .iter()
                .zip(&widths)
                .zip(&self.right)
                .map(|((cell, width), right)| {
                    let space = " ".repeat(width - visible(cell));
                    if *right {
                        format!("{space}{cell}")
                    } else {
                        format!("{cell}{space}")
                    }
                });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Characters that a terminal shows: all but its colour sequences, which end with `m`.
fn visible(text: &str) -> usize {
    let mut in_sequence = false;
    let shown = |c: &char| match c {
        '\x1b' => {
            in_sequence = true;
            false
        }
        'm' if in_sequence => {
            in_sequence = false;
            false
        }
        _ => !in_sequence,
    };
    text.chars().filter(shown).count()
}

/// `text` in lines of at most `width` characters, where its words allow; those after the first are set in by two.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    // A figure and its unit stay together.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split(' ') {
        let line = lines.len() - 1;
        let is_first = lines[line].trim_start().is_empty();
        if !is_first && visible(&lines[line]) + 1 + visible(word) > width {
            lines.push(format!("  {word}"));
        } else {
            let space = if is_first { "" } else { " " };
            lines[line].push_str(&format!("{space}{word}"));
        }
    }
    lines.join("\n").replace('\u{a0}', " ")
}

/// A number with one digit, or a dash for what was not measured.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

/// The time of day in UTC of a moment in Unix milliseconds.
pub(crate) fn time_of_day(at_ms: u64) -> String {
    let seconds = at_ms / 1_000 % 86_400;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The name that serde gives a variant without fields, as in `ready`.
pub(crate) fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other["code"].as_str().unwrap_or("-").to_owned(),
        Err(_) => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_coloured() {
        let mut rows = Rows::new(&["node", ">load", "why"]);
        rows.add(["a".into(), "\x1b[31m100.5\x1b[0m".into(), String::new()]);
        rows.add(["long-name".into(), "7.0".into(), "é".into()]);
        let text = rows.text();
        let plain = text.replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(
            plain,
            "NODE        LOAD  WHY\na          100.5\nlong-name    7.0  é"
        );
    }

    #[test]
    fn a_long_line_is_broken_between_words() {
        for (text, shown) in [
            ("", ""),
            ("one two", "one two"),
            ("one two three four", "one two\n  three\n  four"),
            ("inseparable one", "inseparable\n  one"),
            ("of all 5 %", "of all\n  5 %"),
            ("\x1b[31mone\x1b[0m two", "\x1b[31mone\x1b[0m two"),
        ] {
            assert_eq!(wrapped(text, 8), shown);
        }
    }

    #[test]
    fn a_moment_is_shown_as_the_time_of_day() {
        for (at_ms, shown) in [
            (0, "00:00:00"),
            (86_399_999, "23:59:59"),
            (1_700_000_000_000, "22:13:20"),
        ] {
            assert_eq!(time_of_day(at_ms), shown);
        }
    }
}

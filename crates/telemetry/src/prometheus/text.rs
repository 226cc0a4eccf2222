//! One line of a page.

use std::borrow::Cow;

/// Labels of one series at most.
const LABELS_MAX: usize = 256;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, or begins anew.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Anything else.
    Other,
}

/// A line of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<'a> {
    /// Empty, or a comment.
    Nothing,
    /// `# TYPE name kind`
    Type {
        /// The metric.
        name: &'a str,
        /// What it is.
        kind: Kind,
    },
    /// `name{labels} value`
    Sample {
        /// The metric.
        name: Cow<'a, str>,
        /// Its labels.
        labels: Labels<'a>,
        /// Its value; may be NaN or infinite.
        value: f64,
    },
}

/// Why a page was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the page: {what}")]
pub struct PageError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: LineError,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It does not begin with a name.
    #[error("no metric's name")]
    Name,
    /// Its labels are not `name="value"`.
    #[error("labels that are none")]
    Labels,
    /// More labels than anyone needs.
    #[error("more than {LABELS_MAX} labels")]
    TooMany,
    /// Its value is no number.
    #[error("no number as value")]
    Value,
    /// What is behind the value is no time.
    #[error("no time behind the value")]
    Time,
}

impl LineError {
    pub(super) fn at(self, line: usize) -> PageError {
        PageError { line, what: self }
    }
}

/// The labels of a series as they are written; taken apart when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Labels<'a>(&'a str);

impl<'a> Labels<'a> {
    /// A label's value.
    pub fn get(self, wanted: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.0;
        // Checked when the line was read.
        while let Ok(Some((label, behind))) = label(rest) {
            if label.name == Some(wanted) {
                return Some(unescaped(label.value));
            }
            rest = behind;
        }
        None
    }
}

struct Label<'a> {
    /// `None`: a string alone, which is the metric's name.
    name: Option<&'a str>,
    value: &'a str,
}

fn name_len(text: &str) -> usize {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    match text.bytes().next() {
        Some(b) if b.is_ascii_digit() => 0,
        _ => text.bytes().take_while(|b| allowed(*b)).count(),
    }
}

/// The next label, and what is behind it and its comma; `None` at the end of the list.
fn label(text: &str) -> Result<Option<(Label<'_>, &str)>, LineError> {
    let text = text.trim_start();
    if text.is_empty() || text.starts_with('}') {
        return Ok(None);
    }
    let (name, rest) = match text.starts_with('"') {
        true => (None, text),
        false => {
            let (name, rest) = text.split_at(name_len(text));
            let rest = rest.trim_start().strip_prefix('=').ok_or(LineError::Labels)?;
            (Some(name).filter(|name| !name.is_empty()), rest.trim_start())
        }
    };
    let end = quoted_len(rest).ok_or(LineError::Labels)?;
    let (value, rest) = (&rest[1..end - 1], rest[end..].trim_start());
    if name.is_none() && !text.starts_with('"') {
        return Err(LineError::Labels);
    }
    if let (None, Some(behind)) = (name, rest.strip_prefix('=')) {
        // A label's name in quotes: only asked for by plain names, so it is passed over.
        let behind = behind.trim_start();
        let end = quoted_len(behind).ok_or(LineError::Labels)?;
        let label = Label {
            name: Some(""),
            value: &behind[1..end - 1],
        };
        return Ok(Some((label, after_comma(behind[end..].trim_start())?)));
    }
    Ok(Some((Label { name, value }, after_comma(rest)?)))
}

fn after_comma(text: &str) -> Result<&str, LineError> {
    match text.strip_prefix(',') {
        Some(rest) => Ok(rest),
        None if text.is_empty() || text.starts_with('}') => Ok(text),
        None => Err(LineError::Labels),
    }
}

/// Bytes of the string in quotes that `text` begins with, quotes included.
fn quoted_len(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    if !text.starts_with('"') {
        return None;
    }
    while let Some((at, b)) = bytes.next() {
        match b {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next()?),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => value.push('\n'),
                Some(other) => value.push(other),
                None => {}
            },
            (c, false) => value.push(c),
        }
    }
    Cow::Owned(value)
}

/// Reads one line, without its end.
pub fn parse_line(line: &str) -> Result<Line<'_>, LineError> {
    let line = line.trim_matches([' ', '\t', '\r']);
    if let Some(comment) = line.strip_prefix('#') {
        return Ok(comment_line(comment));
    }
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    let (name, rest) = line.split_at(name_len(line));
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        None => ("", rest),
        Some(inside) => {
            let len = labels_len(inside)?;
            (&inside[..len], &inside[len + 1..])
        }
    };
    let name = match name {
        "" => quoted_name(labels).ok_or(LineError::Name)?,
        name => Cow::Borrowed(name),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or(LineError::Value)?;
    let value = value.parse().map_err(|_| LineError::Value)?;
    match words.next() {
        // An exemplar of OpenMetrics, which says nothing about the value.
        None | Some("#") => {}
        Some(time) => {
            time.parse::<f64>().map_err(|_| LineError::Time)?;
            if words.next().is_some_and(|word| word != "#") {
                return Err(LineError::Time);
            }
        }
    }
    Ok(Line::Sample {
        name,
        labels: Labels(labels),
        value,
    })
}

/// Checks all labels; their bytes up to the closing brace.
fn labels_len(inside: &str) -> Result<usize, LineError> {
    let mut rest = inside;
    for _ in 0..=LABELS_MAX {
        match label(rest)? {
            Some((_, behind)) => rest = behind,
            None => {
                let rest = rest.trim_start();
                return match rest.starts_with('}') {
                    true => Ok(inside.len() - rest.len()),
                    false => Err(LineError::Labels),
                };
            }
        }
    }
    Err(LineError::TooMany)
}

/// `{"a metric with blanks", label="value"}`
fn quoted_name(labels: &str) -> Option<Cow<'_, str>> {
    match label(labels).ok()?? {
        (Label { name: None, value }, _) => Some(unescaped(value)),
        _ => None,
    }
}

fn comment_line(comment: &str) -> Line<'_> {
    let mut words = comment.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("TYPE"), Some(name), Some(kind)) => Line::Type {
            name,
            kind: match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                _ => Kind::Other,
            },
        },
        _ => Line::Nothing,
    }
}

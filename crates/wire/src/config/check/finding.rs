//! What is collected while the rules are gone through.

use std::{fmt, ops::RangeInclusive};

use super::{super::Duration, ConfigError, place::Places};

/// A key and what is wrong with it.
pub(super) struct Finding {
    pub(super) key: String,
    pub(super) message: String,
}

impl Finding {
    pub(super) fn at(self, places: &Places<'_>) -> ConfigError {
        ConfigError {
            line: places.line_of(&self.key),
            key: self.key,
            message: self.message,
        }
    }
}

/// All that was found so far.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// For the keys of one table.
    pub(super) fn of(&mut self, table: impl Into<String>) -> Table<'_> {
        Table {
            prefix: table.into(),
            findings: self,
        }
    }
}

/// Rules for the keys of one table.
pub(super) struct Table<'a> {
    prefix: String,
    findings: &'a mut Findings,
}

impl Table<'_> {
    /// A table or array element within this one.
    pub(super) fn of(&mut self, table: &str) -> Table<'_> {
        Table {
            prefix: format!("{}.{table}", self.prefix),
            findings: self.findings,
        }
    }

    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        self.findings.0.push(Finding {
            key: match key {
                "" => self.prefix.clone(),
                _ => format!("{}.{key}", self.prefix),
            },
            message: message.into(),
        });
    }

    /// NaN is outside every range.
    pub(super) fn range<T: Copy + PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        value: T,
        allowed: RangeInclusive<T>,
    ) {
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.add(key, format!("{value} is out of range: {low} to {high}"));
        }
    }

    pub(super) fn above_zero(&mut self, key: &str, value: f64) {
        if !(value > 0.0 && value.is_finite()) {
            self.add(key, format!("{value} is not above 0"));
        }
    }

    pub(super) fn not_zero(&mut self, key: &str, value: Duration) {
        if value.is_zero() {
            self.add(key, "must be longer than nothing, as in \"1s\"");
        }
    }

    pub(super) fn not_empty(&mut self, key: &str, value: &str) {
        if value.trim().is_empty() {
            self.add(key, "is empty; give it a name");
        }
    }

    /// The path of a request, as it is sent to a node.
    pub(super) fn path(&mut self, key: &str, value: &str) {
        if !value.starts_with('/') {
            self.add(
                key,
                format!("{value:?} does not start with '/', as in \"/healthz\""),
            );
        } else if !value.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            let rule = "write other characters than visible ASCII as %XX, and no fragment";
            self.add(key, format!("{value:?} cannot be sent as a path; {rule}"));
        }
    }
}

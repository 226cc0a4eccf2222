//! `TEXT cpu_utilization=0.3,mem_utilization=0.8,named_metrics.foo=2`
//!
//! Newer nodes write `=`, older ones `:`; some put a blank behind the comma. The first of the two signs ends the name.

use super::{Builder, LoadReport, OrcaError, shortened};

/// Reads what is behind `TEXT `.
pub(super) fn parse(text: &str) -> Result<LoadReport, OrcaError> {
    let mut builder = Builder::default();
    for entry in text.split(',') {
        let entry = entry.trim_ascii();
        let malformed = || OrcaError::Entry {
            entry: shortened(entry),
        };
        let (name, value) = entry.split_once(['=', ':']).ok_or_else(malformed)?;
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        if name.is_empty() || value.is_empty() {
            return Err(malformed());
        }
        let number: f64 = value.parse().map_err(|_| OrcaError::Number {
            name: shortened(name),
            value: shortened(value),
        })?;
        builder.set(name, number)?;
    }
    Ok(builder.build())
}

//! Which numbers can be what a node says of itself.
//!
//! A report comes from outside: a bug in an exporter or a hostile node must not make a load score that nothing can
//! bring down, nor a NaN that spreads. So each figure is held against a range, and what is outside is refused by name.

/// The largest share (CPU, memory, utilisation) that is believed: a node that is a thousand times full.
pub const SHARE_MAX: f64 = 1_000.0;
/// The largest rate or amount that is believed: 10^15 a second.
pub const AMOUNT_MAX: f64 = 1e15;

/// A figure that is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// NaN or infinite.
    #[error("{name}: {value} is no number; send a finite one or leave it out")]
    NotFinite {
        /// Which.
        name: String,
        /// What was sent.
        value: f64,
    },
    /// Below 0 or above what is believed.
    #[error("{name}: {value:e} is out of range: 0 to {max}")]
    OutOfRange {
        /// Which.
        name: String,
        /// What was sent.
        value: f64,
        /// The largest that is believed.
        max: f64,
    },
}

/// The value where it is within 0 to `max`; `name` says whose it is.
pub fn figure(name: &str, value: f64, max: f64) -> Result<f64, FigureError> {
    let name = || name.to_owned();
    match value {
        _ if !value.is_finite() => Err(FigureError::NotFinite { name: name(), value }),
        _ if (0.0..=max).contains(&value) => Ok(value),
        _ => Err(FigureError::OutOfRange {
            name: name(),
            value,
            max,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused_by_name() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1e300, 1_000.1] {
            let refused = figure("cpu", value, SHARE_MAX).unwrap_err().to_string();
            assert!(refused.starts_with("cpu: "), "{refused}");
        }
        for value in [0.0, -0.0, 0.5, 1.7, SHARE_MAX] {
            assert_eq!(figure("cpu", value, SHARE_MAX), Ok(value));
        }
    }
}

//! Series: values at regular steps, and how irregular samples become one.
//!
//! Every model here wants one value a step. Measurements come late, twice or not at all; what that does to a series is
//! decided in one place, so that a model and a back-test see the same one. What is missing stays missing until a model
//! asks for gaps to be filled, and then it is told which values were invented.
//!
//! No time zones and no text: instants are Unix milliseconds, readers of files bring them there. No thinning of a
//! series that is too long: a span of over ten million steps is an error, as it is nearly always a wrong unit.

mod aggregate;
mod align;
mod error;
mod gaps;
mod samples;

use std::{ops::Range, time::Duration};

pub use aggregate::Aggregate;
pub use align::align;
pub use error::Error;
pub use gaps::Filled;
pub use samples::guess_step;

/// Most steps that a series may have: 19 years of minutes.
pub const STEPS_MAX: usize = 10_000_000;

/// Values at regular steps; what was not measured is missing.
///
/// Element `i` is for `[start + i × step, start + (i + 1) × step)`. Values are in the caller's unit, in double
/// precision from end to end, finite, or NaN where missing.
#[derive(Debug, Clone)]
pub struct Series {
    start_ms: i64,
    step: Duration,
    values: Vec<f64>,
}

impl Series {
    /// Values from `start_ms` (Unix milliseconds) on, `step` (whole milliseconds) apart; NaN is missing.
    ///
    /// May be empty, or missing throughout. [`Error::Step`] for a step that is 0, over 366 days or no whole number of
    /// milliseconds, [`Error::Value`] for an infinity, [`Error::TooLong`] over [`STEPS_MAX`] values, [`Error::Instant`]
    /// where the end cannot be told in 64 bits.
    pub fn new(start_ms: i64, step: Duration, values: Vec<f64>) -> Result<Self, Error> {
        let step_ms = whole_ms(step)?;
        if let Some(index) = values.iter().position(|y| y.is_infinite()) {
            return Err(Error::Value { index });
        }
        if values.len() > STEPS_MAX {
            return Err(Error::TooLong {
                steps: values.len() as u128,
                step,
            });
        }
        let end = i128::from(start_ms) + i128::from(step_ms) * values.len() as i128;
        if end > i128::from(i64::MAX) {
            return Err(Error::Instant { at_ms: start_ms });
        }
        Ok(Self {
            start_ms,
            step,
            values,
        })
    }

    /// The instant of the first element, in Unix milliseconds.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// Distance of the elements, in whole milliseconds.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// The instant of element `index`, in Unix milliseconds, also beyond the end; saturates.
    pub fn at_ms(&self, index: usize) -> i64 {
        let offset = i64::try_from(index)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.step_ms());
        self.start_ms.saturating_add(offset)
    }

    /// One value a step, oldest first; NaN where missing.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One value a step, oldest first; `None` where missing.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.values.iter().map(|y| (!y.is_nan()).then_some(*y))
    }

    /// How many steps.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without a single step.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many steps have no value.
    pub fn missing(&self) -> usize {
        self.values.iter().filter(|y| y.is_nan()).count()
    }

    /// The steps in `range`; what lies beyond the end is left out.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Self {
            start_ms: self.at_ms(start),
            step: self.step,
            values: self.values[start..end].to_vec(),
        }
    }

    pub(crate) fn step_ms(&self) -> i64 {
        // `new` has seen that it fits: at most 366 days.
        self.step.as_millis() as i64
    }
}

/// Equal where start, step and values are, missing values included.
impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        (self.start_ms, self.step) == (other.start_ms, other.step) && self.iter().eq(other.iter())
    }
}

const STEP_MAX: Duration = Duration::from_secs(366 * 86_400);

fn whole_ms(step: Duration) -> Result<i64, Error> {
    let is_whole = step.subsec_nanos().is_multiple_of(1_000_000);
    if step.is_zero() || step > STEP_MAX || !is_whole {
        return Err(Error::Step { step });
    }
    Ok(step.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_makes_no_series_is_refused_with_the_reason() {
        let nan = f64::NAN;
        for (start_ms, step, values, error) in [
            (0, Duration::ZERO, vec![1.0], Error::Step { step: Duration::ZERO }),
            (
                0,
                Duration::from_micros(1_500),
                vec![1.0],
                Error::Step {
                    step: Duration::from_micros(1_500),
                },
            ),
            (
                0,
                MINUTE,
                vec![1.0, nan, f64::INFINITY],
                Error::Value { index: 2 },
            ),
            (i64::MAX, MINUTE, vec![1.0], Error::Instant { at_ms: i64::MAX }),
        ] {
            assert_eq!(Series::new(start_ms, step, values).unwrap_err(), error);
        }
        let long = Series::new(0, MINUTE, vec![0.0; STEPS_MAX + 1]);
        assert!(matches!(long, Err(Error::TooLong { .. })), "a clear error");
    }

    #[test]
    fn empty_single_missing_and_extreme_series_are_series() {
        for (values, missing) in [
            (vec![], 0),
            (vec![7.0], 0),
            (vec![f64::NAN; 3], 3),
            (vec![f64::MAX, -f64::MAX, f64::MIN_POSITIVE], 0),
        ] {
            let series = Series::new(-5, MINUTE, values.clone()).unwrap();
            assert_eq!((series.len(), series.missing()), (values.len(), missing));
        }
    }

    #[test]
    fn a_slice_keeps_its_instants_and_ends_with_the_series() {
        let series = Series::new(1_000, MINUTE, vec![1.0, f64::NAN, 3.0]).unwrap();
        let slice = series.slice(1..9);
        assert_eq!(slice.start_ms(), 61_000);
        assert_eq!(slice.iter().collect::<Vec<_>>(), [None, Some(3.0)]);
        assert!(series.slice(7..9).is_empty());
    }
}

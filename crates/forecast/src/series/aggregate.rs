//! What becomes of several values of one step.

use std::time::Duration;

use super::{Error, Series};

/// How several values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregate {
    /// Their mean: for levels, such as utilisation.
    #[default]
    Mean,
    /// Their sum: for counts, such as requests.
    Sum,
    /// The highest: where the peak is what matters.
    Max,
    /// The newest; of equal instants the one that was given last.
    Last,
    /// How many there are: for logs of single events, whatever their values are. A step without any is 0, not missing.
    Count,
}

impl Aggregate {
    /// Of at least one value, oldest first. Means do not overflow; a sum may, and is then infinite.
    pub(crate) fn of(self, values: &[f64]) -> f64 {
        match self {
            Self::Mean => {
                let count = values.len() as f64;
                let sum: f64 = values.iter().sum();
                if sum.is_finite() {
                    sum / count
                } else {
                    values.iter().map(|y| y / count).sum()
                }
            }
            Self::Sum => values.iter().sum(),
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Last => values.last().copied().unwrap_or(f64::NAN),
            Self::Count => values.len() as f64,
        }
    }
}

impl Series {
    /// The series at a step `factor` times as long, from its start; steps at the end that do not fill one are left out.
    ///
    /// A step of the result is missing where fewer than half of its steps have a value. A sum with some missing is
    /// scaled up to the whole step, as a gap in measuring is no dip in load. A count is that of the steps with a value.
    pub fn roll_up(&self, factor: usize, aggregate: Aggregate) -> Result<Self, Error> {
        let steps = u32::try_from(factor).ok().filter(|factor| *factor > 0);
        let steps = steps.ok_or(Error::Factor)?;
        let step = self.step.checked_mul(steps).unwrap_or(Duration::MAX);
        let rolled = self
            .values
            .chunks_exact(factor)
            .map(|chunk| rolled(chunk, aggregate));
        Self::new(self.start_ms, step, rolled.collect())
    }
}

fn rolled(chunk: &[f64], aggregate: Aggregate) -> f64 {
    let present: Vec<f64> = chunk.iter().copied().filter(|y| !y.is_nan()).collect();
    if aggregate == Aggregate::Count {
        return aggregate.of(&present);
    }
    if present.len() * 2 < chunk.len() || present.is_empty() {
        return f64::NAN;
    }
    let value = aggregate.of(&present);
    match aggregate {
        Aggregate::Sum => value * (chunk.len() as f64 / present.len() as f64),
        Aggregate::Mean | Aggregate::Max | Aggregate::Last | Aggregate::Count => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_roll_up_is_missing_where_most_is_and_scales_sums() {
        let nan = f64::NAN;
        // Three, two, one and no value of three; then a step that is not full.
        let values = vec![1.0, 2.0, 6.0, 7.0, nan, 5.0, nan, 4.0, nan, nan, nan, nan, 9.0];
        let series = Series::new(0, SECOND, values).unwrap();
        for (aggregate, expected) in [
            (Aggregate::Mean, [3.0, 6.0, nan, nan]),
            (Aggregate::Sum, [9.0, 18.0, nan, nan]),
            (Aggregate::Max, [6.0, 7.0, nan, nan]),
            (Aggregate::Last, [6.0, 5.0, nan, nan]),
            (Aggregate::Count, [3.0, 2.0, 1.0, 0.0]),
        ] {
            let expected = Series::new(0, 3 * SECOND, expected.to_vec()).unwrap();
            assert_eq!(series.roll_up(3, aggregate).unwrap(), expected, "{aggregate:?}");
        }
    }

    #[test]
    fn a_roll_up_of_nothing_or_to_more_than_a_year_is_refused() {
        let series = Series::new(0, SECOND, vec![1.0; 3]).unwrap();
        assert_eq!(series.roll_up(0, Aggregate::Mean), Err(Error::Factor));
        assert!(matches!(
            series.roll_up(usize::MAX, Aggregate::Mean),
            Err(Error::Factor)
        ));
        assert!(matches!(
            series.roll_up(40_000_000, Aggregate::Mean),
            Err(Error::Step { .. })
        ));
    }

    #[test]
    fn a_mean_does_not_overflow_and_a_sum_that_does_is_refused() {
        let series = Series::new(0, SECOND, vec![1.5e308; 2]).unwrap();
        assert_eq!(series.roll_up(2, Aggregate::Mean).unwrap().values(), [1.5e308]);
        assert_eq!(series.roll_up(2, Aggregate::Sum), Err(Error::Value { index: 0 }));
    }
}

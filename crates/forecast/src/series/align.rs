//! Series brought onto the same instants, for what looks at several at once.

use super::{Error, Series};

/// The series cut to the instants that all of them have; all then have the first one's start and length.
///
/// Steps must be equal. Starts need not lie on one grid: each series is shifted to the nearest instant of the first
/// one's, by half a step at most, so that measurements of one minute go together although they were not taken in the
/// same second. [`Error::Steps`] or [`Error::Disjoint`] where that cannot be; no series at all gives none.
pub fn align(series: &[Series]) -> Result<Vec<Series>, Error> {
    let Some(first) = series.first() else {
        return Ok(Vec::new());
    };
    if let Some(other) = series.iter().find(|other| other.step() != first.step()) {
        let (first, other) = (first.step(), other.step());
        return Err(Error::Steps { first, other });
    }
    let offsets: Vec<i128> = series.iter().map(|other| offset(first, other)).collect();
    let ends = offsets.iter().zip(series).map(|(at, one)| at + one.len() as i128);
    let start = offsets.iter().copied().max().unwrap_or(0);
    let end = ends.min().unwrap_or(0);
    if start >= end {
        return Err(Error::Disjoint);
    }
    let start_ms = i128::from(first.start_ms) + start * i128::from(first.step_ms());
    let start_ms = i64::try_from(start_ms).map_err(|_| Error::Disjoint)?;
    let cut = |(at, one): (&i128, &Series)| {
        // Both lie within the series: `start` is not before any offset, `end` not after any end.
        let range = (start - at) as usize..(end - at) as usize;
        Series {
            start_ms,
            ..one.slice(range)
        }
    };
    Ok(offsets.iter().zip(series).map(cut).collect())
}

/// Steps from the start of `first` to that of `other`, rounded to the nearest.
fn offset(first: &Series, other: &Series) -> i128 {
    let step = i128::from(first.step_ms());
    let distance = i128::from(other.start_ms) - i128::from(first.start_ms);
    (2 * distance + step).div_euclid(2 * step)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn series(start_ms: i64, step_s: u64, values: &[f64]) -> Series {
        Series::new(start_ms, Duration::from_secs(step_s), values.to_vec()).unwrap()
    }

    #[test]
    fn the_common_instants_are_kept_and_starts_within_half_a_step_go_together() {
        let a = series(10_000, 1, &[0.0, 1.0, 2.0, 3.0]);
        let b = series(10_600, 1, &[10.0, 20.0, 30.0, 40.0]);
        let aligned = align(&[a, b]).unwrap();
        assert_eq!(aligned[0], series(11_000, 1, &[1.0, 2.0, 3.0]));
        assert_eq!(aligned[1], series(11_000, 1, &[10.0, 20.0, 30.0]));
    }

    #[test]
    fn what_has_nothing_in_common_is_refused() {
        let a = series(0, 1, &[1.0, 2.0]);
        assert_eq!(
            align(&[a.clone(), series(2_000, 1, &[1.0])]),
            Err(Error::Disjoint)
        );
        let (far, early) = (i64::MAX - 5_000, i64::MIN);
        assert_eq!(
            align(&[series(early, 1, &[1.0]), series(far, 1, &[1.0])]),
            Err(Error::Disjoint)
        );
        let steps = Error::Steps {
            first: Duration::from_secs(1),
            other: Duration::from_secs(2),
        };
        assert_eq!(align(&[a.clone(), series(0, 2, &[1.0])]), Err(steps));
        assert_eq!(align(&[a, series(0, 1, &[])]), Err(Error::Disjoint));
        assert_eq!(align(&[]), Ok(vec![]));
    }
}

//! Irregular samples, and what is made of a series.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use foreshift_forecast::series::{Aggregate, Series, align, guess_step};

use crate::input::{check_path, count, values};

/// Steps of a series that is worth the memory here.
const STEPS_MAX: u128 = 100_000;

pub(crate) fn resampling(u: &mut Unstructured<'_>) -> Result<()> {
    let samples = samples(u)?;
    let step = match u.arbitrary::<u8>()? {
        0 => Duration::from_nanos(u.arbitrary()?),
        1 => Duration::MAX,
        2..=128 => guess_step(&samples).unwrap_or(Duration::from_secs(1)),
        some => Duration::from_millis(u64::from(some) * u.int_in_range(1..=100_000)?),
    };
    let aggregate = *u.choose(&[Aggregate::Mean, Aggregate::Sum, Aggregate::Max, Aggregate::Last])?;
    if steps(&samples, step) > STEPS_MAX {
        return Ok(());
    }
    let Ok(series) = Series::from_samples(&samples, step, aggregate) else {
        return Ok(());
    };
    check(&series);
    let other = Series::new(u.arbitrary()?, series.step(), values(u)?);
    if let Ok(other) = other
        && other.start_ms().abs_diff(series.start_ms()) / 100_000 < step.as_millis() as u64
        && let Ok(aligned) = align(&[series.clone(), other])
    {
        aligned.iter().for_each(check);
        assert!(aligned.iter().all(|one| one.len() == aligned[0].len()));
    }
    if let Ok(rolled) = series.roll_up(count(u)?, aggregate) {
        check(&rolled);
    }
    check(&series.slice(count(u)?..count(u)?));
    series.at_ms(count(u)?);
    Ok(())
}

/// In any order, mostly near each other, sometimes at the ends of time.
fn samples(u: &mut Unstructured<'_>) -> Result<Vec<(i64, f64)>> {
    let mut at_ms = 0_i64;
    let values = values(u)?;
    let mut samples = Vec::with_capacity(values.len());
    for y in values {
        at_ms = match u.arbitrary::<u8>()? {
            0 => u.arbitrary()?,
            1 => i64::MAX,
            2 => i64::MIN,
            3..=20 => at_ms,
            21..=40 => at_ms.saturating_sub(u.arbitrary::<u16>()?.into()),
            by => at_ms.saturating_add(i64::from(by) * 10),
        };
        samples.push((at_ms, y));
    }
    Ok(samples)
}

fn steps(samples: &[(i64, f64)], step: Duration) -> u128 {
    let instants = samples.iter().map(|(at, _)| i128::from(*at));
    let (first, last) = (instants.clone().min().unwrap_or(0), instants.max().unwrap_or(0));
    (last - first) as u128 / step.as_millis().max(1)
}

fn check(series: &Series) {
    assert!(series.values().iter().all(|y| !y.is_infinite()), "{series:?}");
    if let Ok(filled) = series.filled() {
        check_path("filled", &filled.values);
        assert_eq!(filled.values.len(), series.len());
        assert_eq!(
            filled.is_filled.iter().filter(|is| **is).count(),
            series.missing()
        );
    }
}

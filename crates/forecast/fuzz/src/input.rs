//! Bytes as series, counts and probabilities: mostly plain, often at an edge.

use arbitrary::{Result, Unstructured};
use foreshift_forecast::Prediction;

/// Values a case has at most.
const VALUES_MAX: usize = 600;

/// A series of any unit from 1e-300 to 1e300, tiled to be long where there are few bytes; NaN, infinities and extremes
/// among the values.
pub(crate) fn values(u: &mut Unstructured<'_>) -> Result<Vec<f64>> {
    let exponent = if u.ratio(1, 3)? {
        u.int_in_range(-300..=300)?
    } else {
        0
    };
    let unit = 10_f64.powi(exponent);
    let tiles = u.int_in_range(1..=40_usize)?;
    let growth = f64::from(u.int_in_range(-3..=3_i8)?) * unit;
    let count = u.int_in_range(0..=200_usize)?;
    let mut tile = Vec::with_capacity(count);
    for _ in 0..count {
        if u.is_empty() {
            break;
        }
        tile.push(value(u, unit, tile.last().copied())?);
    }
    let tiled = (0..tiles).flat_map(|i| tile.iter().map(move |y| y + growth * i as f64));
    Ok(tiled.take(VALUES_MAX).collect())
}

fn value(u: &mut Unstructured<'_>, unit: f64, last: Option<f64>) -> Result<f64> {
    Ok(match u.arbitrary::<u8>()? {
        small @ 0..=219 => (f64::from(small) - 60.0) * unit,
        220 | 221 => f64::NAN,
        222 => f64::INFINITY,
        223 => f64::NEG_INFINITY,
        224..=227 => last.unwrap_or(0.0),
        228 => f64::MAX,
        229 => f64::MIN,
        230 => 1e100,
        231 => -1e100,
        232 => 1e-300,
        233 => f64::MIN_POSITIVE,
        234 => f64::from_bits(1),
        235 => -0.0,
        236..=240 => f64::from_bits(u.arbitrary()?),
        _ => f64::from(u.arbitrary::<i16>()?) / 256.0 * unit,
    })
}

/// As values a step: NaN is none, half of the time.
pub(crate) fn steps(u: &mut Unstructured<'_>) -> Result<Vec<Option<f64>>> {
    let gaps: bool = u.arbitrary()?;
    let step = |y: f64| (!gaps || !y.is_nan()).then_some(y);
    Ok(values(u)?.into_iter().map(step).collect())
}

/// A period, an order or a number of steps that fits, does not, or is absurd.
pub(crate) fn count(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match u.arbitrary::<u8>()? {
        250..=252 => usize::MAX,
        253 => u.arbitrary()?,
        254 => 1 << 40,
        255 => 100_000,
        small => usize::from(small),
    })
}

/// Probabilities as the seam wants them: rising strictly, in (0, 1).
pub(crate) fn quantiles(u: &mut Unstructured<'_>) -> Result<Vec<f64>> {
    let known = [1e-12, 0.001, 0.05, 0.1, 0.5, 0.9, 0.95, 0.999, 1.0 - 1e-12];
    let wanted: u16 = u.arbitrary()?;
    let chosen = known.into_iter().enumerate();
    Ok(chosen
        .filter(|(i, _)| wanted >> i & 1 == 1)
        .map(|(_, q)| q)
        .collect())
}

/// What every model promises of its answer.
pub(crate) fn check(model: &str, prediction: &Prediction, horizon: usize, quantiles: &[f64]) {
    check_path(model, prediction.point());
    assert_eq!(prediction.point().len(), horizon, "{model}");
    if horizon == 0 {
        return;
    }
    let found: Vec<f64> = prediction.quantiles().iter().map(|(q, _)| *q).collect();
    assert_eq!(found, quantiles, "{model}");
    for (_, path) in prediction.quantiles() {
        check_path(model, path);
        assert_eq!(path.len(), horizon, "{model}");
    }
    for pair in prediction.quantiles().windows(2) {
        assert!(
            pair[0].1.iter().zip(&pair[1].1).all(|(low, high)| low <= high),
            "{model}"
        );
    }
}

pub(crate) fn check_path(model: &str, path: &[f64]) {
    assert!(path.iter().all(|y| y.is_finite()), "{model}: {path:?}");
}

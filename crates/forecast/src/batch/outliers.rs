//! Outliers: drawn in for training, flagged, and never hidden.
//!
//! Hampel's identifier: a value further from what was expected than so many robust standard deviations, 1.4826 times
//! the median absolute deviation (Hampel, *The influence curve and its role in robust estimation*, JASA 69, 1974). What
//! is expected is the median of the values around, or what a model said.

use crate::normal::DEVIATION_BY_MEDIAN_ABSOLUTE;

/// Robust standard deviations that a value may be off: load has heavier tails than the 3 that are usual allow for.
const LIMIT: f64 = 6.0;
/// Values on each side that the running median looks at.
const HALF_WINDOW: usize = 12;
/// Where more of a series is off, that is how the series is.
const SHARE_MAX: f64 = 0.05;

/// A series with its outliers drawn in, and which these were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clipped {
    /// For training: an outlier is at the limit, on its side; all others are as they were. All are finite.
    pub values: Vec<f64>,
    /// Of the same length.
    pub is_outlier: Vec<bool>,
}

/// Draws in what stands out from the median of the 25 values around it.
///
/// A surge of 13 steps or more is none, however high. A short one that comes again is clipped each time: where a series
/// has a season, take [`clip_around`] with the fit of a model that knows it. Where more than a twentieth of the values
/// would be clipped none is, as that is how the series is. Values that are not finite always are outliers, and take the
/// expected value. Time grows with the series alone.
pub fn clip(values: &[f64]) -> Clipped {
    clip_around(values, &running_median(values))
}

/// Draws in what stands out from `expected`, of the same length; where that is shorter or not finite, from the median
/// of the values around.
pub fn clip_around(values: &[f64], expected: &[f64]) -> Clipped {
    let medians = if expected.len() < values.len() || expected.iter().any(|e| !e.is_finite()) {
        running_median(values)
    } else {
        Vec::new()
    };
    let known = |t: usize| {
        expected
            .get(t)
            .copied()
            .filter(|e| e.is_finite())
            .unwrap_or_else(|| medians[t])
    };
    let expected: Vec<f64> = (0..values.len()).map(known).collect();
    let largest = allowed(values, &expected);
    let is_off = |y: f64, e: f64| !y.is_finite() || (y - e).abs() > largest;
    let pairs = || values.iter().copied().zip(expected.iter().copied());
    let off = pairs().filter(|(y, e)| y.is_finite() && is_off(*y, *e)).count();
    let usual = off as f64 > SHARE_MAX * values.len() as f64;
    let outliers = pairs().map(|(y, e)| !y.is_finite() || !usual && is_off(y, e));
    let is_outlier: Vec<bool> = outliers.collect();
    let draw_in = |((y, e), &outlier): ((f64, f64), &bool)| match outlier {
        true if y.is_finite() => e + (y - e).clamp(-largest, largest),
        true => e,
        false => y,
    };
    let values = pairs().zip(&is_outlier).map(draw_in).collect();
    Clipped { values, is_outlier }
}

/// How far a value may be from what was expected.
fn allowed(values: &[f64], expected: &[f64]) -> f64 {
    let pairs = values.iter().zip(expected).filter(|(y, _)| y.is_finite());
    let mut deviations: Vec<f64> = pairs
        .map(|(y, e)| (y - e).abs())
        .filter(|d| d.is_finite())
        .collect();
    let count = deviations.len();
    if count == 0 {
        return f64::MAX;
    }
    let median = *deviations.select_nth_unstable_by(count / 2, f64::total_cmp).1;
    // Where most values are just as expected, the mean deviation of the others tells the unit.
    let unit = if median > 0.0 {
        DEVIATION_BY_MEDIAN_ABSOLUTE * median
    } else {
        deviations.iter().map(|d| d / count as f64).sum()
    };
    LIMIT * unit
}

/// Median of the finite values within 12 steps of each; of all of them where there is none so near.
fn running_median(values: &[f64]) -> Vec<f64> {
    let mut window: Vec<f64> = Vec::with_capacity(2 * HALF_WINDOW + 1);
    let insert = |window: &mut Vec<f64>, y: f64| {
        if y.is_finite() {
            window.insert(window.partition_point(|w| *w < y), y);
        }
    };
    let remove = |window: &mut Vec<f64>, y: f64| {
        if y.is_finite() {
            window.remove(window.partition_point(|w| *w < y));
        }
    };
    let mut all: Vec<f64> = values.iter().copied().filter(|y| y.is_finite()).collect();
    let middle = all.len() / 2;
    let of_all = if all.is_empty() {
        0.0
    } else {
        *all.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    values
        .iter()
        .take(HALF_WINDOW)
        .for_each(|&y| insert(&mut window, y));
    (0..values.len())
        .map(|t| {
            if let Some(&y) = values.get(t + HALF_WINDOW) {
                insert(&mut window, y);
            }
            if let Some(old) = t.checked_sub(HALF_WINDOW + 1) {
                remove(&mut window, values[old]);
            }
            window.get(window.len() / 2).copied().unwrap_or(of_all)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(clipped: &Clipped) -> Vec<usize> {
        (0..clipped.is_outlier.len())
            .filter(|&t| clipped.is_outlier[t])
            .collect()
    }

    #[test]
    fn lone_spikes_are_drawn_in_and_lasting_surges_are_not() {
        let mut values: Vec<f64> = (0..300).map(|t| 50.0 + f64::from(t * 31 % 7)).collect();
        values[40] = 900.0;
        values[41] = -900.0;
        values[100] = f64::INFINITY;
        values[150..180].fill(500.0);
        let clipped = clip(&values);
        assert_eq!(flagged(&clipped), [40, 41, 100]);
        assert!((50.0..80.0).contains(&clipped.values[40]) && (20.0..57.0).contains(&clipped.values[41]));
        assert!((50.0..57.0).contains(&clipped.values[100]));
        assert_eq!(clipped.values[150..180], values[150..180]);
    }

    #[test]
    fn a_surge_that_a_model_expects_is_none() {
        let load = |t: usize| if t.is_multiple_of(30) { 90.0 } else { 10.0 };
        let expected: Vec<f64> = (0..300).map(load).collect();
        let mut values: Vec<f64> = (0..300).map(|t| load(t) + (t * 31 % 7) as f64 / 7.0).collect();
        assert_eq!(flagged(&clip(&values)).len(), 10);
        assert_eq!(flagged(&clip_around(&values, &expected)), [] as [usize; 0]);
        values[77] = 90.0;
        assert_eq!(flagged(&clip_around(&values, &expected)), [77]);
    }

    #[test]
    fn what_happens_often_is_how_the_series_is() {
        let values: Vec<f64> = (0..200)
            .map(|t| if t % 12 == 5 { 100.0 } else { f64::from(t % 3) })
            .collect();
        assert_eq!(clip(&values).values, values);
    }

    #[test]
    fn any_input_has_an_answer() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![1e100, -1e100, 1e100],
            vec![0.0; 50],
            vec![f64::NEG_INFINITY; 30],
        ] {
            for clipped in [clip(&values), clip_around(&values, &[f64::NAN; 2])] {
                assert_eq!(clipped.is_outlier.len(), values.len());
                assert!(clipped.values.iter().all(|y| y.is_finite()), "{clipped:?}");
            }
        }
    }
}

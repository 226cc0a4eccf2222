//! Minimises a smooth function of a few variables: BFGS with differences for derivatives.
//!
//! Nocedal & Wright, *Numerical Optimization*, 2nd ed., 6.1. Given a good first curvature it takes few steps, which
//! is what counts here: one value of the function costs a pass over the series. All loops are bounded.

/// Distance of a difference.
const STEP: f64 = 1e-5;

/// Halvings of one step.
const HALVINGS_MAX: usize = 12;

/// Longest step, in any variable.
const REACH: f64 = 1.0;

/// Goes downhill from `x`; `inverse` is the first guess of the inverse of the curvature, row by row.
///
/// Ends after `steps_max` steps, or when two in a row gain less than `tolerance`. `f` may be infinite.
pub(super) fn minimise(
    f: &mut dyn FnMut(&[f64]) -> f64,
    mut x: Vec<f64>,
    mut inverse: Vec<f64>,
    steps_max: usize,
    tolerance: f64,
) -> Vec<f64> {
    let mut value = f(&x);
    if x.is_empty() || !value.is_finite() {
        return x;
    }
    let mut slope = gradient(f, &x, value);
    let mut idle = 0;
    for _ in 0..steps_max {
        let mut direction = times(&inverse, &slope, -1.0);
        if product(&direction, &slope) >= 0.0 {
            inverse = identity(x.len());
            direction = slope.iter().map(|s| -s).collect();
        }
        let Some((next, next_value)) = search(f, &x, value, &direction, product(&direction, &slope)) else {
            break;
        };
        let next_slope = gradient(f, &next, next_value);
        learn(
            &mut inverse,
            &difference(&next, &x),
            &difference(&next_slope, &slope),
        );
        idle = if value - next_value < tolerance {
            idle + 1
        } else {
            0
        };
        (x, value, slope) = (next, next_value, next_slope);
        if idle >= 2 {
            break;
        }
    }
    x
}

/// A point along `direction` that is lower by a share of what the slope promises.
fn search(
    f: &mut dyn FnMut(&[f64]) -> f64,
    x: &[f64],
    value: f64,
    direction: &[f64],
    promised: f64,
) -> Option<(Vec<f64>, f64)> {
    let longest = direction.iter().fold(0.0_f64, |longest, d| longest.max(d.abs()));
    let mut length = if longest > REACH { REACH / longest } else { 1.0 };
    for _ in 0..HALVINGS_MAX {
        let next: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + length * d).collect();
        let found = f(&next);
        if found <= value + 1e-4 * length * promised {
            return Some((next, found));
        }
        length *= 0.4;
    }
    None
}

/// Forward differences; backward where forward is not allowed.
fn gradient(f: &mut dyn FnMut(&[f64]) -> f64, x: &[f64], value: f64) -> Vec<f64> {
    let mut at = x.to_vec();
    (0..x.len())
        .map(|i| {
            let step = STEP * x[i].abs().max(1.0);
            at[i] = x[i] + step;
            let mut slope = (f(&at) - value) / step;
            if !slope.is_finite() {
                at[i] = x[i] - step;
                slope = (value - f(&at)) / step;
            }
            at[i] = x[i];
            if slope.is_finite() { slope } else { 0.0 }
        })
        .collect()
}

/// The update of Broyden, Fletcher, Goldfarb and Shanno; left out where the curvature is not positive.
fn learn(inverse: &mut [f64], moved: &[f64], change: &[f64]) {
    let n = moved.len();
    let curvature = product(moved, change);
    if curvature.is_nan() || curvature <= 1e-14 {
        return;
    }
    let carried = times(inverse, change, 1.0);
    let factor = (1.0 + product(change, &carried) / curvature) / curvature;
    for i in 0..n {
        for j in 0..n {
            inverse[i * n + j] +=
                factor * moved[i] * moved[j] - (moved[i] * carried[j] + carried[i] * moved[j]) / curvature;
        }
    }
}

/// The unit matrix.
pub(super) fn identity(n: usize) -> Vec<f64> {
    let mut all = vec![0.0; n * n];
    all.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal = 1.0);
    all
}

fn times(matrix: &[f64], v: &[f64], factor: f64) -> Vec<f64> {
    matrix
        .chunks_exact(v.len())
        .map(|row| factor * product(row, v))
        .collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        // Rosenbrock's, lowest at (1, 1).
        let mut f = |x: &[f64]| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
        let x = minimise(&mut f, vec![-1.2, 1.0], identity(2), 200, 1e-12);
        assert!((x[0] - 1.0).abs() < 1e-2 && (x[1] - 1.0).abs() < 2e-2, "{x:?}");
    }

    #[test]
    fn walls_are_kept_off() {
        let mut f = |x: &[f64]| {
            if x[0] > 0.5 {
                f64::INFINITY
            } else {
                (x[0] - 1.0).powi(2)
            }
        };
        let x = minimise(&mut f, vec![0.0], identity(1), 50, 1e-12);
        assert!(x[0] > 0.4 && x[0] <= 0.5, "{x:?}");
    }
}

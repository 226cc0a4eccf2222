//! A smoother's parameters, from what it forecast for each step of a known series.
//!
//! With errors `e` and one-step forecasts `f`, the recursion of any form without season makes
//! `Δf[t+1] = (α + φβ) e[t] + φ Δf[t] − φα e[t−1]`, and without trend `Δf[t+1] = α e[t]`. That is linear and holds
//! exactly, so least squares has the parameters back to rounding; where it is not determined (the errors are all 0),
//! they make no difference to what was seen, and ordinary ones are taken.

use super::form::{Form, Smoother, Smoothing, share};
use crate::batch::scale::MeanSquare;

/// Parameters where the series tells nothing of them.
const USUAL: Smoothing = Smoothing {
    alpha: 0.3,
    beta: 0.03,
    phi: 0.95,
};
/// What the search keeps to.
const LEAST: f64 = 1e-4;
const PHI: (f64, f64) = (0.8, 0.98);

/// `fitted` holds a forecast for each element of `x` and one for the step after, `second` is for the step after that.
pub(super) fn smoother(form: Form, x: &[f64], fitted: &[f64], second: f64) -> Smoother {
    let errors: Vec<f64> = x.iter().zip(fitted).map(|(x, f)| x - f).collect();
    let smoothing = smoothing(form, fitted, &errors);
    let first = fitted.last().copied().unwrap_or(0.0);
    // Both steps see the same damped slope in the search's own forecasts.
    let damped_slope = if form.trend { second - first } else { 0.0 };
    let shares = errors.iter().zip(fitted).map(|(&e, &f)| share(e, f));
    Smoother {
        form,
        smoothing,
        level: first - damped_slope,
        slope: damped_slope / smoothing.phi,
        relative_errors: MeanSquare::of(shares),
        errors: MeanSquare::of(errors.iter().copied()),
        age: 0,
    }
}

fn smoothing(form: Form, fitted: &[f64], errors: &[f64]) -> Smoothing {
    let changes: Vec<f64> = fitted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each row: what the change of the forecast after step t is made of.
    let rows = (1..errors.len()).map(|t| (errors[t], changes[t - 1], errors[t - 1], changes[t]));
    let found = match form {
        Form { trend: false, .. } => {
            least_squares(rows.map(|(e, _, _, change)| ([e], change))).map(|[alpha]| Smoothing {
                alpha,
                beta: 0.0,
                phi: 1.0,
            })
        }
        Form { damped: false, .. } => least_squares(
            rows.map(|(e, before, e_before, change)| ([e, -e_before], change - before)),
        )
        .map(|[sum, alpha]| Smoothing {
            alpha,
            beta: sum - alpha,
            phi: 1.0,
        }),
        _ => least_squares(rows.map(|(e, before, e_before, change)| ([e, before, -e_before], change))).map(
            |[sum, phi, product]| {
                let alpha = product / phi;
                Smoothing {
                    alpha,
                    beta: (sum - alpha) / phi,
                    phi,
                }
            },
        ),
    };
    bounded(form, found.unwrap_or(USUAL))
}

/// Rounding, and series that determine little, may leave what the search allows: it holds `beta` below the `alpha` that
/// it began with, not below the one it found.
fn bounded(form: Form, found: Smoothing) -> Smoothing {
    let inside = |value: f64, low: f64, high: f64, usual: f64| {
        if value.is_finite() {
            value.clamp(low, high)
        } else {
            usual
        }
    };
    let alpha = inside(found.alpha, LEAST, 1.0 - LEAST, USUAL.alpha);
    Smoothing {
        alpha,
        beta: if form.trend {
            inside(found.beta, LEAST, 1.0 - LEAST, USUAL.beta)
        } else {
            0.0
        },
        phi: if form.damped {
            inside(found.phi, PHI.0, PHI.1, USUAL.phi)
        } else {
            1.0
        },
    }
}

/// Solution of the normal equations by elimination; `None` where they do not determine it.
fn least_squares<const N: usize>(rows: impl Iterator<Item = ([f64; N], f64)>) -> Option<[f64; N]> {
    let (mut matrix, mut right) = ([[0.0; N]; N], [0.0; N]);
    for (row, target) in rows {
        for i in 0..N {
            right[i] += row[i] * target;
            for j in 0..N {
                matrix[i][j] += row[i] * row[j];
            }
        }
    }
    for i in 0..N {
        let (pivot_row, pivot) = (matrix[i], matrix[i][i]);
        if pivot <= 0.0 {
            return None;
        }
        for k in i + 1..N {
            let share = matrix[k][i] / pivot;
            for (cell, above) in matrix[k].iter_mut().zip(pivot_row) {
                *cell -= share * above;
            }
            right[k] -= share * right[i];
        }
    }
    let mut solution = [0.0; N];
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| matrix[i][j] * solution[j]).sum();
        solution[i] = (right[i] - known) / matrix[i][i];
    }
    solution.iter().all(|s| s.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::scale::Scaled;

    /// A series that is noise around nothing in particular, and what a smoother says of it step by step.
    fn seen(form: Form, smoothing: Smoothing) -> (Vec<f64>, Vec<f64>, Smoother) {
        let mut smoother = Smoother {
            form,
            smoothing,
            level: 40.0,
            slope: if form.trend { 0.3 } else { 0.0 },
            errors: MeanSquare::default(),
            relative_errors: MeanSquare::default(),
            age: 0,
        };
        let x: Vec<f64> = (0..80)
            .map(|t| 40.0 + f64::from(t * t * 31 % 17) + 0.2 * f64::from(t))
            .collect();
        let mut fitted = vec![smoother.next()];
        for &x in &x {
            smoother.step(Some(x));
            fitted.push(smoother.next());
        }
        (x, fitted, smoother)
    }

    #[test]
    fn each_form_is_recovered_and_goes_on_alike() {
        for (trend, damped, alpha, beta, phi) in [
            (false, false, 0.7, 0.0, 1.0),
            (false, false, 0.0001, 0.0, 1.0),
            (true, false, 0.3, 0.1, 1.0),
            (true, false, 0.9999, 0.0001, 1.0),
            (true, true, 0.5, 0.2, 0.9),
            (true, true, 0.8, 0.0001, 0.98),
        ] {
            for relative in [false, true] {
                let form = Form {
                    trend,
                    damped,
                    relative,
                };
                let (x, fitted, mut original) = seen(form, Smoothing { alpha, beta, phi });
                let second = original.path(2).0[1];
                let mut found = smoother(form, &x, &fitted, second);
                for x in [80.0, 20.0, 55.0] {
                    found.step(Some(x));
                    original.step(Some(x));
                }
                let (a, b) = (found.path(20), original.path(20));
                let worst =
                    a.0.iter()
                        .zip(&b.0)
                        .map(|(a, b)| (a - b).abs())
                        .fold(0.0, f64::max);
                assert!(worst < 1e-5, "{form:?}: {worst}, {:?}", found.smoothing);
            }
        }
    }
}

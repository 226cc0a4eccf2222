//! Small symmetric linear systems: normal equations of least squares, curvatures.

/// Solves `matrix · x = right` for a positive definite matrix, row by row; `None` where it is not.
///
/// By Cholesky's decomposition; only the lower triangle is read.
pub(super) fn solve(matrix: &[f64], right: &[f64]) -> Option<Vec<f64>> {
    let lower = decompose(matrix, right.len())?;
    let n = right.len();
    let mut x = right.to_vec();
    for i in 0..n {
        let known: f64 = (0..i).map(|j| lower[i * n + j] * x[j]).sum();
        x[i] = (x[i] - known) / lower[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| lower[j * n + i] * x[j]).sum();
        x[i] = (x[i] - known) / lower[i * n + i];
    }
    x.iter().all(|x| x.is_finite()).then_some(x)
}

fn decompose(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut lower = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
            let rest = matrix[i * n + j] - known;
            if i != j {
                lower[i * n + j] = rest / lower[j * n + j];
            } else if rest > 1e-13 * matrix[i * n + i] && rest.is_finite() {
                lower[i * n + i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(lower)
}

/// The inverse of a positive definite matrix.
pub(super) fn invert(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut all = Vec::with_capacity(n * n);
    for i in 0..n {
        let mut unit = vec![0.0; n];
        unit[i] = 1.0;
        all.extend(solve(matrix, &unit)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_or_refused() {
        let x = solve(&[4.0, 0.0, 2.0, 3.0], &[8.0, 8.0]).expect("definite");
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12, "{x:?}");
        assert_eq!(solve(&[1.0, 1.0, 1.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(solve(&[f64::NAN], &[1.0]), None);
        assert_eq!(solve(&[], &[]), Some(vec![]));
    }
}

//! The two halves of an ARMA recursion over a whole series: lags of the input, then of the output.
//!
//! Apart, because the first is a sum of shifted slices, which the compiler vectorises, and the second is not.

/// `out[t] = x[t] - Σ c x[t - lag]` for `t >= from`, and 0 before; lags that reach before the series count as 0.
pub(super) fn whiten(x: &[f64], lags: &[(usize, f64)], from: usize) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let from = from.min(x.len());
    out[from..].copy_from_slice(&x[from..]);
    for &(lag, c) in lags {
        let first = lag.max(from);
        if first < x.len() {
            let earlier = &x[first - lag..x.len() - lag];
            for (y, x) in out[first..].iter_mut().zip(earlier) {
                *y -= c * x;
            }
        }
    }
    out
}

/// `y[t] -= Σ c y[t - lag]` from `from` on, in place and in order: divides by the polynomial `1 + Σ c B^lag`.
pub(super) fn divide(y: &mut [f64], lags: &[(usize, f64)], from: usize) {
    let longest = lags.last().map_or(0, |(lag, _)| *lag);
    if longest == 0 {
        return;
    }
    let inner = from.max(longest).min(y.len());
    for t in from..inner {
        let reach = lags.iter().take_while(|(lag, _)| *lag <= t);
        y[t] -= reach.map(|(lag, c)| c * y[t - lag]).sum::<f64>();
    }
    if longest == lags.len() {
        divide_dense(y, lags, inner);
        return;
    }
    for t in inner..y.len() {
        y[t] -= lags.iter().map(|(lag, c)| c * y[t - lag]).sum::<f64>();
    }
}

/// The same where every lag up to the longest is there: the few latest outputs stay at hand.
fn divide_dense(y: &mut [f64], lags: &[(usize, f64)], from: usize) {
    match lags {
        [a] => divide_by::<1>(y, [a.1], from),
        [a, b] => divide_by::<2>(y, [a.1, b.1], from),
        [a, b, c] => divide_by::<3>(y, [a.1, b.1, c.1], from),
        [a, b, c, d] => divide_by::<4>(y, [a.1, b.1, c.1, d.1], from),
        [a, b, c, d, e] => divide_by::<5>(y, [a.1, b.1, c.1, d.1, e.1], from),
        _ => {
            for t in from..y.len() {
                y[t] -= lags.iter().map(|(lag, c)| c * y[t - lag]).sum::<f64>();
            }
        }
    }
}

fn divide_by<const N: usize>(y: &mut [f64], c: [f64; N], from: usize) {
    // Latest first.
    let mut last = [0.0; N];
    for (i, value) in last.iter_mut().enumerate() {
        *value = if from > i { y[from - 1 - i] } else { 0.0 };
    }
    for y in &mut y[from..] {
        // The latest output enters last, so that only its product waits for the step before.
        let mut sum = 0.0;
        for i in (1..N).rev() {
            sum += c[i] * last[i];
        }
        *y -= sum;
        *y -= c[0] * last[0];
        for i in (1..N).rev() {
            last[i] = last[i - 1];
        }
        last[0] = *y;
    }
}

/// Sum of products, over as many elements as the shorter has.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums: one alone would wait for each addition, and the compiler may not reorder them.
    let mut sums = [0.0; 8];
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let (whole_a, whole_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in whole_a.zip(whole_b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dividing_undoes_whitening_whatever_the_lags(
            x in prop::collection::vec(-1.0..1.0_f64, 1..60),
            dense in prop::collection::vec(-0.2..0.2_f64, 0..8),
            is_sparse: bool,
        ) {
            let all: Vec<(usize, f64)> = (1..).zip(dense.iter().copied()).collect();
            let lags: Vec<(usize, f64)> = all.into_iter().filter(|(lag, _)| !is_sparse || lag % 3 == 1).collect();
            let mut y = whiten(&x, &lags, 0);
            let negated: Vec<(usize, f64)> = lags.iter().map(|(lag, c)| (*lag, -c)).collect();
            divide(&mut y, &negated, 0);
            for (x, y) in x.iter().zip(&y) {
                prop_assert!((x - y).abs() < 1e-9, "{x} {y}");
            }
        }

        #[test]
        fn a_dot_product_is_the_sum_of_products(
            pairs in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 0..40)
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let plain: f64 = pairs.iter().map(|(a, b)| a * b).sum();
            prop_assert!((dot(&a, &b) - plain).abs() < 1e-12);
        }
    }
}

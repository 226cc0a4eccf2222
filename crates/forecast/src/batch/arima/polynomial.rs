//! Polynomials in the lag operator: products, the region of stationarity, and its coordinates.
//!
//! An autoregressive polynomial is `1 - a1 B - a2 B² ..`, a moving-average one `1 + b1 B + b2 B² ..`; only the
//! coefficients behind the 1 are kept, with the signs of those formulas.

/// Lags with a coefficient other than 0, lags rising, and all coefficients by lag.
#[derive(Debug, Clone, Default)]
pub(super) struct Lags {
    dense: Vec<f64>,
    sparse: Vec<(usize, f64)>,
}

impl Lags {
    pub(super) fn new(dense: Vec<f64>) -> Self {
        let sparse = (1..)
            .zip(&dense)
            .filter(|(_, c)| **c != 0.0)
            .map(|(lag, c)| (lag, *c))
            .collect();
        Self { dense, sparse }
    }

    /// The product of an autoregressive polynomial with one in `B^period`.
    pub(super) fn autoregressive(short: &[f64], seasonal: &[f64], period: usize) -> Self {
        Self::new(product(short, seasonal, period, -1.0))
    }

    /// The product of a moving-average polynomial with one in `B^period`.
    pub(super) fn moving_average(short: &[f64], seasonal: &[f64], period: usize) -> Self {
        Self::new(product(short, seasonal, period, 1.0))
    }

    /// Element `i` is the coefficient of lag `i + 1`.
    pub(super) fn dense(&self) -> &[f64] {
        &self.dense
    }

    /// `(lag, coefficient)`.
    pub(super) fn sparse(&self) -> &[(usize, f64)] {
        &self.sparse
    }

    /// The longest lag.
    pub(super) fn len(&self) -> usize {
        self.dense.len()
    }

    pub(super) fn sum(&self) -> f64 {
        self.dense.iter().sum()
    }
}

/// `(1 + s·short)(1 + s·seasonal(B^period)) = 1 + s·result`, where `s` is 1 or -1.
fn product(short: &[f64], seasonal: &[f64], period: usize, sign: f64) -> Vec<f64> {
    let mut all = vec![0.0; short.len() + period * seasonal.len()];
    all[..short.len()].copy_from_slice(short);
    for (j, b) in (1..).zip(seasonal) {
        all[j * period - 1] += b;
        for (i, a) in (1..).zip(short) {
            all[j * period + i - 1] += sign * a * b;
        }
    }
    all
}

/// Differencing as an autoregressive polynomial: `(1 - B)^d (1 - B^period)^seasonal`.
pub(super) fn differencing(d: usize, seasonal: usize, period: usize) -> Vec<f64> {
    let once = (0..d).fold(Vec::new(), |all: Vec<f64>, _| product(&all, &[1.0], 1, -1.0));
    (0..seasonal).fold(once, |all, _| product(&all, &[1.0], period, -1.0))
}

/// Partial autocorrelations of an autoregression; `None` where it is not stationary.
///
/// The Durbin–Levinson recursion backwards. Stationary is what has all of them inside (-1, 1).
pub(super) fn partials(ar: &[f64]) -> Option<Vec<f64>> {
    let mut current = ar.to_vec();
    for k in (1..current.len()).rev() {
        let last = current[k];
        let rest = 1.0 - last * last;
        if rest.is_nan() || rest <= 0.0 {
            return None;
        }
        let lower: Vec<f64> = (0..k)
            .map(|i| (current[i] + last * current[k - 1 - i]) / rest)
            .collect();
        current[..k].copy_from_slice(&lower);
    }
    current.iter().all(|r| r.abs() < 1.0).then_some(current)
}

/// The autoregression that has these partial autocorrelations.
pub(super) fn from_partials(partials: &[f64]) -> Vec<f64> {
    let mut ar: Vec<f64> = Vec::with_capacity(partials.len());
    for &last in partials {
        let k = ar.len();
        let higher: Vec<f64> = (0..k).map(|i| ar[i] - last * ar[k - 1 - i]).collect();
        ar.copy_from_slice(&higher);
        ar.push(last);
    }
    ar
}

/// Whether all roots of an autoregressive polynomial lie further than `radius` from 0.
pub(super) fn roots_beyond(ar: &[f64], radius: f64) -> bool {
    let mut scale = 1.0;
    let scaled: Vec<f64> = ar
        .iter()
        .map(|a| {
            scale *= radius;
            a * scale
        })
        .collect();
    partials(&scaled).is_some()
}

/// The same for a moving-average polynomial.
pub(super) fn ma_roots_beyond(ma: &[f64], radius: f64) -> bool {
    let negated: Vec<f64> = ma.iter().map(|b| -b).collect();
    roots_beyond(&negated, radius)
}

/// The first `count` weights of `(1 + ma) / (1 - ar)` behind the 1: what an innovation does to later values.
pub(super) fn psi(ar: &Lags, ma: &Lags, count: usize) -> Vec<f64> {
    let mut weights = Vec::with_capacity(count + 1);
    weights.push(1.0);
    for i in 1..=count {
        let own = ma.dense().get(i - 1).copied().unwrap_or(0.0);
        let lags = ar.sparse().iter().take_while(|(lag, _)| *lag <= i);
        let carried: f64 = lags.map(|(lag, c)| c * weights[i - lag]).sum();
        weights.push(own + carried);
    }
    weights.remove(0);
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn differencing_is_the_binomial_formula() {
        for (d, seasonal, period, expected) in [
            (0, 0, 1, vec![]),
            (1, 0, 1, vec![1.0]),
            (2, 0, 1, vec![2.0, -1.0]),
            (1, 1, 4, vec![1.0, 0.0, 0.0, 1.0, -1.0]),
        ] {
            assert_eq!(differencing(d, seasonal, period), expected, "{d} {seasonal}");
        }
    }

    #[test]
    fn roots_are_told_from_the_unit_circle() {
        // 1 - 0.5 B has its root at 2, 1 - B at 1, 1 - 1.5 B + 0.56 B² at 1.25 and 1.43.
        assert!(roots_beyond(&[0.5], 1.99) && !roots_beyond(&[0.5], 2.01));
        assert!(!roots_beyond(&[1.0], 1.0));
        assert!(roots_beyond(&[1.5, -0.56], 1.24) && !roots_beyond(&[1.5, -0.56], 1.26));
        assert!(!roots_beyond(&[f64::NAN], 1.0) && !roots_beyond(&[0.1, f64::INFINITY], 1.0));
    }

    proptest! {
        #[test]
        fn partials_and_coefficients_tell_the_same(
            wanted in prop::collection::vec(-0.95..0.95_f64, 0..8)
        ) {
            let found = partials(&from_partials(&wanted)).expect("stationary by construction");
            for (a, b) in wanted.iter().zip(&found) {
                prop_assert!((a - b).abs() < 1e-6, "{wanted:?} {found:?}");
            }
        }
    }
}

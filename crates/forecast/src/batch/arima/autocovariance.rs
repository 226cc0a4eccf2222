//! Theoretical autocovariances of a stationary ARMA process with innovations of variance 1.
//!
//! The autoregressive part by its partial autocorrelations (the Durbin–Levinson recursion up), then the moving average
//! over it: no linear system, and no loss near the edge of stationarity.

use super::polynomial::{Lags, partials};

/// `γ(0) ..= γ(lag_max)`; `None` where the process is not stationary.
pub(super) fn autocovariances(ar: &Lags, ma: &Lags, lag_max: usize) -> Option<Vec<f64>> {
    let q = ma.len();
    let pure = of_autoregression(ar, lag_max + q)?;
    if q == 0 {
        return Some(pure);
    }
    let weights: Vec<(usize, f64)> = std::iter::once((0, 1.0))
        .chain(ma.sparse().iter().copied())
        .collect();
    // Autocovariances of the moving average alone, then their convolution with the autoregression's.
    let mut own = vec![0.0; q + 1];
    for &(i, a) in &weights {
        for &(j, b) in weights.iter().filter(|(j, _)| *j >= i) {
            own[j - i] += a * b;
        }
    }
    let at = |k: usize| {
        let sides = |h: usize| own[h] * (pure[k.abs_diff(h)] + pure[k + h]);
        own[0] * pure[k] + (1..=q).filter(|h| own[*h] != 0.0).map(sides).sum::<f64>()
    };
    Some((0..=lag_max).map(at).collect())
}

fn of_autoregression(ar: &Lags, lag_max: usize) -> Option<Vec<f64>> {
    let partials = partials(ar.dense())?;
    let spread: f64 = partials.iter().map(|r| 1.0 - r * r).product();
    let mut gamma = Vec::with_capacity(lag_max + 1);
    gamma.push(1.0 / spread);
    let mut error = gamma[0];
    let mut lower: Vec<f64> = Vec::with_capacity(partials.len());
    for &r in partials.iter().take(lag_max) {
        let carried: f64 = lower.iter().zip(gamma.iter().rev()).map(|(a, g)| a * g).sum();
        gamma.push(carried + r * error);
        error *= 1.0 - r * r;
        let k = lower.len();
        let higher: Vec<f64> = (0..k).map(|i| lower[i] - r * lower[k - 1 - i]).collect();
        lower.copy_from_slice(&higher);
        lower.push(r);
    }
    for k in gamma.len()..=lag_max {
        gamma.push(ar.sparse().iter().map(|(lag, a)| a * gamma[k - lag]).sum());
    }
    gamma.iter().all(|g| g.is_finite()).then_some(gamma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::arima::polynomial::psi;

    #[test]
    fn they_equal_the_sums_over_the_psi_weights() {
        for (ar, ma) in [
            (vec![], vec![]),
            (vec![0.9], vec![]),
            (vec![], vec![-0.4, 0.3]),
            (vec![0.5, -0.3, 0.2], vec![0.4]),
            (vec![1.2, -0.5], vec![0.3, 0.2, -0.6, 0.1]),
        ] {
            let (ar, ma) = (Lags::new(ar), Lags::new(ma));
            let mut weights = vec![1.0];
            weights.extend(psi(&ar, &ma, 2_000));
            let found = autocovariances(&ar, &ma, 6).expect("stationary");
            for (k, gamma) in found.iter().enumerate() {
                let sum: f64 = weights.iter().zip(&weights[k..]).map(|(a, b)| a * b).sum();
                assert!((gamma - sum).abs() < 1e-9, "{ar:?} {ma:?} {k}: {gamma} {sum}");
            }
        }
        assert!(autocovariances(&Lags::new(vec![1.0]), &Lags::default(), 3).is_none());
    }
}

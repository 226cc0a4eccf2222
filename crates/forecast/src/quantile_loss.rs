//! The loss that a quantile is judged by.

/// What a forecast of quantile `q` in (0, 1) costs that was missed by `error`, what was measured less what was forecast:
/// `q` of it above, `1 − q` below. Least on the mean for the true quantile (Koenker & Bassett, *Regression Quantiles*,
/// 1978).
pub(crate) fn quantile_loss(error: f64, q: f64) -> f64 {
    if error > 0.0 { q * error } else { (q - 1.0) * error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_costs_q_and_below_the_rest() {
        for (error, q, loss) in [
            (2.0, 0.9, 1.8),
            (-2.0, 0.9, 0.2),
            (0.0, 0.9, 0.0),
            (-4.0, 0.5, 2.0),
        ] {
            assert!((quantile_loss(error, q) - loss).abs() < 1e-12, "{error} {q}");
        }
    }
}

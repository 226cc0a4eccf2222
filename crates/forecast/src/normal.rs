//! The standard normal distribution.

/// A normal's standard deviation, by its mean absolute deviation: the root of π/2.
pub(crate) const DEVIATION_BY_MEAN_ABSOLUTE: f64 = 1.253_314_137_315_500_3;

/// And by its median absolute deviation.
pub(crate) const DEVIATION_BY_MEDIAN_ABSOLUTE: f64 = 1.482_602_218_505_602;

/// The value below which the share `q` in (0, 1) of a standard normal lies.
///
/// Acklam's rational approximation, relative error under 1.2e-9; infinite at 0 and 1.
pub(crate) fn quantile(q: f64) -> f64 {
    const EDGE: f64 = 0.024_25;
    if q < EDGE {
        tail(q)
    } else if q > 1.0 - EDGE {
        -tail(1.0 - q)
    } else {
        middle(q - 0.5)
    }
}

fn middle(r: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.383_577_518_672_69e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    let square = r * r;
    r * polynomial(&A, square) / polynomial(&B, square)
}

fn tail(q: f64) -> f64 {
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
        1.0,
    ];
    let r = (-2.0 * q.ln()).sqrt();
    polynomial(&C, r) / polynomial(&D, r)
}

/// Highest power first.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_of_the_tables_are_hit() {
        for (q, z) in [
            (0.5, 0.0),
            (0.9, 1.281_551_565_5),
            (0.95, 1.644_853_627_0),
            (0.99, 2.326_347_874_0),
            (0.001, -3.090_232_306_2),
        ] {
            assert!((quantile(q) - z).abs() < 1e-8, "{q}: {}", quantile(q));
        }
    }
}

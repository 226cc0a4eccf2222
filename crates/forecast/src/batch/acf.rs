//! Autocorrelation of a series at many lags at once, by Fourier transform.

use rustfft::{FftPlanner, num_complex::Complex};

/// Autocorrelation at lags 0 to `lag_max` (at most the series' length less 1), the biased estimate: sums of products of
/// deviations from the mean, over the sum of squares. All 0 beyond lag 0 for a series that does not vary.
pub(crate) fn autocorrelation(x: &[f64], lag_max: usize) -> Vec<f64> {
    let lag_max = lag_max.min(x.len().saturating_sub(1));
    let mean = x.iter().sum::<f64>() / x.len().max(1) as f64;
    // Zeros behind keep the end from meeting the beginning.
    let size = good_size(x.len() + lag_max + 1);
    let mut buffer: Vec<Complex<f64>> = x.iter().map(|y| Complex::new(y - mean, 0.0)).collect();
    buffer.resize(size, Complex::default());
    let mut planner = FftPlanner::new();
    planner.plan_fft_forward(size).process(&mut buffer);
    for c in &mut buffer {
        *c = Complex::new(c.norm_sqr(), 0.0);
    }
    // The power spectrum is even: transforming it forward is transforming it back.
    planner.plan_fft_forward(size).process(&mut buffer);
    let energy = buffer[0].re;
    let share = |c: &Complex<f64>| if energy > 0.0 { c.re / energy } else { 0.0 };
    let mut r: Vec<f64> = buffer[..=lag_max].iter().map(share).collect();
    r[0] = 1.0;
    r
}

/// The next size that is quick to transform: a power of two, or three quarters of one.
fn good_size(n: usize) -> usize {
    let power = n.next_power_of_two();
    if power >= 4 && power / 4 * 3 >= n {
        power / 4 * 3
    } else {
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_definition_says() {
        let x: Vec<f64> = (0..37).map(|t| f64::from(t * t % 11)).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let product = |k: usize| -> f64 {
            let pairs = x.iter().zip(&x[k..]);
            pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
        };
        let found = autocorrelation(&x, 36);
        for (k, r) in found.iter().enumerate() {
            assert!((r - product(k) / product(0)).abs() < 1e-12, "lag {k}: {r}");
        }
    }

    #[test]
    fn any_length_has_an_answer() {
        for (x, expected) in [
            (&[][..], &[1.0][..]),
            (&[3.0], &[1.0]),
            (&[3.0, 3.0], &[1.0, 0.0]),
        ] {
            assert_eq!(autocorrelation(x, 1), expected, "{x:?}");
        }
    }
}

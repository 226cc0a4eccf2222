//! Classical decomposition: is there a season of a known length, and what does it add or multiply.
//!
//! The test is the M4 competition's: the autocorrelation at one season, against a 90 % limit that grows with the ones
//! before it. The decomposition is by centred moving averages, as R's `decompose`.

use super::acf::autocorrelation;

/// One-sided normal quantile of the test.
const CRITICAL: f64 = 1.645;
/// Factors under this would blow up what is divided by them; the season is then taken as added.
const FACTOR_MIN: f64 = 0.01;

/// Whether `x` repeats every `period` steps, of three periods or more.
pub(crate) fn is_seasonal(x: &[f64], period: usize) -> bool {
    if period < 2 || x.len() / 3 < period {
        return false;
    }
    let r = autocorrelation(x, period);
    let before: f64 = r[1..period].iter().map(|r| r * r).sum();
    r[period].abs() > CRITICAL * ((1.0 + 2.0 * before) / x.len() as f64).sqrt()
}

/// What a season does to a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Season {
    Factors(Vec<f64>),
    Terms(Vec<f64>),
}

impl Season {
    /// Factors where the series is positive throughout, else terms. `x` has three periods or more; element 0 of what is
    /// found is for `x[0]`.
    pub(crate) fn of(x: &[f64], period: usize) -> Self {
        let trend = moving_average(x, period);
        if x.iter().all(|&x| x > 0.0) {
            let factors = by_phase(x, &trend, period, |x, trend| x / trend);
            let mean = factors.iter().sum::<f64>() / period as f64;
            let factors: Vec<f64> = factors.iter().map(|f| f / mean).collect();
            if factors.iter().all(|f| f.is_finite() && *f >= FACTOR_MIN) {
                return Self::Factors(factors);
            }
        }
        let terms = by_phase(x, &trend, period, |x, trend| x - trend);
        let mean = terms.iter().sum::<f64>() / period as f64;
        Self::Terms(terms.iter().map(|t| t - mean).collect())
    }

    /// Takes the season out of the value at step `t`, counted from the series' first.
    pub(crate) fn remove(&self, t: usize, x: f64) -> f64 {
        match self {
            Self::Factors(factors) => x / factors[t % factors.len()],
            Self::Terms(terms) => x - terms[t % terms.len()],
        }
    }

    /// Puts it back into a value and its standard deviation.
    pub(crate) fn restore(&self, t: usize, x: f64, deviation: f64) -> (f64, f64) {
        match self {
            Self::Factors(factors) => {
                let factor = factors[t % factors.len()];
                (x * factor, deviation * factor)
            }
            Self::Terms(terms) => (x + terms[t % terms.len()], deviation),
        }
    }
}

/// Centred average over one period, `None` at both ends; where the period is even, the outermost two count half each.
fn moving_average(x: &[f64], period: usize) -> Vec<Option<f64>> {
    let half = period / 2;
    let mut sums = Vec::with_capacity(x.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for x in x {
        sum += x;
        sums.push(sum);
    }
    let average = |t: usize| {
        if t < half || t + half >= x.len() {
            return None;
        }
        let (from, to) = (t - half, t + half);
        let mut total = sums[to + 1] - sums[from];
        if period.is_multiple_of(2) {
            total -= 0.5 * (x[from] + x[to]);
        }
        Some(total / period as f64)
    };
    (0..x.len()).map(average).collect()
}

/// Mean over all seasons of what `relate` makes of value and trend.
fn by_phase(x: &[f64], trend: &[Option<f64>], period: usize, relate: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); period];
    for (t, (&x, trend)) in x.iter().zip(trend).enumerate() {
        if let Some(trend) = trend {
            let (sum, count) = &mut sums[t % period];
            *sum += relate(x, *trend);
            *count += 1.0;
        }
    }
    sums.iter()
        .map(|(sum, count)| sum / f64::max(*count, 1.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_season_over_a_line_is_found_exactly() {
        for period in [2, 3, 4, 7, 12] {
            let shape = |t: usize| (t % period) as f64 - (period - 1) as f64 / 2.0;
            let x: Vec<f64> = (0..6 * period)
                .map(|t| -3.0 + 0.5 * t as f64 + shape(t))
                .collect();
            for t in 0..x.len() {
                let rest = Season::of(&x, period).remove(t, x[t]);
                assert!(
                    (rest - (-3.0 + 0.5 * t as f64)).abs() < 1e-9,
                    "{period}, {t}: {rest}"
                );
            }
        }
    }

    #[test]
    fn factors_are_divided_out_and_put_back() {
        let factors = [0.5, 1.0, 1.5];
        let x: Vec<f64> = (0..30).map(|t| 8.0 * factors[t % 3]).collect();
        let season = Season::of(&x, 3);
        assert!(matches!(season, Season::Factors(_)));
        assert!((season.remove(4, x[4]) - 8.0).abs() < 1e-12);
        let (value, deviation) = season.restore(3, 8.0, 1.0);
        assert!((value - 4.0).abs() < 1e-12 && (deviation - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_season_longer_than_a_third_of_the_series_or_of_one_step_is_none() {
        let x: Vec<f64> = (0..30).map(|t| f64::from(t % 10)).collect();
        for (period, expected) in [
            (0, false),
            (1, false),
            (10, true),
            (11, false),
            (usize::MAX, false),
        ] {
            assert_eq!(is_seasonal(&x, period), expected, "{period}");
        }
    }
}

//! What a season of a given length would look like, and whether that could be chance.

use super::level::without_level;

/// How unlikely a profile must be by chance, in standard deviations: many lengths are tried.
const CRITICAL: f64 = 5.0;

/// The mean over all occurrences at each step of a period, and what each occurrence leaves.
pub(super) struct Profile {
    means: Vec<f64>,
    /// Index in the series of the first whole occurrence.
    first: usize,
    /// Left after the level was taken off, and after the profile was too.
    level_free: Vec<f64>,
    rest: Vec<f64>,
}

impl Profile {
    /// `x` holds `period` twice at least.
    pub(super) fn of(x: &[f64], period: usize) -> Self {
        let first = x.len() % period;
        let level_free = without_level(x, period).split_off(first);
        let occurrences = level_free.len() / period;
        let mut means = vec![0.0; period];
        for occurrence in level_free.chunks_exact(period) {
            means
                .iter_mut()
                .zip(occurrence)
                .for_each(|(mean, y)| *mean += y / occurrences as f64);
        }
        let rest = level_free
            .iter()
            .zip(means.iter().cycle())
            .map(|(y, mean)| y - mean)
            .collect();
        Self {
            means,
            first,
            level_free,
            rest,
        }
    }

    pub(super) fn period(&self) -> usize {
        self.means.len()
    }

    fn occurrences(&self) -> f64 {
        (self.level_free.len() / self.means.len()) as f64
    }

    /// Variance that is foretold for an occurrence by the mean of the others; negative for noise.
    pub(super) fn explained(&self) -> f64 {
        // Leaving an occurrence out of the mean makes its error larger by this factor, exactly.
        let inflation = self.occurrences() / (self.occurrences() - 1.0).max(1e-9);
        mean_square(&self.level_free) - mean_square(&self.rest) * inflation * inflation
    }

    /// F test of the profile against what it leaves.
    pub(super) fn is_significant(&self) -> bool {
        let (between, within) = (mean_square(&self.means), mean_square(&self.rest));
        // Rounding alone is left of a season that repeats exactly.
        if within <= 1e-20 * between {
            return between > 1e-20;
        }
        let f = between / within * (self.occurrences() - 1.0);
        // Values that resemble their neighbours are fewer than they look.
        let degrees = (self.means.len() as f64 / self.resemblance()).max(1.0);
        f > f_limit(degrees, degrees * (self.occurrences() - 1.0))
    }

    /// How many values count as one: the sum of squared autocorrelations of what is left, up to half a period.
    fn resemblance(&self) -> f64 {
        let total = self.rest.iter().map(|y| y * y).sum::<f64>();
        let square = |lag: usize| {
            let pairs = self.rest.iter().zip(&self.rest[lag..]);
            (pairs.map(|(a, b)| a * b).sum::<f64>() / total).powi(2)
        };
        // Trapezia between lags ever further apart.
        let (mut sum, mut lag, mut height) = (0.0, 0, 1.0);
        while lag < self.means.len() / 2 {
            let further = lag + 1 + lag / 4;
            let further = further.min(self.means.len() / 2);
            let next = square(further);
            sum += 0.5 * (height + next) * (further - lag) as f64;
            (lag, height) = (further, next);
        }
        // The first trapezium counts half of lag 0; twice the sum counts both directions.
        (2.0 * sum).max(1.0)
    }

    /// Takes the profile off the series that it was made of.
    pub(super) fn remove(&self, x: &mut [f64]) {
        let period = self.means.len();
        let offset = (period - self.first) % period;
        for (t, x) in x.iter_mut().enumerate() {
            *x -= self.means[(t + offset) % period];
        }
    }
}

pub(super) fn mean_square(values: &[f64]) -> f64 {
    values.iter().map(|y| y * y).sum::<f64>() / values.len().max(1) as f64
}

/// The value that an F variable exceeds as rarely as a normal one [`CRITICAL`]: Paulson's approximation (*Annals of
/// Mathematical Statistics* 13, 1942), infinite where the second sample is too small to tell.
fn f_limit(degrees: f64, degrees_within: f64) -> f64 {
    let (a, b) = (2.0 / (9.0 * degrees), 2.0 / (9.0 * degrees_within));
    let square = CRITICAL * CRITICAL;
    let divisor = (1.0 - b) * (1.0 - b) - square * b;
    if divisor <= 0.0 {
        return f64::INFINITY;
    }
    let middle = (1.0 - a) * (1.0 - b);
    let root = (middle * middle - divisor * ((1.0 - a) * (1.0 - a) - square * a))
        .max(0.0)
        .sqrt();
    ((middle + root) / divisor).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_tables() {
        // 0.999 999 71 quantile (5 standard deviations), by numerical integration of the F density.
        for (degrees, within, expected) in [(3.0, 60.0, 14.65), (24.0, 240.0, 3.528), (300.0, 3000.0, 1.497)]
        {
            let found = f_limit(degrees, within);
            assert!(
                (found / expected - 1.0).abs() < 0.06,
                "{degrees}, {within}: {found}"
            );
        }
    }

    #[test]
    fn a_profile_is_taken_off_where_it_is() {
        let mut x: Vec<f64> = (0..41).map(|t| [0.0, 1.0, 5.0, 2.0][t % 4]).collect();
        let profile = Profile::of(&x, 4);
        assert!(profile.is_significant() && profile.explained() > 3.0);
        profile.remove(&mut x);
        assert!(x.iter().all(|y| (y - 2.0).abs() < 1e-9), "{x:?}");
    }
}

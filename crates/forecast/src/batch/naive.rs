//! Models without parameters: the last value, and the value one season ago.
//!
//! What other models are measured against. Intervals: Hyndman & Athanasopoulos, *Forecasting: Principles and
//! Practice*, 3rd ed., 5.5, table 5.2; the variance goes on being estimated by `update`.

use super::scale::{MeanSquare, Rescaled, Scale, Scaled, scaled};
use crate::{Fit, FitError, Fitted};

/// Everything stays as it was last: any finite series of one value or more.
///
/// The error after `h` steps has `h` times the variance of a step's change. One value alone has bands of no width.
/// `update` is exact; over missing steps the last value is kept and the bands widen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Naive;

impl Fit for Naive {
    fn name(&self) -> &str {
        "naive"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        let (scale, x) = scaled("naive", 1, train, Scale::interval)?;
        let changes = MeanSquare::of(x.windows(2).map(|pair| pair[1] - pair[0]));
        let last = x.last().copied().unwrap_or(0.0);
        Ok(Rescaled::boxed(
            scale,
            Last {
                last,
                age: 0,
                changes,
            },
        ))
    }
}

#[derive(Debug)]
struct Last {
    last: f64,
    /// Steps that were missing since.
    age: usize,
    changes: MeanSquare,
}

impl Scaled for Last {
    fn name(&self) -> &str {
        "naive"
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let deviation = self.changes.deviation(0.0);
        let deviations = (1..=horizon).map(|h| deviation * ((h + self.age) as f64).sqrt());
        (vec![self.last; horizon], deviations.collect())
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        let Some(x) = x else {
            self.age += 1;
            return true;
        };
        self.changes.add((x - self.last) / ((self.age + 1) as f64).sqrt());
        (self.last, self.age) = (x, 0);
        true
    }
}

/// Everything is as it was one season ago: a series longer than its period.
///
/// The error has one more time the variance of a season's change with each season ahead. `update` is exact; a missing
/// step keeps the season's last known value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeasonalNaive {
    period: usize,
}

impl SeasonalNaive {
    /// `period` is in steps; a fit with a period of 0 is refused.
    pub fn new(period: usize) -> Self {
        Self { period }
    }
}

impl Fit for SeasonalNaive {
    fn name(&self) -> &str {
        "seasonal_naive"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        if self.period == 0 {
            return Err(FitError::Unsuitable {
                model: "seasonal_naive",
                reason: "a period of 0 steps is none; give the season's length".into(),
            });
        }
        let need = self.period.saturating_add(1);
        let (scale, x) = scaled("seasonal_naive", need, train, Scale::interval)?;
        let changes = MeanSquare::of(x.iter().zip(&x[self.period..]).map(|(old, new)| new - old));
        let model = LastSeason {
            name: format!("seasonal_naive({})", self.period),
            season: x[x.len() - self.period..].to_vec(),
            next: 0,
            changes,
        };
        Ok(Rescaled::boxed(scale, model))
    }
}

#[derive(Debug)]
struct LastSeason {
    name: String,
    season: Vec<f64>,
    /// Index of the next step's value one season ago.
    next: usize,
    changes: MeanSquare,
}

impl Scaled for LastSeason {
    fn name(&self) -> &str {
        &self.name
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let period = self.season.len();
        let deviation = self.changes.deviation(0.0);
        (0..horizon)
            .map(|i| {
                let seasons = (i / period + 1) as f64;
                let value = self.season[(self.next + i) % period];
                (value, deviation * seasons.sqrt())
            })
            .unzip()
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        let slot = &mut self.season[self.next];
        if let Some(x) = x {
            self.changes.add(x - *slot);
            *slot = x;
        }
        self.next = (self.next + 1) % self.season.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_textbook_intervals_are_given() {
        // Changes 1, -1, 2: their mean square is 2.
        let naive = Naive.fit(&[1.0, 2.0, 1.0, 3.0]).expect("fits");
        let prediction = naive.predict(4, &[0.841_344_746]);
        assert_eq!(prediction.point(), [3.0; 4]);
        let upper = prediction.quantile(0.841_344_746).expect("asked for");
        assert!((upper[3] - (3.0 + 2.0 * 2_f64.sqrt())).abs() < 1e-6, "{upper:?}");

        // Seasonal changes 2 and 2; two seasons ahead the variance is doubled.
        let seasonal = SeasonalNaive::new(2).fit(&[1.0, 5.0, 3.0, 7.0]).expect("fits");
        let prediction = seasonal.predict(3, &[0.841_344_746]);
        assert_eq!(prediction.point(), [3.0, 7.0, 3.0]);
        let upper = prediction.quantile(0.841_344_746).expect("asked for");
        assert!((upper[2] - (3.0 + 2.0 * 2_f64.sqrt())).abs() < 1e-6, "{upper:?}");
    }

    #[test]
    fn a_missing_step_widens_or_keeps_its_slot() {
        let mut naive = Naive.fit(&[1.0, 2.0, 1.0]).expect("fits");
        let before = naive.predict(2, &[0.9]);
        assert!(naive.update(None));
        assert_eq!(
            naive.predict(1, &[0.9]).quantiles()[0].1[0],
            before.quantiles()[0].1[1]
        );

        let mut seasonal = SeasonalNaive::new(2).fit(&[1.0, 5.0, 1.0]).expect("fits");
        assert!(seasonal.update(None) && seasonal.update(Some(2.0)));
        assert_eq!(seasonal.predict(2, &[]).point(), [5.0, 2.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_reason() {
        assert!(matches!(Naive.fit(&[]), Err(FitError::TooShort { need: 1, .. })));
        let period_zero = SeasonalNaive::new(0).fit(&[1.0]);
        assert!(matches!(period_zero, Err(FitError::Unsuitable { .. })));
        for period in [3, usize::MAX] {
            let short = SeasonalNaive::new(period).fit(&[1.0, 2.0, 3.0]);
            assert!(
                matches!(short, Err(FitError::TooShort { found: 3, .. })),
                "{period}"
            );
        }
    }
}

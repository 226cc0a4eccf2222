//! The straight line through the first and the last value.
//!
//! Intervals: Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 3rd ed., 5.5, table 5.2.

use super::scale::{Rescaled, Scale, Scaled, scaled};
use crate::{Fit, FitError, Fitted};

/// Everything goes on changing by the mean change so far: a series of two values or more.
///
/// Of two values the bands have no width. `update` is exact; a missing step counts as time that passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drift;

impl Fit for Drift {
    fn name(&self) -> &str {
        "drift"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        let (scale, x) = scaled("drift", 2, train, Scale::interval)?;
        let mut line = Line {
            first: x[0],
            last: x[0],
            steps: 0,
            age: 0,
            changes: 0,
            squares: 0.0,
        };
        x[1..].iter().for_each(|&x| line.take(x));
        Ok(Rescaled::boxed(scale, line))
    }
}

#[derive(Debug)]
struct Line {
    first: f64,
    last: f64,
    /// From `first` to `last`.
    steps: usize,
    /// Steps that were missing since `last`.
    age: usize,
    /// Changes that were seen, over one step or more.
    changes: usize,
    /// Sum of the changes' squared deviations from their mean, each over the steps it took.
    squares: f64,
}

impl Line {
    fn slope(&self) -> f64 {
        (self.last - self.first) / self.steps.max(1) as f64
    }

    /// Welford's recursion over the changes.
    fn take(&mut self, x: f64) {
        let taken = self.age + 1;
        let change = (x - self.last) / taken as f64;
        let before = if self.steps == 0 { change } else { self.slope() };
        (self.last, self.age) = (x, 0);
        self.steps += taken;
        self.changes += 1;
        self.squares += (change - before) * (change - self.slope()) * taken as f64;
    }
}

impl Scaled for Line {
    fn name(&self) -> &str {
        "drift"
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let slope = self.slope();
        let variance = self.squares.max(0.0) / self.changes.saturating_sub(1).max(1) as f64;
        (1..=horizon)
            .map(|h| {
                let h = (h + self.age) as f64;
                let deviation = (variance * h * (1.0 + h / self.steps.max(1) as f64)).sqrt();
                (self.last + slope * h, deviation)
            })
            .unzip()
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        match x {
            Some(x) => self.take(x),
            None => self.age += 1,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_on_and_its_band_is_the_textbook_s() {
        // Changes 1, 3, 2: mean 2, variance 1.
        let drift = Drift.fit(&[1.0, 2.0, 5.0, 7.0]).expect("fits");
        let prediction = drift.predict(3, &[0.841_344_746]);
        assert_eq!(prediction.point(), [9.0, 11.0, 13.0]);
        let upper = prediction.quantile(0.841_344_746).expect("asked for")[2];
        assert!((upper - 13.0 - 6_f64.sqrt()).abs() < 1e-6, "{upper}");
    }

    #[test]
    fn updating_is_as_good_as_fitting_anew() {
        let values: Vec<f64> = (0..40).map(|t| f64::from(t * t % 17) + f64::from(t)).collect();
        let mut updated = Drift.fit(&values[..20]).expect("fits");
        values[20..]
            .iter()
            .for_each(|&y| assert!(updated.update(Some(y))));
        let fitted = Drift.fit(&values).expect("fits");
        let (a, b) = (updated.predict(5, &[0.1, 0.9]), fitted.predict(5, &[0.1, 0.9]));
        for ((_, a), (_, b)) in a.quantiles().iter().zip(b.quantiles()) {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9), "{a:?} {b:?}");
        }
    }
}

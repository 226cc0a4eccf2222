//! The Theta method, as the M4 competition ran it.
//!
//! The series without its season is the mean of two lines: a straight one, and one with twice its curvature, which is
//! smoothed exponentially. Assimakopoulos & Nikolopoulos, *The theta model*, Int. J. Forecasting 16 (2000). It equals
//! exponential smoothing with a drift of half the slope, from which the intervals come: Hyndman & Billah,
//! *Unmasking the Theta method*, Int. J. Forecasting 19 (2003). Unlike M4's, forecasts may be negative.

use super::{
    decompose::{Season, is_seasonal},
    scale::{MeanSquare, Rescaled, Scale, Scaled, scaled},
    ses::Ses,
};
use crate::{Fit, FitError, Fitted};

const NEED: usize = 4;

/// The Theta method: a series of four values or more.
///
/// With a period, the season is taken out first where a test finds one over three periods or more: as factors where all
/// values are positive, else as terms. `update` smooths on with line and season as they were at the fit, in constant
/// time; a missing step counts as time that passed. A fit takes time in proportion to the series, some 0.3 µs a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Theta {
    period: Option<usize>,
}

impl Theta {
    /// `period` is in steps; one that the series is too short for, or does not have, is as none.
    pub fn new(period: Option<usize>) -> Self {
        Self { period }
    }
}

impl Fit for Theta {
    fn name(&self) -> &str {
        "theta"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        let (scale, x) = scaled("theta", NEED, train, Scale::ratio)?;
        let period = self.period.filter(|&period| is_seasonal(&x, period));
        Ok(Rescaled::boxed(scale, Lines::fit(&x, period)))
    }
}

#[derive(Debug)]
struct Lines {
    name: String,
    season: Option<Season>,
    /// The straight line: `intercept + slope * t`, where t is 0 at the series' first value.
    intercept: f64,
    slope: f64,
    /// Of the line with twice the curvature.
    alpha: f64,
    level: f64,
    /// Of what was forecast one step ahead.
    errors: MeanSquare,
    /// Steps seen.
    t: usize,
    /// Steps since the last value.
    age: usize,
}

impl Lines {
    fn fit(x: &[f64], period: Option<usize>) -> Self {
        let season = period.map(|period| Season::of(x, period));
        let name = period.map_or("theta".into(), |period| format!("theta({period})"));
        let plain = |(t, &x): (usize, &f64)| season.as_ref().map_or(x, |season| season.remove(t, x));
        let rest: Vec<f64> = x.iter().enumerate().map(plain).collect();
        let (intercept, slope) = straight_line(&rest);
        let curved = |(t, x): (usize, &f64)| 2.0 * x - (intercept + slope * t as f64);
        let curved: Vec<f64> = rest.iter().enumerate().map(curved).collect();
        let ses = Ses::fit(&curved);
        // The straight line has the other half of the forecast, and no error of its own.
        let error = 0.5 * ses.mean_square.sqrt();
        Self {
            name,
            season,
            intercept,
            slope,
            alpha: ses.alpha,
            level: ses.level,
            errors: MeanSquare::of(x.iter().map(|_| error)),
            t: x.len(),
            age: 0,
        }
    }

    fn line(&self, t: usize) -> f64 {
        self.intercept + self.slope * t as f64
    }
}

impl Scaled for Lines {
    fn name(&self) -> &str {
        &self.name
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let deviation = self.errors.deviation(2.0);
        let step = |h: usize| {
            let t = self.t + h;
            let x = 0.5 * (self.level + self.line(t));
            let steps = (h + self.age) as f64;
            let deviation = deviation * (1.0 + self.alpha * self.alpha * steps).sqrt();
            match &self.season {
                Some(season) => season.restore(t, x, deviation),
                None => (x, deviation),
            }
        };
        (0..horizon).map(step).unzip()
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        if let Some(x) = x {
            let x = self.season.as_ref().map_or(x, |season| season.remove(self.t, x));
            let error = 2.0 * x - self.line(self.t) - self.level;
            self.level += self.alpha * error;
            self.errors.add(0.5 * error);
            self.age = 0;
        } else {
            self.age += 1;
        }
        self.t += 1;
        true
    }
}

/// Least squares: intercept and slope.
fn straight_line(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = x.iter().sum::<f64>() / n;
    let products = x
        .iter()
        .enumerate()
        .map(|(t, x)| (t as f64 - middle) * (x - mean));
    let slope = products.sum::<f64>() / (n * (n * n - 1.0) / 12.0);
    (mean - slope * middle, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_continued_with_half_its_slope_and_the_rest_of_the_curve() {
        let x: Vec<f64> = (0..30).map(|t| 10.0 + 2.0 * f64::from(t)).collect();
        let prediction = Theta::new(None).fit(&x).expect("fits").predict(3, &[]);
        for (point, expected) in prediction.point().iter().zip([69.0, 70.0, 71.0]) {
            assert!((point - expected).abs() < 0.02, "{point} against {expected}");
        }
    }

    #[test]
    fn updating_equals_the_recursion_over_the_same_values() {
        let x: Vec<f64> = (0..60)
            .map(|t| 20.0 + f64::from(t % 6) + f64::from(t * 31 % 7))
            .collect();
        let mut lines = Lines::fit(&x, Some(6));
        let (mut level, alpha) = (lines.level, lines.alpha);
        for y in [25.0, 27.0, 21.0] {
            let season = lines.season.clone().expect("was given");
            level += alpha * (2.0 * season.remove(lines.t, y) - lines.line(lines.t) - level);
            assert!(lines.step(Some(y)));
        }
        assert!((lines.level - level).abs() < 1e-12);
        assert_eq!(lines.t, 63);
    }
}

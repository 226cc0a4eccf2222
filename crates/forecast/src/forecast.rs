//! What is expected over the horizon, and how sure that is.

use crate::{Prediction, ShapeError};

/// A node's predicted load score over the horizon: a point path and quantile paths.
///
/// Element `i` of every path is for the instant `start_ms + i × step_ms`, in score points (0 to 100, above 100 in
/// overload). All paths have the same length, all values are finite, and at each step a higher quantile is not
/// below a lower one. [`Forecast::new`] returns [`ShapeError`] where that does not hold.
///
/// The point path is the models' mean forecast; it is not the median and may lie outside two close quantiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    start_ms: u64,
    step_ms: u64,
    paths: Prediction,
    provenance: Provenance,
}

/// Where a forecast comes from and how well its kind has done lately.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provenance {
    /// The model that carries at least half of the weight at the end of the horizon, else `pool`.
    pub model: String,
    /// The detected period in steps, where there is one.
    pub period_steps: Option<usize>,
    /// Mean absolute error of recent forecasts at the end of the horizon, in score points.
    pub error: Option<f64>,
    /// The same for "the load stays as it is", over the same instants.
    pub error_of_persistence: Option<f64>,
    /// Share of recent observations at or under the 0.9 path at the end of the horizon, 0 to 1.
    pub coverage: Option<f64>,
    /// One element for each quantile: the predicted score that falls slowly, see [`Forecast::predicted_score`].
    /// Empty means "as the paths are".
    pub held_peaks: Vec<f64>,
}

/// The highest point of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Load score there.
    pub score: f64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// A forecast made one whole horizon ago, beside what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The instant forecast, in Unix milliseconds.
    pub at_ms: u64,
    /// The point forecast made for it one horizon before.
    pub predicted: f64,
    /// The 0.9 quantile forecast for it one horizon before.
    pub predicted_q90: f64,
    /// What was then measured.
    pub actual: f64,
}

impl Forecast {
    /// Checks the paths and joins them; `quantiles` are `(probability, path)` in rising order.
    pub fn new(
        start_ms: u64,
        step_ms: u64,
        point: Vec<f64>,
        quantiles: Vec<(f64, Vec<f64>)>,
        provenance: Provenance,
    ) -> Result<Self, ShapeError> {
        if step_ms == 0 {
            return Err(ShapeError::Empty);
        }
        Ok(Self {
            start_ms,
            step_ms,
            paths: Prediction::new(point, quantiles)?,
            provenance,
        })
    }

    /// The instant of the first element, in Unix milliseconds: one step after the newest observation.
    pub fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// Distance of the elements, in milliseconds.
    pub fn step_ms(&self) -> u64 {
        self.step_ms
    }

    /// Expected load score, one element a step.
    pub fn point(&self) -> &[f64] {
        self.paths.point()
    }

    /// `(probability, path)`, rising in probability.
    pub fn quantiles(&self) -> &[(f64, Vec<f64>)] {
        self.paths.quantiles()
    }

    /// The path of one quantile, where the forecast has it.
    pub fn quantile(&self, q: f64) -> Option<&[f64]> {
        self.index(q).map(|i| self.quantiles()[i].1.as_slice())
    }

    /// The highest element of a quantile's path and when it is; the earliest of equals.
    pub fn peak(&self, q: f64) -> Option<Peak> {
        let path = self.quantile(q)?;
        let (at, score) =
            path.iter().copied().enumerate().fold(
                (0, f64::MIN),
                |best, (i, y)| {
                    if y > best.1 { (i, y) } else { best }
                },
            );
        Some(Peak {
            score,
            at_ms: self.start_ms + at as u64 * self.step_ms,
        })
    }

    /// The predicted load score at a quantile: the highest element of its path, which rises at once and falls slowly.
    ///
    /// What is filtered is this one number, neither the observations before forecasting (a filter there delays what
    /// the models see) nor the paths (their coverage would be wrong): after a peak leaves the path, the predicted
    /// score comes down to the path's new peak by half of the distance per release half-life. A plan that has just
    /// emptied a node therefore does not at once find room on it for what it took away.
    pub fn predicted_score(&self, q: f64) -> Option<f64> {
        let peak = self.peak(q)?.score;
        let held = self
            .index(q)
            .and_then(|i| self.provenance.held_peaks.get(i))
            .copied();
        Some(held.map_or(peak, |held| held.max(peak)))
    }

    /// Milliseconds from the newest observation until a quantile's path first exceeds `threshold`, where it does.
    pub fn crosses_in_ms(&self, q: f64, threshold: f64) -> Option<u64> {
        let first = self.quantile(q)?.iter().position(|&y| y > threshold)?;
        Some((first as u64 + 1) * self.step_ms)
    }

    /// The model that carries at least half of the weight at the end of the horizon, else `pool`.
    pub fn model(&self) -> &str {
        &self.provenance.model
    }

    /// The detected period in steps, where there is one.
    pub fn period_steps(&self) -> Option<usize> {
        self.provenance.period_steps
    }

    /// The detected period in seconds, where there is one.
    pub fn period_s(&self) -> Option<f64> {
        self.period_steps()
            .map(|steps| steps as f64 * self.step_ms as f64 / 1000.0)
    }

    /// Mean absolute error of recent forecasts at the end of the horizon, in score points.
    pub fn error(&self) -> Option<f64> {
        self.provenance.error
    }

    /// The same for "the load stays as it is": the figure to beat.
    pub fn error_of_persistence(&self) -> Option<f64> {
        self.provenance.error_of_persistence
    }

    /// Share of recent observations at or under the 0.9 path at the end of the horizon; 0.9 is what it promises.
    pub fn coverage(&self) -> Option<f64> {
        self.provenance.coverage
    }

    fn index(&self, q: f64) -> Option<usize> {
        self.quantiles()
            .iter()
            .position(|(have, _)| (have - q).abs() < 1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(q90: Vec<f64>) -> Result<Forecast, ShapeError> {
        let point = vec![10.0; 3];
        Forecast::new(
            1_000,
            500,
            point,
            vec![(0.5, vec![10.0; 3]), (0.9, q90)],
            Provenance::default(),
        )
    }

    #[test]
    fn paths_that_do_not_fit_are_refused_with_the_step() {
        for (q90, error) in [
            (
                vec![11.0; 2],
                ShapeError::Length {
                    quantile: 0.9,
                    found: 2,
                    expected: 3,
                },
            ),
            (vec![11.0, f64::NAN, 11.0], ShapeError::NotFinite { step: 1 }),
            (
                vec![11.0, 11.0, 9.0],
                ShapeError::Crossing {
                    quantile: 0.9,
                    step: 2,
                },
            ),
        ] {
            assert_eq!(forecast(q90.clone()), Err(error), "{q90:?}");
        }
        let none = Forecast::new(0, 500, vec![], vec![], Provenance::default());
        assert_eq!(none, Err(ShapeError::Empty));
    }

    #[test]
    fn a_peak_is_the_earliest_highest_and_a_crossing_is_counted_from_the_newest_observation() {
        let forecast = forecast(vec![20.0, 85.0, 85.0]).unwrap();
        assert_eq!(
            forecast.peak(0.9),
            Some(Peak {
                score: 85.0,
                at_ms: 1_500
            })
        );
        assert_eq!(forecast.crosses_in_ms(0.9, 80.0), Some(1_000));
        assert_eq!(forecast.crosses_in_ms(0.9, 85.0), None);
        assert_eq!(
            forecast.crosses_in_ms(0.75, 0.0),
            None,
            "a quantile that was not forecast"
        );
    }
}

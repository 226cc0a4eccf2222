//! What every model answers with: a point path and quantile paths.

use crate::{ShapeError, normal};

/// A point path and quantile paths over the next steps; element 0 is one step ahead.
///
/// All paths have the same length, all values are finite, and at each step a higher quantile is not below a lower one.
/// The point path is a mean, not the median. Units are those of the series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prediction {
    point: Vec<f64>,
    quantiles: Vec<(f64, Vec<f64>)>,
}

impl Prediction {
    /// Checks the paths and joins them; `quantiles` are `(probability, path)` in rising order.
    pub fn new(point: Vec<f64>, quantiles: Vec<(f64, Vec<f64>)>) -> Result<Self, ShapeError> {
        if point.is_empty() {
            return Err(ShapeError::Empty);
        }
        check_finite(&point)?;
        let mut below: Option<&(f64, Vec<f64>)> = None;
        for pair in &quantiles {
            check_quantile(pair, below, point.len())?;
            below = Some(pair);
        }
        Ok(Self { point, quantiles })
    }

    /// Makes quantile paths around a point path from a standard deviation at each step, as if errors were normal.
    ///
    /// What is not finite is brought to the largest finite value, so that the invariants hold for any input that the
    /// point path's invariants allow.
    pub fn normal(point: Vec<f64>, deviations: &[f64], quantiles: &[f64]) -> Result<Self, ShapeError> {
        let path = |z: f64| {
            let steps = point.iter().zip(deviations);
            steps
                .map(|(y, deviation)| {
                    let offset = if z == 0.0 { 0.0 } else { z * deviation };
                    (y + offset).clamp(f64::MIN, f64::MAX)
                })
                .collect()
        };
        let paths = quantiles
            .iter()
            .map(|&q| (q, path(normal::quantile(q))))
            .collect();
        Self::new(point, paths)
    }

    /// Expected values, one element a step.
    pub fn point(&self) -> &[f64] {
        &self.point
    }

    /// `(probability, path)`, rising in probability.
    pub fn quantiles(&self) -> &[(f64, Vec<f64>)] {
        &self.quantiles
    }

    /// The path of one quantile, where it was asked for.
    pub fn quantile(&self, q: f64) -> Option<&[f64]> {
        let found = self.quantiles.iter().find(|(other, _)| (other - q).abs() < 1e-9);
        found.map(|(_, path)| path.as_slice())
    }
}

fn check_finite(path: &[f64]) -> Result<(), ShapeError> {
    match path.iter().position(|y| !y.is_finite()) {
        Some(step) => Err(ShapeError::NotFinite { step }),
        None => Ok(()),
    }
}

fn check_quantile(
    (q, path): &(f64, Vec<f64>),
    below: Option<&(f64, Vec<f64>)>,
    steps: usize,
) -> Result<(), ShapeError> {
    let (lowest, floor) = below.map_or((0.0, None), |(q, path)| (*q, Some(path)));
    if !(*q > lowest && *q < 1.0) {
        return Err(ShapeError::QuantileOrder { quantile: *q });
    }
    if path.len() != steps {
        return Err(ShapeError::Length {
            quantile: *q,
            found: path.len(),
            expected: steps,
        });
    }
    check_finite(path)?;
    let crossing = floor.and_then(|floor| path.iter().zip(floor).position(|(y, low)| y < low));
    match crossing {
        Some(step) => Err(ShapeError::Crossing { quantile: *q, step }),
        None => Ok(()),
    }
}

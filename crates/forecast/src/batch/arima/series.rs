//! The series as the models see it: its latest part, of level 0 and spread 1, and differenced.
//!
//! ARIMA knows no units, so nothing is lost; and numbers stay where squares neither overflow nor vanish.

use super::{order::Form, polynomial::differencing};

/// The latest values, less their mean, divided by their standard deviation.
#[derive(Debug, Clone)]
pub(super) struct Standard {
    pub(super) values: Vec<f64>,
    pub(super) centre: f64,
    /// Over 0 unless all values are the same; they are then all 0.
    pub(super) scale: f64,
}

impl Standard {
    /// Finite values up to 1e100 in size.
    pub(super) fn new(train: &[f64], points_max: usize) -> Self {
        let latest = &train[train.len().saturating_sub(points_max)..];
        let n = latest.len().max(1) as f64;
        let centre = latest.iter().map(|y| y / n).sum::<f64>();
        let off: Vec<f64> = latest.iter().map(|y| y - centre).collect();
        let largest = off.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
        let size = latest.iter().fold(0.0_f64, |largest, y| largest.max(y.abs()));
        if largest <= 1e-13 * size || largest == 0.0 {
            return Self {
                values: vec![0.0; latest.len()],
                centre: latest.first().copied().unwrap_or(0.0),
                scale: 0.0,
            };
        }
        // The largest first, so that no square vanishes.
        let spread = (off.iter().map(|y| (y / largest).powi(2)).sum::<f64>() / n).sqrt();
        Self {
            values: off.iter().map(|y| y / largest / spread).collect(),
            centre,
            scale: largest * spread,
        }
    }

    /// What the mean of the standardised series is if that of the series is 0.
    pub(super) fn zero(&self) -> f64 {
        // Bounded: a series so far from 0 has no model without a mean.
        (-self.centre / self.scale).clamp(-1e9, 1e9)
    }

    pub(super) fn is_constant(&self) -> bool {
        self.scale == 0.0
    }
}

/// The differenced series; empty where nothing is left.
pub(super) fn differenced(values: &[f64], form: &Form) -> Vec<f64> {
    let lags = differencing(form.order.d, form.seasonal.d, form.period);
    let lost = lags.len();
    (lost..values.len())
        .map(|t| {
            let earlier = (1..).zip(&lags).map(|(lag, c)| c * values[t - lag]);
            values[t] - earlier.sum::<f64>()
        })
        .collect()
}

/// Whether values of a standardised series, or their differences, are all the same but for rounding.
pub(super) fn is_flat(w: &[f64]) -> bool {
    let (low, high) = w
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
            (low.min(*y), high.max(*y))
        });
    w.is_empty() || high - low <= 1e-10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_scale_becomes_one() {
        for scale in [1e-300, 1e-12, 1.0, 1e99] {
            let standard = Standard::new(&[scale, 3.0 * scale, 5.0 * scale, -scale], 100);
            let square = standard.values.iter().map(|y| y * y).sum::<f64>() / 4.0;
            assert!((square - 1.0).abs() < 1e-9, "{scale} {standard:?}");
        }
        assert!(Standard::new(&[7.0; 5], 100).is_constant());
        assert_eq!(Standard::new(&[1.0, 2.0, 9.0, 9.0], 2).centre, 9.0);
    }

    #[test]
    fn differences_take_away_trend_and_season() {
        let form = Form {
            order: (0, 1, 0).into(),
            seasonal: (0, 1, 0).into(),
            period: 3,
            constant: false,
        };
        let values: Vec<f64> = (0..20_u8)
            .map(|t| f64::from(t) + [0.0, 5.0, 2.0][usize::from(t) % 3])
            .collect();
        let w = differenced(&values, &form);
        assert_eq!(w.len(), 16);
        assert!(is_flat(&w) && !is_flat(&values));
        assert!(differenced(&values[..2], &form).is_empty());
    }
}

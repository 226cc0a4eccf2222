//! Scores of forecasts: of points, of quantiles, of bands; by horizon and over all.

use crate::quantile_loss::quantile_loss;

/// Scores at one horizon, or over all.
///
/// Errors are in the series' unit. `NaN` never occurs: what cannot be told is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HorizonScores {
    /// Forecasts that were scored.
    pub count: u64,
    /// Mean absolute error of the point forecast.
    pub mae: f64,
    /// Symmetric mean absolute percentage error, `200 |f − y| / (|f| + |y|)`, 0 where both are 0; 0 to 200.
    pub smape: f64,
    /// Mean quantile (pinball) loss over the quantiles, twice, by the mean absolute value: the mean weighted quantile
    /// loss of GIFT-Eval, near the CRPS. `None` where all values are 0.
    pub weighted_quantile_loss: Option<f64>,
    /// One element a quantile: the share of values at or under its path.
    pub coverage: Vec<f64>,
    /// Share of values within the 0.05 and 0.95 paths, both included, where both are forecast.
    pub band_coverage: Option<f64>,
    /// Mean Winkler (interval) score of that band at 90 %: its width, and 20 times what a value lies outside it.
    /// Gneiting & Raftery, *Strictly Proper Scoring Rules*, 2007, 6.2.
    pub winkler: Option<f64>,
}

/// Scores of one forecaster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// One element a step of the horizon; element 0 is one step ahead.
    pub by_horizon: Vec<HorizonScores>,
    /// All of them together.
    pub overall: HorizonScores,
}

/// Sums from which scores are made.
#[derive(Debug, Clone, Default)]
struct Sums {
    count: u64,
    error: f64,
    smape: f64,
    size: f64,
    loss: f64,
    under: Vec<u64>,
    in_band: u64,
    winkler: f64,
}

/// Collects one forecaster's scores.
#[derive(Debug)]
pub(super) struct Collector {
    quantiles: Vec<f64>,
    /// Indices of the 0.05 and 0.95 quantiles.
    band: Option<(usize, usize)>,
    by_horizon: Vec<Sums>,
}

/// What a value outside a 90 % band costs for each unit that it lies outside: 2 / 0.1.
const OUTSIDE_COST: f64 = 20.0;

impl Collector {
    pub(super) fn new(horizon: usize, quantiles: &[f64]) -> Self {
        let find = |wanted: f64| quantiles.iter().position(|q| (q - wanted).abs() < 1e-9);
        let sums = Sums {
            under: vec![0; quantiles.len()],
            ..Sums::default()
        };
        Self {
            quantiles: quantiles.to_vec(),
            band: find(0.05).zip(find(0.95)),
            by_horizon: vec![sums; horizon],
        }
    }

    /// Scores a forecast for `step` (0 is one step ahead); `path(i)` is quantile `i` there.
    pub(super) fn add(&mut self, step: usize, y: f64, point: f64, path: impl Fn(usize) -> f64) {
        let sums = &mut self.by_horizon[step];
        let error = (point - y).abs();
        let size = point.abs() + y.abs();
        sums.count += 1;
        sums.error += error;
        sums.size += y.abs();
        sums.smape += if size > 0.0 { 200.0 * (error / size) } else { 0.0 };
        for (i, (&q, under)) in self.quantiles.iter().zip(&mut sums.under).enumerate() {
            let miss = y - path(i);
            sums.loss += quantile_loss(miss, q);
            *under += u64::from(miss <= 0.0);
        }
        if let Some((low, high)) = self.band {
            let (low, high) = (path(low), path(high));
            let outside = (low - y).max(0.0) + (y - high).max(0.0);
            sums.in_band += u64::from(outside == 0.0);
            sums.winkler += (high - low) + OUTSIDE_COST * outside;
        }
    }

    pub(super) fn scores(&self) -> Scores {
        let mut all = Sums {
            under: vec![0; self.quantiles.len()],
            ..Sums::default()
        };
        self.by_horizon.iter().for_each(|sums| all.add(sums));
        Scores {
            by_horizon: self.by_horizon.iter().map(|sums| self.of(sums)).collect(),
            overall: self.of(&all),
        }
    }

    fn of(&self, sums: &Sums) -> HorizonScores {
        let count = sums.count.max(1) as f64;
        let quantiles = self.quantiles.len().max(1) as f64;
        let share = |hits: u64| hits as f64 / count;
        HorizonScores {
            count: sums.count,
            mae: sums.error / count,
            smape: sums.smape / count,
            weighted_quantile_loss: (sums.size > 0.0 && !self.quantiles.is_empty())
                .then(|| 2.0 * (sums.loss / quantiles) / sums.size),
            coverage: sums.under.iter().map(|&hits| share(hits)).collect(),
            band_coverage: self.band.map(|_| share(sums.in_band)),
            winkler: self.band.map(|_| sums.winkler / count),
        }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.error += other.error;
        self.smape += other.smape;
        self.size += other.size;
        self.loss += other.loss;
        self.in_band += other.in_band;
        self.winkler += other.winkler;
        for (sum, under) in self.under.iter_mut().zip(&other.under) {
            *sum += under;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_computed_by_hand() {
        let mut collector = Collector::new(2, &[0.05, 0.5, 0.95]);
        // One step ahead: 10 in [8, 14], then 20 above [8, 14]. Two steps ahead: nothing.
        for y in [10.0, 20.0] {
            collector.add(0, y, 12.0, |i| [8.0, 11.0, 14.0][i]);
        }
        let scores = collector.scores();
        let one = &scores.by_horizon[0];
        assert_eq!((one.count, one.mae), (2, 5.0));
        let smape = (200.0 * 2.0 / 22.0 + 200.0 * 8.0 / 32.0) / 2.0;
        assert!((one.smape - smape).abs() < 1e-12, "{one:?}");
        assert_eq!(one.coverage, [0.0, 0.5, 0.5]);
        assert_eq!(one.band_coverage, Some(0.5));
        // Width 6 twice, and 6 above the band at 20 each.
        assert_eq!(one.winkler, Some((6.0 + 6.0 + 120.0) / 2.0));
        // Losses of 0.1 + 0.5 + 0.2 and 0.6 + 4.5 + 5.7, of three quantiles, by 30.
        let loss = one.weighted_quantile_loss.expect("values above 0");
        assert!((loss - 2.0 * (0.8 + 10.8) / 3.0 / 30.0).abs() < 1e-12, "{loss}");
        assert_eq!(scores.overall, *one);
        assert_eq!(scores.by_horizon[1].count, 0);
    }

    #[test]
    fn zeros_have_no_weighted_loss_and_no_percentage_error() {
        let mut collector = Collector::new(1, &[0.5]);
        collector.add(0, 0.0, 0.0, |_| 0.0);
        let scores = collector.scores().overall;
        assert_eq!((scores.smape, scores.weighted_quantile_loss), (0.0, None));
        assert_eq!((scores.band_coverage, scores.winkler), (None, None));
    }
}

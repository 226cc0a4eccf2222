//! How a predictor works, checked once.

use std::time::Duration;

use crate::Error;

/// How a [`Predictor`](crate::Predictor) works.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictorOptions {
    /// Distance of the grid's steps, 1 ms to 1 h; the control loop's interval. Default 500 ms.
    pub step: Duration,
    /// How far ahead; rounded up to whole steps, 1 to 1,200 of them. Default 10 s. Memory grows with it: some 9 KiB
    /// for 20 steps, some 110 bytes more for each further one.
    pub horizon: Duration,
    /// Probabilities of the quantile paths, in (0, 1), at most 8. 0.9 is always among them. Default 0.5, 0.9, 0.99.
    pub quantiles: Vec<f64>,
    /// `auto` weighs all models by their recent errors. Else one kind alone: `last_value`, `holt`, `ar`, or `seasonal`
    /// (with the autoregression until a season is found).
    pub model: String,
    /// Half-life of the predicted score on its way down, see [`Forecast::predicted_score`]. Default 5 s.
    ///
    /// [`Forecast::predicted_score`]: crate::Forecast::predicted_score
    pub release: Duration,
    /// Spreads the periodic work of many predictors over ticks; any number that differs between nodes.
    pub stagger: u64,
}

impl Default for PredictorOptions {
    fn default() -> Self {
        Self {
            step: Duration::from_millis(500),
            horizon: Duration::from_secs(10),
            quantiles: vec![0.5, 0.9, 0.99],
            model: "auto".into(),
            release: Duration::from_secs(5),
            stagger: 0,
        }
    }
}

const STEPS_MAX: usize = 1_200;
const QUANTILES_MAX: usize = 8;

impl PredictorOptions {
    /// Steps of the horizon.
    pub(crate) fn steps(&self) -> Result<usize, Error> {
        let step = self.step;
        if step < Duration::from_millis(1) || step > Duration::from_secs(3600) {
            return Err(Error::Step { step });
        }
        let steps = self.horizon.as_millis().div_ceil(step.as_millis());
        if steps == 0 || steps > STEPS_MAX as u128 {
            return Err(Error::Horizon {
                horizon: self.horizon,
                step,
                steps,
                steps_max: STEPS_MAX,
            });
        }
        Ok(steps as usize)
    }

    /// The quantiles in rising order, 0.9 among them.
    pub(crate) fn levels(&self) -> Result<Vec<f64>, Error> {
        if let Some(&quantile) = self.quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
            return Err(Error::Quantile { quantile });
        }
        let mut levels = self.quantiles.clone();
        levels.push(0.9);
        levels.sort_by(f64::total_cmp);
        levels.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        if levels.len() > QUANTILES_MAX {
            return Err(Error::QuantileCount {
                count: levels.len(),
                count_max: QUANTILES_MAX,
            });
        }
        Ok(levels)
    }

    /// Share of the predicted score's distance to its aim that is left after one step on its way down.
    pub(crate) fn release_share(&self) -> f64 {
        let half_lives = self.step.as_secs_f64() / self.release.as_secs_f64().max(1e-3);
        0.5_f64.powf(half_lives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_is_rounded_up_to_whole_steps_and_bounded() {
        for (horizon_ms, steps) in [
            (500, Some(1)),
            (10_000, Some(20)),
            (10_001, Some(21)),
            (600_000, Some(1_200)),
        ] {
            let horizon = Duration::from_millis(horizon_ms);
            assert_eq!(
                PredictorOptions {
                    horizon,
                    ..Default::default()
                }
                .steps()
                .ok(),
                steps
            );
        }
        for horizon in [Duration::ZERO, Duration::from_secs(601), Duration::MAX] {
            let refused = PredictorOptions {
                horizon,
                ..Default::default()
            }
            .steps();
            assert!(matches!(refused, Err(Error::Horizon { .. })), "{refused:?}");
        }
    }

    #[test]
    fn quantiles_are_sorted_and_hold_the_one_that_coverage_is_told_of() {
        for (quantiles, levels) in [
            (vec![0.99, 0.5], Ok(vec![0.5, 0.9, 0.99])),
            (vec![], Ok(vec![0.9])),
            (vec![0.5, 1.0], Err(Error::Quantile { quantile: 1.0 })),
            (
                vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
                Err(Error::QuantileCount {
                    count: 9,
                    count_max: 8,
                }),
            ),
        ] {
            assert_eq!(
                PredictorOptions {
                    quantiles,
                    ..Default::default()
                }
                .levels(),
                levels
            );
        }
    }
}

//! Several seasons at once: they are taken off by repeated loess smoothing, and what is left is smoothed exponentially.
//!
//! MSTL: Bandara, Hyndman & Bergmeir, *MSTL: A Seasonal-Trend Decomposition Algorithm for Time Series with Multiple
//! Seasonal Patterns*, arXiv:2107.13462, by the crate `stlrs` in double precision. The rest goes to [`Ets`](super::Ets).

use stlrs::Mstl as Decomposition;

use super::{
    ets::{self, Smoother},
    scale::{Rescaled, Scale, Scaled, scaled},
};
use crate::{Fit, FitError, Fitted};

/// Of a longer series only the end is looked at: so many values, or so many of the longest season.
const VALUES_MAX: usize = 10_000;
const SEASONS_MAX: usize = 6;

/// Decomposition into several seasons and a smoothed rest: a series of at least twice the shortest period.
///
/// Periods under 2 steps, or that the series does not hold twice, are left out; [`Fitted::name`] tells which are left.
/// Of a long series the last 10,000 values are looked at, or the last six of the longest season if that is more.
/// `update` goes on with the seasons as they were last and smooths the rest, in constant time.
///
/// The intervals are those of the rest, as if the seasons were known: of nominal 90 % they covered 49 to 94 %. What is
/// shown to anybody must be calibrated by what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mstl {
    /// Rising, each once.
    periods: Vec<usize>,
}

impl Mstl {
    /// `periods` are in steps, in any order.
    pub fn new(mut periods: Vec<usize>) -> Self {
        periods.retain(|&period| period >= 2);
        periods.sort_unstable();
        periods.dedup();
        Self { periods }
    }
}

impl Fit for Mstl {
    fn name(&self) -> &str {
        "mstl"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        let unsuitable = |reason: String| FitError::Unsuitable {
            model: "mstl",
            reason,
        };
        let Some(&shortest) = self.periods.first() else {
            return Err(unsuitable("no period of 2 steps or more was given".into()));
        };
        let fits = |&&period: &&usize| period <= train.len() / 2;
        let periods: Vec<usize> = self.periods.iter().take_while(fits).copied().collect();
        let longest = periods.last().copied().unwrap_or(0);
        let count = VALUES_MAX
            .max(longest.saturating_mul(SEASONS_MAX))
            .min(train.len());
        let end = |values: &[f64]| Scale::ratio(&values[values.len() - count..]);
        let (scale, x) = scaled("mstl", shortest.saturating_mul(2), train, end)?;
        let x = &x[x.len() - count..];
        let parts = Decomposition::fit(x, &periods)
            .map_err(|error| unsuitable(format!("it cannot be decomposed: {error}")))?;
        let seasons: Vec<Vec<f64>> = (periods.iter().zip(parts.seasonal()))
            .map(|(&period, season)| season[season.len() - period..].to_vec())
            .collect();
        let rest: Vec<f64> = parts
            .trend()
            .iter()
            .zip(parts.remainder())
            .map(|(t, r)| t + r)
            .collect();
        if !rest.iter().chain(seasons.iter().flatten()).all(|y| y.is_finite()) {
            return Err(unsuitable("its decomposition is not finite".into()));
        }
        let (rest_scale, rest) = ets::smoother("mstl", &rest)?;
        let name = periods.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let model = Parts {
            name: format!("mstl({name})"),
            seasons,
            t: 0,
            rest_scale,
            rest,
        };
        Ok(Rescaled::boxed(scale, model))
    }
}

struct Parts {
    name: String,
    /// The last of each season, oldest step first.
    seasons: Vec<Vec<f64>>,
    /// Steps since the fit.
    t: usize,
    rest_scale: Scale,
    rest: Smoother,
}

impl Parts {
    fn season(&self, t: usize) -> f64 {
        self.seasons.iter().map(|season| season[t % season.len()]).sum()
    }
}

impl Scaled for Parts {
    fn name(&self) -> &str {
        &self.name
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut point, mut deviations) = self.rest.path(horizon);
        for (h, y) in point.iter_mut().enumerate() {
            *y = self.rest_scale.undo(*y) + self.season(self.t + h);
        }
        deviations
            .iter_mut()
            .for_each(|s| *s = self.rest_scale.undo_width(*s));
        (point, deviations)
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        let season = self.season(self.t);
        self.t += 1;
        self.rest.step(x.map(|x| self.rest_scale.apply(x - season)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(t: usize) -> f64 {
        let wave = |period: usize| (std::f64::consts::TAU * t as f64 / period as f64).sin();
        100.0 + 20.0 * wave(24) + 10.0 * wave(168) + 0.01 * t as f64
    }

    #[test]
    fn two_seasons_and_a_trend_go_on() {
        let train: Vec<f64> = (0..1_680).map(load).collect();
        let mut fitted = Mstl::new(vec![168, 24]).fit(&train).expect("fits");
        assert_eq!(fitted.name(), "mstl(24,168)");
        for begin in [1_680, 1_730] {
            let point = fitted.predict(50, &[]).point().to_vec();
            for (h, y) in point.iter().enumerate() {
                let truth = load(begin + h);
                assert!((y - truth).abs() < 1.5, "{begin} + {h}: {y} for {truth}");
            }
            (begin..begin + 50).for_each(|t| assert!(fitted.update(Some(load(t)))));
        }
    }

    #[test]
    fn periods_that_do_not_fit_are_left_out_and_none_is_an_error() {
        let train: Vec<f64> = (0..100).map(load).collect();
        let fitted = Mstl::new(vec![0, 1, 24, 168]).fit(&train).expect("fits");
        assert_eq!(fitted.name(), "mstl(24)");
        let short = Mstl::new(vec![168]).fit(&train).err();
        assert!(
            matches!(
                short,
                Some(FitError::TooShort {
                    need: 336,
                    found: 100,
                    ..
                })
            ),
            "{short:?}"
        );
        for periods in [vec![], vec![0, 1]] {
            let none = Mstl::new(periods).fit(&train).err();
            assert!(matches!(none, Some(FitError::Unsuitable { .. })), "{none:?}");
        }
    }
}

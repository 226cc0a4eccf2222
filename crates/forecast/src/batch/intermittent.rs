//! Load that is nothing most of the time: the size of a demand and how often one comes are smoothed apart.
//!
//! Croston, *Forecasting and Stock Control for Intermittent Demands*, Operational Research Quarterly 23 (1972), with the
//! correction of its bias by Syntetos & Boylan, *The accuracy of intermittent demand estimates*, Int. J. Forecasting 21
//! (2005); and Teunter, Syntetos & Babai, *Intermittent demand: Linking forecasting to inventory obsolescence*, European
//! J. of Operational Research 214 (2011), which lets the chance of a demand fade where none comes.
//!
//! Both forecast a rate, the same at each step. Their intervals treat the steps as independent and normal: wrong for counts
//! near 0, where a lower quantile is under 0, and good for no more than a width.

use super::scale::{MeanSquare, Rescaled, Scale, Scaled, scaled};
use crate::{Fit, FitError, Fitted};

/// What of a new demand enters the smoothed size, interval or chance, as is usual for both methods.
const GAIN: f64 = 0.1;

/// Croston's method: any series of one value or more; 0 is no demand, anything else is one.
///
/// A series without demand is forecast to have none. The rate only changes when a demand comes: where load may cease for
/// good, [`Tsb`] notices. `update` is exact; a missing step counts towards neither interval nor size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Croston {
    corrected: bool,
}

impl Croston {
    /// As published in 1972: its forecasts are too high, by about a twentieth.
    pub fn new() -> Self {
        Self { corrected: false }
    }

    /// With the bias corrected by Syntetos & Boylan.
    pub fn corrected() -> Self {
        Self { corrected: true }
    }
}

impl Fit for Croston {
    fn name(&self) -> &str {
        if self.corrected { "croston_sba" } else { "croston" }
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        let factor = if self.corrected { 1.0 - GAIN / 2.0 } else { 1.0 };
        let name = if self.corrected { "croston_sba" } else { "croston" };
        let rate = Rate::Interval {
            interval: 1.0,
            since: 0,
            factor,
        };
        fit(name, rate, train)
    }
}

/// The method of Teunter, Syntetos and Babai: any series of one value or more; 0 is no demand, anything else is one.
///
/// The chance of a demand is smoothed at each step, so that the rate fades where demand ceases. `update` is exact; a
/// missing step changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tsb;

impl Fit for Tsb {
    fn name(&self) -> &str {
        "tsb"
    }

    fn fit(&self, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
        fit("tsb", Rate::Chance { chance: 0.0 }, train)
    }
}

fn fit(name: &'static str, rate: Rate, train: &[f64]) -> Result<Box<dyn Fitted>, FitError> {
    let (scale, x) = scaled(name, 1, train, Scale::ratio)?;
    let mut demand = Demand {
        name,
        size: None,
        rate,
        steps: 0,
        errors: MeanSquare::default(),
    };
    for &x in &x {
        demand.step(Some(x));
    }
    Ok(Rescaled::boxed(scale, demand))
}

/// How often demand comes.
#[derive(Debug, Clone, Copy)]
enum Rate {
    /// Smoothed steps between demands, steps since the last one, and what corrects the bias.
    Interval {
        interval: f64,
        since: usize,
        factor: f64,
    },
    /// Smoothed share of steps with a demand.
    Chance { chance: f64 },
}

impl Rate {
    /// `is_first` demand, until which nothing is smoothed; `steps` were seen until now, this one included.
    fn step(&mut self, is_demand: bool, is_first: bool, steps: usize) {
        match self {
            Self::Interval { interval, since, .. } => {
                *since += 1;
                if is_demand {
                    let seen = *since as f64;
                    *interval = if is_first {
                        seen
                    } else {
                        *interval + GAIN * (seen - *interval)
                    };
                    *since = 0;
                }
            }
            Self::Chance { chance } if is_first && is_demand => *chance = 1.0 / steps as f64,
            Self::Chance { chance } => *chance += GAIN * (f64::from(is_demand) - *chance),
        }
    }

    fn per_step(self) -> f64 {
        match self {
            Self::Interval { interval, factor, .. } => factor / interval.max(1.0),
            Self::Chance { chance } => chance,
        }
    }
}

#[derive(Debug)]
struct Demand {
    name: &'static str,
    /// Smoothed, of the demands alone; `None` before the first.
    size: Option<f64>,
    rate: Rate,
    steps: usize,
    errors: MeanSquare,
}

impl Demand {
    fn expected(&self) -> f64 {
        self.size.map_or(0.0, |size| size * self.rate.per_step())
    }
}

impl Scaled for Demand {
    fn name(&self) -> &str {
        self.name
    }

    fn path(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        (
            vec![self.expected(); horizon],
            vec![self.errors.deviation(0.0); horizon],
        )
    }

    fn step(&mut self, x: Option<f64>) -> bool {
        let Some(x) = x else {
            return true;
        };
        self.errors.add(x - self.expected());
        self.steps += 1;
        let is_demand = x != 0.0;
        self.rate.step(is_demand, self.size.is_none(), self.steps);
        if is_demand {
            self.size = Some(self.size.map_or(x, |size| size + GAIN * (x - size)));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(model: &dyn Fit, train: &[f64]) -> f64 {
        model.fit(train).expect("fits").predict(3, &[]).point()[2]
    }

    #[test]
    fn a_worked_example_comes_out() {
        // Demands 6, 2, 4 at steps 2, 5 and 6, so at intervals 2, 3, 1. By hand, gain 0.1:
        // sizes 6, 5.6, 5.44; intervals 2, 2.1, 1.99; rate 5.44 / 1.99.
        let train = [0.0, 6.0, 0.0, 0.0, 2.0, 4.0];
        let expected = 5.44 / 1.99;
        assert!((rate(&Croston::new(), &train) - expected).abs() < 1e-12);
        assert!((rate(&Croston::corrected(), &train) - 0.95 * expected).abs() < 1e-12);
        // Chances from the first demand on: 0.5, 0.45, 0.405, 0.4645, 0.51805.
        assert!((rate(&Tsb, &train) - 5.44 * 0.518_05).abs() < 1e-12);
    }

    #[test]
    fn demand_that_ceased_fades_by_tsb_and_stays_by_croston() {
        let mut train = vec![3.0, 0.0, 3.0, 0.0, 3.0, 0.0];
        let (croston, tsb) = (rate(&Croston::new(), &train), rate(&Tsb, &train));
        train.extend([0.0; 50]);
        assert_eq!(rate(&Croston::new(), &train), croston);
        assert!(rate(&Tsb, &train) < 0.01 * tsb);
    }

    #[test]
    fn no_demand_is_forecast_where_none_came() {
        for model in [&Croston::new() as &dyn Fit, &Croston::corrected(), &Tsb] {
            assert_eq!(rate(model, &[0.0; 20]), 0.0, "{}", model.name());
        }
    }
}

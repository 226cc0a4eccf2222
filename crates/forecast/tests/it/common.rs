//! Series with known properties, and a predictor fed with them.

use foreshift_forecast::{Forecast, Predictor, PredictorOptions};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Milliseconds between ticks.
pub(crate) const STEP_MS: u64 = 500;
const START_MS: u64 = 1_700_000_000_000;

/// A predictor with the default options.
pub(crate) fn predictor() -> Predictor {
    Predictor::new(PredictorOptions::default()).expect("the default options are valid")
}

/// Feeds one tick a step and shows each forecast together with its step's index.
pub(crate) fn run(series: &[f64], mut each: impl FnMut(usize, &Predictor, Option<&Forecast>)) -> Predictor {
    let mut predictor = predictor();
    for (t, &y) in series.iter().enumerate() {
        predictor.observe(START_MS + t as u64 * STEP_MS, Some(y));
        let forecast = predictor.forecast();
        each(t, &predictor, forecast.as_ref());
    }
    predictor
}

/// Seeded random numbers.
pub(crate) struct Source(Pcg64Mcg);

impl Source {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// Standard normal (Box-Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn noise(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| 40.0 + 5.0 * self.normal()).collect()
    }

    pub(crate) fn autoregression(&mut self, n: usize, coefficient: f64) -> Vec<f64> {
        let mut deviation = 0.0;
        let mut next = || {
            deviation = coefficient * deviation + 3.0 * self.normal();
            (45.0_f64 + deviation).max(0.0)
        };
        (0..n).map(|_| next()).collect()
    }

    pub(crate) fn random_walk(&mut self, n: usize) -> Vec<f64> {
        let mut y: f64 = 50.0;
        let mut next = || {
            y = (y + 1.5 * self.normal()).clamp(0.0, 200.0);
            y
        };
        (0..n).map(|_| next()).collect()
    }

    /// Requests in flight as a queue would have them: bursts come at random and drain.
    pub(crate) fn bursts(&mut self, n: usize) -> Vec<f64> {
        let mut y = 20.0;
        let mut next = || {
            let burst = if self.uniform() < 0.02 {
                40.0 * self.uniform()
            } else {
                0.0
            };
            y += burst + 0.15 * (20.0 - y) + self.normal();
            f64::max(y, 0.0)
        };
        (0..n).map(|_| next()).collect()
    }

    pub(crate) fn ramp(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|t| 5.0 + 0.05 * t as f64 + self.normal()).collect()
    }

    pub(crate) fn wave(&mut self, n: usize, period: usize) -> Vec<f64> {
        let angle = |t: usize| std::f64::consts::TAU * t as f64 / period as f64;
        (0..n)
            .map(|t| 45.0 + 25.0 * angle(t).sin() + 2.0 * self.normal())
            .collect()
    }

    pub(crate) fn surges(&mut self, n: usize, surge: Surge) -> Vec<f64> {
        (0..n)
            .map(|t| surge.at(t) + surge.noise * self.normal())
            .collect()
    }
}

/// A square surge that comes again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surge {
    pub(crate) period: usize,
    pub(crate) width: usize,
    /// Step of the first one's begin.
    pub(crate) first: usize,
    pub(crate) base: f64,
    pub(crate) height: f64,
    pub(crate) noise: f64,
}

impl Surge {
    pub(crate) fn at(&self, t: usize) -> f64 {
        let place = (t + self.period - self.first % self.period) % self.period;
        if t >= self.first && place < self.width {
            self.base + self.height
        } else {
            self.base
        }
    }

    pub(crate) fn is_on(&self, t: usize) -> bool {
        self.at(t) > self.base
    }
}

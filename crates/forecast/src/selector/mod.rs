//! One series, all models, and the choice between them: what `auto` means.
//!
//! Online models, models fitted in batches and learned ones stand in one pool. Each is judged at several distances when
//! what it forecast has come, and weighed by that; the bands are calibrated by the errors of the weighted forecast. So a
//! model needs no other merit than having been right, and one that fails loses its weight within some tens of steps.
//! Where persistence was better lately, persistence is what the selector says.
//!
//! [`Selector::observe`] takes constant time, but where a value is of another order of size than all before it, some fifty
//! times at most in any series: then it begins anew and goes through what it remembers. Refits it only announces:
//! [`Selector::refit_due`] gives a [`Refit`] that may be run on any thread while the selector goes on, and
//! [`Selector::accept`] takes the result. [`Selector::refit`] does both at once, for back-tests and reports.
//!
//! For thousands of load scores in every tick of a control loop there is the [`Predictor`](crate::Predictor): the same
//! pool with fewer models and windows.

mod choice;
mod member;
mod members;
mod options;
mod refit;
mod slots;
mod unit;

use crate::{
    Forecaster, Prediction,
    backtest::Stepwise,
    models::believable,
    pool::{Bounds, Pool, Profile, Settings},
};
use unit::UnitOfSeries;

pub use choice::{Choice, ModelStanding};
pub use options::{Error, HORIZON_MAX, SelectorOptions};
pub use refit::{Refit, Refits};

/// Chooses between models of one series, step by step.
///
/// Values may be of any sign and size up to 1e100; larger ones, NaN and infinities are taken as missing. Where no value
/// was ever negative, no forecast is. After four values there is a prediction.
pub struct Selector {
    options: SelectorOptions,
    pool: Pool,
    /// What is fitted, by member of the pool.
    slots: slots::Slots,
    unit: UnitOfSeries,
    history: History,
    periods: Vec<usize>,
    /// The last members of the pool, which are not ours.
    added: usize,
    /// Values so far.
    seen: u64,
    is_negative: bool,
}

/// Values needed before anything is forecast.
const SEEN_MIN: u64 = 4;

/// The newest values in the series' own unit, NaN where missing; a bounded number.
#[derive(Debug, Default)]
struct History {
    values: std::collections::VecDeque<f64>,
    capacity: usize,
    /// Steps so far.
    steps: u64,
}

impl History {
    fn push(&mut self, y: f64) {
        if self.values.len() == self.capacity {
            self.values.pop_front();
        }
        self.values.push_back(y);
        self.steps += 1;
    }

    fn ago(&self, age: usize) -> Option<f64> {
        let index = self.values.len().checked_sub(age + 1)?;
        Some(self.values[index]).filter(|y| !y.is_nan())
    }
}

impl Selector {
    /// Checks the options.
    pub fn new(options: SelectorOptions) -> Result<Self, Error> {
        let options = options.checked()?;
        let periods = options.periods.clone();
        let capacity = options.history_steps(&periods);
        let (pool, slots) = build(&options, &periods)?;
        Ok(Self {
            pool,
            slots,
            unit: UnitOfSeries::default(),
            history: History {
                capacity,
                ..History::default()
            },
            periods,
            added: 0,
            seen: 0,
            is_negative: false,
            options,
        })
    }

    /// Adds a model that needs no fitting here, such as a learned one. It is shown what is remembered of the series, and
    /// judged by it.
    pub fn add_model(&mut self, model: Box<dyn Forecaster>) {
        self.pool.add(model);
        self.added += 1;
        self.replay();
    }

    /// Takes the next step's value; `None` where it is missing.
    pub fn observe(&mut self, y: Option<f64>) {
        let y = believable(y);
        self.history.push(y.unwrap_or(f64::NAN));
        if let Some(y) = y {
            self.seen += 1;
            if self.unit.is_outgrown(y) {
                self.unit.grow(y);
                self.replay();
                return;
            }
        }
        self.step(y);
    }

    fn step(&mut self, y: Option<f64>) {
        if y.is_some_and(|y| y < 0.0) && !self.is_negative {
            self.is_negative = true;
            self.set_bounds();
        }
        self.pool.update(y.map(|y| self.unit.shrink(y)), &[]);
        self.slots.step();
    }

    /// What is expected; `None` while fewer than four values were seen.
    pub fn predict(&self) -> Option<Prediction> {
        if self.seen < SEEN_MIN {
            return None;
        }
        let restored = |y: f64| self.unit.restore(y);
        let point = self.pool.point().iter().copied().map(restored).collect();
        let mut below = vec![f64::MIN; self.pool.steps()];
        let levels = self.pool.quantiles().iter().enumerate();
        let paths = levels.map(|(i, &q)| {
            // Blending may undo the order of two quantiles in the last bit.
            let path = self.pool.path(i).zip(&below);
            let path: Vec<f64> = path.map(|(y, &low)| restored(y).max(low)).collect();
            below.clone_from(&path);
            (q, path)
        });
        let paths = paths.collect();
        Prediction::new(point, paths).ok()
    }

    /// Which models carry the forecast at the end of the horizon, and why.
    pub fn choice(&self) -> Choice {
        choice::of(&self.pool, &self.slots, &self.unit)
    }

    /// Periods that are reckoned with, in steps.
    pub fn periods(&self) -> &[usize] {
        &self.periods
    }

    /// Begins anew with models for these periods, and fits what is to be fitted as soon as it is asked for.
    fn set_periods(&mut self, periods: Vec<usize>) {
        let Ok((mut pool, mut slots)) = build(&self.options, &periods) else {
            return;
        };
        self.pool.drain_last(self.added).for_each(|model| pool.add(model));
        slots.follow(&self.slots);
        (self.pool, self.slots, self.periods) = (pool, slots, periods);
        self.history.capacity = self.options.history_steps(&self.periods);
        self.replay();
        self.slots.hasten();
    }

    fn set_bounds(&mut self) {
        self.pool.set_bounds(Bounds {
            low: self.unit.shrink(self.options.low(self.is_negative)),
            high: self.unit.shrink(self.options.high()),
        });
    }

    /// Begins anew and goes through what is remembered.
    fn replay(&mut self) {
        self.pool.reset();
        self.slots.clear();
        self.set_bounds();
        for i in 0..self.history.values.len() {
            let y = self.history.values[i];
            self.step(Some(y).filter(|y| !y.is_nan()));
        }
    }
}

/// A pool of the models that the options ask for, and which of them are to be fitted.
fn build(options: &SelectorOptions, periods: &[usize]) -> Result<(Pool, slots::Slots), Error> {
    let members::Members {
        mut models,
        fits,
        first_weighed,
    } = members::of(options, periods)?;
    let slots = slots::Slots::new(models.len(), fits);
    models.extend(slots.places());
    let settings = Settings {
        profile: Profile::Thorough,
        steps: options.horizon,
        quantiles: options.quantiles.clone(),
        selection: options.selection_quantile,
        bounds: Bounds {
            low: options.low(false),
            high: options.high(),
        },
    };
    Ok((Pool::new(models, first_weighed, settings), slots))
}

impl Stepwise for Selector {
    /// Refits are run at once, on this thread.
    fn observe(&mut self, y: Option<f64>) {
        Selector::observe(self, y);
        if let Some(refit) = self.refit_due() {
            self.accept(refit.run());
        }
    }

    fn predict(&mut self) -> Option<Prediction> {
        Selector::predict(self)
    }

    fn model(&self) -> &str {
        self.pool.leader()
    }

    fn reason(&self) -> Option<String> {
        Some(self.choice().reason)
    }
}

impl std::fmt::Debug for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selector")
            .field("options", &self.options)
            .field("seen", &self.seen)
            .field("periods", &self.periods)
            .field("model", &self.choice().model)
            .finish_non_exhaustive()
    }
}

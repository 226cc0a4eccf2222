//! Forecasts one node's load score from the ticks of the control loop.

use crate::{
    Error, Forecast, Forecaster, PredictorOptions, Provenance, Scored, SignalValues,
    grid::{Grid, Tick},
    history::History,
    models::members,
    pool::{Bounds, Pool, Profile, Settings},
    record::{Record, SCORED_MAX, Told},
    season,
};

/// One node's load forecast, updated once a tick in constant time, in a fixed amount of memory.
///
/// What it does with ticks that are not as they should be:
///
/// - An early or late tick belongs to the step it is nearest to; a second one for the same step is dropped.
/// - A tick that did not come, or came with `None` or a value that is not finite, is a missing step: the models go
///   on with what they expected. Negative scores count as 0, scores over 1e9 as 1e9.
/// - Where nothing was seen for longer than the horizon there is no forecast; after 120 missing steps, or a clock that
///   jumps forward by as much, the series begins anew as that of a node that has just joined.
/// - A clock that goes back by two steps or more re-bases the instants, and the series goes on.
///
/// A node that has just joined has no forecast for its first four observations, then persistence with wide bands until
/// the models have been judged at each distance, some 20 s for the default horizon.
pub struct Predictor {
    grid: Grid,
    step_ms: u64,
    stagger: u64,
    release_share: f64,
    history: History,
    pool: Pool,
    record: Record,
    period_steps: Option<usize>,
    /// Observations so far; missing ones since the newest.
    seen: u64,
    missing: usize,
    steps: u64,
    q90: usize,
    held_peaks: Vec<f64>,
}

/// Observations needed before anything is forecast.
const SEEN_MIN: u64 = 4;
/// Missing steps after which the series begins anew.
const GAP_STEPS_MAX: u64 = 120;
/// A season is looked for once in so many steps; one that was found is confirmed less often.
const SEASON_SOUGHT_EVERY: u64 = 8;
const SEASON_CONFIRMED_EVERY: u64 = 24;
/// Scores above count as this.
const SCORE_MAX: f64 = 1e9;

impl Predictor {
    /// Checks the options.
    pub fn new(options: PredictorOptions) -> Result<Self, Error> {
        let (steps, levels) = (options.steps()?, options.levels()?);
        let release_share = options.release_share();
        let PredictorOptions {
            step, model, stagger, ..
        } = options;
        let (models, first_weighed) = members(model)?;
        let step_ms = step.as_millis() as u64;
        Ok(Self {
            grid: Grid::new(step_ms, GAP_STEPS_MAX),
            step_ms,
            stagger,
            release_share,
            history: History::new(season::WINDOW),
            record: Record::new(steps),
            period_steps: None,
            seen: 0,
            missing: 0,
            steps: 0,
            q90: levels.iter().position(|q| (q - 0.9).abs() < 1e-9).unwrap_or(0),
            held_peaks: vec![0.0; levels.len()],
            pool: Pool::new(
                models,
                first_weighed,
                Settings {
                    profile: Profile::Compact,
                    steps,
                    quantiles: levels,
                    selection: 0.5,
                    bounds: Bounds::NOT_NEGATIVE,
                },
            ),
        })
    }

    /// Adds a model to those that are weighed; the series begins anew.
    pub fn add_model(&mut self, model: Box<dyn Forecaster>) {
        self.pool.add(model);
        self.restart();
    }

    /// Takes the load score of one tick; `None` where it was not measured. `now_ms` is in Unix milliseconds.
    pub fn observe(&mut self, now_ms: u64, score: Option<f64>) {
        self.observe_with(now_ms, score, &SignalValues::default());
    }

    /// As [`observe`](Self::observe), with the signals that the score was made from: they reach the models, of which
    /// some know how one announces another.
    pub fn observe_with(&mut self, now_ms: u64, score: Option<f64>, signals: &SignalValues) {
        match self.grid.place(now_ms) {
            Tick::Repeated => return,
            Tick::Restart => self.restart(),
            Tick::Next { missing } => (0..missing).for_each(|_| self.step(None, &[])),
        }
        let score = score.filter(|y| y.is_finite()).map(|y| y.clamp(0.0, SCORE_MAX));
        self.step(score, &signals.to_array());
    }

    /// What is expected; `None` while too little was seen, or nothing for longer than the horizon.
    pub fn forecast(&self) -> Option<Forecast> {
        if !self.can_forecast() {
            return None;
        }
        let provenance = Provenance {
            model: self.pool.leader().to_owned(),
            period_steps: self.period_steps,
            error: self.record.error(),
            error_of_persistence: self.record.error_of_persistence(),
            coverage: self.record.coverage(),
            held_peaks: self.held_peaks.clone(),
        };
        let start_ms = self.grid.last_ms()?.saturating_add(self.step_ms);
        Forecast::new(
            start_ms,
            self.step_ms,
            self.pool.point().to_vec(),
            self.quantile_paths(),
            provenance,
        )
        .ok()
    }

    /// True while recent forecasts were clearly worse than "the load stays as it is"; then use the load now.
    ///
    /// Closes at 1.1 times the error of persistence, opens when it is no higher. A season newly found opens it at
    /// once: what was forecast without it says nothing about what will be.
    pub fn gated(&self) -> bool {
        self.record.is_gated()
    }

    /// The newest observations, oldest first, one a step, at most 384; `None` where nothing was seen.
    pub fn history(&self) -> Vec<Option<f64>> {
        self.history.iter().collect()
    }

    /// The instant of the newest element of [`history`](Self::history), in Unix milliseconds.
    pub fn newest_ms(&self) -> Option<u64> {
        self.grid.last_ms()
    }

    /// Forecasts of the full horizon whose time has come, oldest first, of the last 80 steps.
    pub fn scored(&self) -> Vec<Scored> {
        let scored = (0..SCORED_MAX).rev().filter_map(|age| {
            let (told, actual) = (self.record.told_for(age)?, self.history.ago(age)?);
            let at_ms = self.grid.last_ms()?.checked_sub(age as u64 * self.step_ms)?;
            let (predicted, predicted_q90) = (f64::from(told.point), f64::from(told.q90));
            Some(Scored {
                at_ms,
                predicted,
                predicted_q90,
                actual,
            })
        });
        scored.collect()
    }

    fn quantile_paths(&self) -> Vec<(f64, Vec<f64>)> {
        let mut below = vec![0.0; self.pool.steps()];
        let levels = self.pool.quantiles().iter().enumerate();
        levels
            .map(|(i, &q)| {
                // The offsets rise with the quantile; blending them may undo that in the last bit.
                let path = self
                    .pool
                    .path(i)
                    .zip(&below)
                    .map(|(y, &low)| y.max(low))
                    .collect();
                below.clone_from(&path);
                (q, path)
            })
            .collect()
    }

    fn can_forecast(&self) -> bool {
        self.seen >= SEEN_MIN && self.missing <= self.pool.steps()
    }

    fn restart(&mut self) {
        self.history.clear();
        self.pool.reset();
        self.record.reset();
        self.period_steps = None;
        (self.seen, self.missing) = (0, 0);
        self.held_peaks.fill(0.0);
    }

    fn step(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        if y.is_none() && self.missing as u64 >= GAP_STEPS_MAX {
            self.restart();
        }
        self.missing = if y.is_some() { 0 } else { self.missing + 1 };
        self.seen += u64::from(y.is_some());
        self.steps += 1;
        self.history.push(y);
        if let Some(y) = y {
            self.record.score(y, self.pool.persistence_due());
        }
        self.pool.update(y, signals);
        let every = self
            .period_steps
            .map_or(SEASON_SOUGHT_EVERY, |_| SEASON_CONFIRMED_EVERY);
        if self.steps.wrapping_add(self.stagger).is_multiple_of(every) {
            self.look_for_season();
        }
        self.hold_peaks();
        let told = self.can_forecast().then(|| self.told());
        self.record.tell(told);
    }

    fn told(&self) -> Told {
        let end = |path: &mut dyn Iterator<Item = f64>| path.last().unwrap_or(0.0) as f32;
        Told {
            point: end(&mut self.pool.point().iter().copied()),
            q90: end(&mut self.pool.path(self.q90)),
        }
    }

    fn hold_peaks(&mut self) {
        for (i, held) in self.held_peaks.iter_mut().enumerate() {
            let peak = self.pool.path(i).fold(0.0, f64::max);
            *held = peak + (*held - peak).max(0.0) * self.release_share;
        }
    }

    fn look_for_season(&mut self) {
        let mut window = [f32::NAN; season::WINDOW];
        let period_steps = season::find(self.history.copy_to(&mut window), self.period_steps);
        if period_steps == self.period_steps {
            return;
        }
        self.period_steps = period_steps;
        let is_used = self.pool.set_period(period_steps, &self.history);
        if let (true, Some(period_steps)) = (is_used, period_steps) {
            self.record.pardon(period_steps);
        }
    }
}

impl std::fmt::Debug for Predictor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Predictor")
            .field("newest_ms", &self.grid.last_ms())
            .field("newest", &self.history.ago(0))
            .field("seen", &self.seen)
            .field("model", &self.pool.leader())
            .field("period_steps", &self.period_steps)
            .field("gated", &self.gated())
            .finish_non_exhaustive()
    }
}

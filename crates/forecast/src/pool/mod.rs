//! Several models of one series, weighed by how well each has done lately, and a band around their mean.
//!
//! Which model is best differs between series and changes within one; a pool with feedback is about as good as the best
//! of them without being told which that is. Each model is judged at each anchor when the instant it forecast has
//! come, by its discounted mean absolute error; weights fall exponentially with the distance to the best, so that a
//! model much worse has none.

mod replay;

use crate::{
    band::Band,
    error_mean::ErrorMean,
    horizons::Horizons,
    models::Forecaster,
    pending::Pending,
    shift::{Lasting, Shift},
};

/// Models, their records, and the paths made from them.
pub(crate) struct Pool {
    members: Vec<Box<dyn Forecaster>>,
    /// Members before this one are only there to be compared with.
    first_weighed: usize,
    quantiles: Vec<f64>,
    horizons: Horizons,
    /// A column for each member, one for the point, one for each quantile.
    pending: Pending,
    /// By anchor, then member.
    errors: Vec<ErrorMean>,
    weights: Vec<f64>,
    bands: Vec<Band>,
    point: Vec<f64>,
    scratch: Vec<f64>,
    shift: Shift,
}

/// How fast a model's weight falls with its error: `exp(−8 (error / best − 1))`.
const SHARPNESS: f64 = 8.0;
/// A model so much worse has no weight at all, rather than one of 1e-7.
const WORSE_BY_MAX: f64 = 16.0;
/// Errors under this are as good as none: a constant load is forecast by all alike.
const ERROR_MIN: f64 = 1e-9;
/// Errors that a model needs at an anchor before it has a weight there.
const ERRORS_MIN: u8 = 10;
/// What a model may forecast at most; beyond it single precision is lost.
const FORECAST_MAX: f64 = 1e12;

impl Pool {
    /// `members[0]` is persistence; those before `first_weighed` get no weight while another has one.
    pub(crate) fn new(
        members: Vec<Box<dyn Forecaster>>,
        first_weighed: usize,
        quantiles: Vec<f64>,
        steps: usize,
    ) -> Self {
        let horizons = Horizons::new(steps);
        let anchors = horizons.anchors();
        let cells = anchors.len() * members.len();
        Self {
            first_weighed,
            pending: Pending::new(anchors, members.len() + 1 + quantiles.len()),
            errors: vec![ErrorMean::default(); cells],
            weights: vec![0.0; cells],
            bands: anchors.iter().map(|&h| Band::new(&quantiles, h)).collect(),
            point: vec![0.0; steps],
            scratch: vec![0.0; steps],
            shift: Shift::default(),
            members,
            quantiles,
            horizons,
        }
    }

    /// Takes one more model; it has a weight as soon as it has a record.
    pub(crate) fn add(&mut self, model: Box<dyn Forecaster>) {
        let mut members = std::mem::take(&mut self.members);
        members.push(model);
        *self = Self::new(
            members,
            self.first_weighed,
            std::mem::take(&mut self.quantiles),
            self.point.len(),
        );
        self.reset();
    }

    pub(crate) fn reset(&mut self) {
        self.members.iter_mut().for_each(|model| model.reset());
        self.pending.clear();
        self.errors.fill(ErrorMean::default());
        self.bands.iter_mut().for_each(|band| band.reset(&self.quantiles));
        self.shift = Shift::default();
    }

    /// One step of the series, with what else was measured in it.
    pub(crate) fn update(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        if let Some(y) = y {
            let shift = self.shift.observe(y, self.horizons.steps());
            self.judge(y, shift);
        }
        self.members
            .iter_mut()
            .for_each(|model| model.update_with(y, signals));
        self.predict();
        self.pending.advance();
    }

    /// Judges what was forecast for now. After a lasting change of level the bands are not: they have seen enough of it.
    fn judge(&mut self, y: f64, shift: Option<Lasting>) {
        let count = self.members.len();
        for (a, band) in self.bands.iter_mut().enumerate() {
            let row = self.pending.row(a);
            for (error, &forecast) in self.errors[a * count..].iter_mut().zip(&row[..count]) {
                if !forecast.is_nan() {
                    error.add((y - f64::from(forecast)).abs());
                }
            }
            let point = row[count];
            if let Some(shift) = shift {
                let steps = self.horizons.steps();
                band.relax(&self.quantiles, if shift == Lasting::Shown { steps } else { 0 });
            } else if !point.is_nan() {
                band.observe(y, f64::from(point), &row[count + 1..], &self.quantiles);
            }
        }
    }

    fn predict(&mut self) {
        self.weigh();
        self.point.fill(0.0);
        for m in 0..self.members.len() {
            self.add_member(m);
        }
        // `max` would turn NaN into 0 and hide a weight gone wrong.
        debug_assert!(self.point.iter().all(|y| y.is_finite()), "{:?}", self.weights);
        self.point.iter_mut().for_each(|y| *y = y.max(0.0));
        self.refresh_bands();
    }

    /// Adds member `m`'s share to the point path and notes its forecasts.
    fn add_member(&mut self, m: usize) {
        let ready = self.members[m].is_ready() && {
            self.members[m].forecast(&mut self.scratch);
            self.scratch.iter().all(|y| y.abs() <= FORECAST_MAX)
        };
        for (a, &h) in self.horizons.anchors().iter().enumerate() {
            self.pending.row(a)[m] = if ready {
                self.scratch[h - 1] as f32
            } else {
                f32::NAN
            };
        }
        let count = self.members.len();
        let weight = |a: usize| self.weights[a * count + m];
        if !ready || (0..self.bands.len()).all(|a| weight(a) == 0.0) {
            return;
        }
        for ((sum, y), place) in self
            .point
            .iter_mut()
            .zip(&self.scratch)
            .zip(self.horizons.places())
        {
            *sum += place.blend(weight) * y;
        }
    }

    fn weigh(&mut self) {
        let count = self.members.len();
        let ready = |m: usize| self.members[m].is_ready();
        for (errors, weights) in self.errors.chunks(count).zip(self.weights.chunks_mut(count)) {
            // First each weight is its model's error, infinite where it may have none.
            for (m, (weight, error)) in weights.iter_mut().zip(errors).enumerate() {
                let error = error
                    .mean(ERRORS_MIN)
                    .filter(|_| m >= self.first_weighed && ready(m));
                *weight = error.unwrap_or(f64::INFINITY);
            }
            let best = weights.iter().copied().fold(f64::INFINITY, f64::min);
            if best == f64::INFINITY {
                unproven(weights, self.first_weighed, ready);
                continue;
            }
            let scale = SHARPNESS / best.max(ERROR_MIN);
            for weight in weights.iter_mut() {
                let worse_by = (*weight - best) * scale;
                *weight = if worse_by < WORSE_BY_MAX {
                    (-worse_by).exp()
                } else {
                    0.0
                };
            }
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
    }

    fn refresh_bands(&mut self) {
        let count = self.members.len();
        let level = self.shift.last().unwrap_or(0.0);
        for (a, band) in self.bands.iter_mut().enumerate() {
            let h = self.horizons.anchors()[a];
            // Nothing is known of a young series: its changes add up, and its level is off by a tenth.
            let prior = 1.0 + 0.1 * level + 1.25 * self.shift.change() * (h as f64).sqrt();
            band.refresh(&self.quantiles, prior);
            let point = self.point[h - 1];
            let row = self.pending.row(a);
            row[count] = point as f32;
            for (cell, offset) in row[count + 1..].iter_mut().zip(band.offsets()) {
                *cell = (point + offset).max(0.0) as f32;
            }
        }
    }

    /// What persistence forecast a whole horizon ago for the step that comes next.
    pub(crate) fn persistence_due(&mut self) -> Option<f64> {
        let due = self.pending.row(self.bands.len() - 1)[0];
        (!due.is_nan()).then_some(f64::from(due))
    }

    /// The point path, 0 and above.
    pub(crate) fn point(&self) -> &[f64] {
        &self.point
    }

    pub(crate) fn quantiles(&self) -> &[f64] {
        &self.quantiles
    }

    /// The path of quantile `index`, 0 and above, step by step.
    pub(crate) fn path(&self, index: usize) -> impl Iterator<Item = f64> + '_ {
        let offset = move |a: usize| self.bands[a].offsets()[index];
        let steps = self.point.iter().zip(self.horizons.places());
        steps.map(move |(y, place)| (y + place.blend(offset)).max(0.0))
    }

    /// The model with at least half of the weight at the end of the horizon, else `pool`.
    pub(crate) fn leader(&self) -> &str {
        let count = self.members.len();
        let weights = &self.weights[self.weights.len() - count..];
        let leader = weights.iter().position(|&weight| weight >= 0.5);
        leader.map_or("pool", |m| self.members[m].name())
    }

    pub(crate) fn steps(&self) -> usize {
        self.horizons.steps()
    }
}

/// Weights before any model has a record: persistence in a mixed pool, else the wanted kind.
fn unproven(weights: &mut [f64], first_weighed: usize, ready: impl Fn(usize) -> bool) {
    let wanted = |m: &usize| first_weighed > 0 && *m >= first_weighed && ready(*m);
    let count = (0..weights.len()).filter(wanted).count();
    for (m, weight) in weights.iter_mut().enumerate() {
        *weight = if wanted(&m) { 1.0 / count as f64 } else { 0.0 };
    }
    if count == 0 {
        weights[0] = 1.0;
    }
}

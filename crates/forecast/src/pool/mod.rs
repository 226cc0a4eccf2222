//! Several models of one series, weighed by how well each has done lately, and a band around their mean.
//!
//! Which model is best differs between series and changes within one; a pool with feedback is about as good as the best
//! of them without being told which that is. Each model is judged at each anchor when the instant it forecast has
//! come, by its discounted mean loss at the quantile that matters; weights fall exponentially with the distance to the
//! best, so that a model much worse has none.

mod columns;
mod replay;
mod settings;
mod standing;
mod weights;

use crate::{
    band::{Band, Units},
    horizons::Horizons,
    models::Forecaster,
    pending::Pending,
    shift::{Lasting, Shift},
    unrest::Unrest,
};

use columns::Columns;
pub(crate) use settings::{Bounds, Profile, Settings};
use standing::Standing;

/// Models, their records, and the paths made from them.
pub(crate) struct Pool {
    members: Vec<Box<dyn Forecaster>>,
    /// Members before this one are only there to be compared with.
    first_weighed: usize,
    settings: Settings,
    horizons: Horizons,
    /// See [`Columns`].
    pending: Pending,
    /// By anchor, then member.
    standings: Vec<Standing>,
    weights: Vec<f64>,
    bands: Vec<Band>,
    point: Vec<f64>,
    scratch: Vec<f64>,
    shift: Shift,
    unrest: Unrest,
}

/// Errors that a model needs at an anchor before it has a weight there.
const ERRORS_MIN: u8 = 10;
/// What a model may forecast at most; beyond it single precision is lost.
const FORECAST_MAX: f64 = 1e18;

impl Pool {
    /// `members[0]` is persistence; those before `first_weighed` get no weight while another has one.
    pub(crate) fn new(members: Vec<Box<dyn Forecaster>>, first_weighed: usize, settings: Settings) -> Self {
        let horizons = settings.horizons();
        let anchors = horizons.anchors();
        let cells = anchors.len() * members.len();
        let columns = Columns::of(members.len(), &settings);
        let band = |&h| settings.band(h);
        Self {
            first_weighed,
            pending: Pending::new(anchors, columns.count),
            standings: vec![Standing::default(); cells],
            weights: vec![0.0; cells],
            bands: anchors.iter().map(band).collect(),
            point: vec![0.0; settings.steps],
            scratch: vec![0.0; settings.steps],
            shift: Shift::default(),
            unrest: Unrest::default(),
            members,
            settings,
            horizons,
        }
    }

    /// Takes one more model; it has a weight as soon as it has a record.
    pub(crate) fn add(&mut self, model: Box<dyn Forecaster>) {
        let mut members = std::mem::take(&mut self.members);
        members.push(model);
        *self = Self::new(members, self.first_weighed, self.settings.clone());
        self.reset();
    }

    /// Takes the last `count` models out; the pool is of no more use.
    pub(crate) fn drain_last(&mut self, count: usize) -> impl Iterator<Item = Box<dyn Forecaster>> {
        let kept = self.members.len().saturating_sub(count);
        self.members.drain(kept..)
    }

    pub(crate) fn reset(&mut self) {
        self.members.iter_mut().for_each(|model| model.reset());
        self.pending.clear();
        self.standings.fill(Standing::default());
        self.bands.iter_mut().for_each(Band::reset);
        self.shift = Shift::default();
        self.unrest = Unrest::default();
    }

    fn columns(&self) -> Columns {
        Columns::of(self.members.len(), &self.settings)
    }

    /// One step of the series, with what else was measured in it.
    pub(crate) fn update(&mut self, y: Option<f64>, signals: &[Option<f64>]) {
        if let Some(y) = y {
            let shift = self.shift.observe(y, self.horizons.steps());
            self.judge(y, shift.filter(|_| self.settings.pardons_shifts()));
        }
        self.members
            .iter_mut()
            .for_each(|model| model.update_with(y, signals));
        self.predict();
        self.pending.advance();
    }

    /// Judges what was forecast for now. After a lasting change of level the bands are not: they have seen enough of it.
    fn judge(&mut self, y: f64, shift: Option<Lasting>) {
        let columns = self.columns();
        let (selection, kept) = (self.settings.selection, self.settings.error_kept());
        if columns.units.is_some() {
            let due = self.pending.row(0).get(columns.point);
            self.unrest.observe(y, (!due.is_nan()).then_some(y - due));
        }
        for (a, band) in self.bands.iter_mut().enumerate() {
            let row = self.pending.row(a);
            let standings = &mut self.standings[a * columns.point..][..columns.point];
            for (m, standing) in standings.iter_mut().enumerate() {
                let forecast = row.get(m);
                if !forecast.is_nan() {
                    standing.add(y - forecast, selection, kept);
                }
            }
            let point = row.get(columns.point);
            if let Some(shift) = shift {
                let steps = self.horizons.steps();
                band.relax(if shift == Lasting::Shown { steps } else { 0 });
            } else if !point.is_nan() {
                let units = columns.units.map_or(Units::ONE, |first| Units {
                    error: row.size(first),
                    level: row.size(first + 1),
                });
                let (kept, lowest) = (row.as_kept(y), row.as_kept(self.settings.bounds.low));
                let is_hit = |i: usize| {
                    let limit = row.get(columns.quantiles + i);
                    let is_hit = kept <= limit;
                    // What stands at the lower bound cannot be brought lower by hits.
                    let is_held = is_hit && limit <= lowest;
                    (!limit.is_nan() && !is_held).then_some(is_hit)
                };
                band.observe(y - point, units, &self.settings.quantiles, is_hit);
            }
        }
    }

    fn predict(&mut self) {
        self.weigh();
        self.point.fill(0.0);
        let base = self.shift.last().unwrap_or(0.0);
        (0..self.bands.len()).for_each(|a| self.pending.row(a).begin(base));
        for m in 0..self.members.len() {
            self.add_member(m);
        }
        // `clip` would hide a weight gone wrong.
        debug_assert!(self.point.iter().all(|y| y.is_finite()), "{:?}", self.weights);
        let bounds = self.settings.bounds;
        self.point.iter_mut().for_each(|y| *y = bounds.clip(*y));
        self.refresh_bands();
    }

    /// Weighs anew, after a member came or has been shown the past: the present step's forecasts stay noted as they were.
    pub(crate) fn reconsider(&mut self) {
        self.weigh();
        self.point.fill(0.0);
        for m in 0..self.members.len() {
            if self.ask(m) {
                self.add_share(m);
            }
        }
        let bounds = self.settings.bounds;
        self.point.iter_mut().for_each(|y| *y = bounds.clip(*y));
    }

    /// Adds member `m`'s share to the point path and notes its forecasts.
    fn add_member(&mut self, m: usize) {
        if !self.ask(m) {
            return;
        }
        for (a, &h) in self.horizons.anchors().iter().enumerate() {
            self.pending.row(a).set(m, self.scratch[h - 1]);
        }
        self.add_share(m);
    }

    /// Adds the scratch path to the point path by member `m`'s weights.
    fn add_share(&mut self, m: usize) {
        let count = self.members.len();
        let weight = |a: usize| self.weights[a * count + m];
        if (0..self.bands.len()).all(|a| weight(a) == 0.0) {
            return;
        }
        let steps = self.point.iter_mut().zip(&self.scratch);
        for ((sum, y), place) in steps.zip(self.horizons.places()) {
            *sum += place.blend(weight) * y;
        }
    }

    /// Lets member `m` fill the scratch path; false where it has nothing to say that could be used.
    fn ask(&mut self, m: usize) -> bool {
        let ready = self.members[m].is_ready();
        if ready {
            self.members[m].forecast(&mut self.scratch);
        }
        ready && self.scratch.iter().all(|y| y.abs() <= FORECAST_MAX)
    }

    fn refresh_bands(&mut self) {
        let columns = self.columns();
        let bounds = self.settings.bounds;
        let level = self.shift.last().unwrap_or(0.0).abs();
        let units = match columns.units {
            Some(_) => self.unrest.units(),
            None => Units::ONE,
        };
        for (a, band) in self.bands.iter_mut().enumerate() {
            let h = self.horizons.anchors()[a];
            // Nothing is known of a young series: its changes add up.
            let prior = self.settings.error_floor(level) + 1.25 * self.shift.change() * (h as f64).sqrt();
            band.refresh(&self.settings.quantiles, units, prior);
            let point = self.point[h - 1];
            let mut row = self.pending.row(a);
            row.set(columns.point, point);
            for (i, offset) in band.offsets().iter().enumerate() {
                row.set(columns.quantiles + i, bounds.clip(point + offset));
            }
            if let Some(first) = columns.units {
                row.set_size(first, units.error);
                row.set_size(first + 1, units.level);
            }
        }
    }

    /// What persistence forecast a whole horizon ago for the step that comes next.
    pub(crate) fn persistence_due(&mut self) -> Option<f64> {
        let due = self.pending.row(self.bands.len() - 1).get(0);
        (!due.is_nan()).then_some(due)
    }

    /// The point path, within what is possible.
    pub(crate) fn point(&self) -> &[f64] {
        &self.point
    }

    pub(crate) fn quantiles(&self) -> &[f64] {
        &self.settings.quantiles
    }

    /// The path of quantile `index`, within what is possible, step by step.
    pub(crate) fn path(&self, index: usize) -> impl Iterator<Item = f64> + '_ {
        let offset = move |a: usize| self.bands[a].offsets()[index];
        let allowance = self.settings.rounding(self.settings.quantiles[index]);
        let steps = self.point.iter().zip(self.horizons.places());
        steps.map(move |(y, place)| {
            let limit = y + place.blend(offset);
            self.settings.bounds.clip(limit + allowance * limit.abs())
        })
    }

    /// The model with at least half of the weight at the end of the horizon, else `pool`.
    pub(crate) fn leader(&self) -> &str {
        let count = self.members.len();
        let weights = &self.weights[self.weights.len() - count..];
        let leader = weights.iter().position(|&weight| weight >= 0.5);
        leader.map_or("pool", |m| self.members[m].name())
    }

    /// Each member's name, weight and loss at the end of the horizon.
    pub(crate) fn standings(&self) -> impl Iterator<Item = (&str, f64, Option<f64>)> {
        let start = self.weights.len() - self.members.len();
        let places = self.members.iter().zip(start..);
        places.map(|(model, i)| (model.name(), self.weights[i], self.standings[i].loss(ERRORS_MIN)))
    }

    /// By member, why it was dropped.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (usize, &str)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(m, model)| Some((m, model.fault()?)))
    }

    pub(crate) fn set_bounds(&mut self, bounds: Bounds) {
        self.settings.bounds = bounds;
    }

    pub(crate) fn steps(&self) -> usize {
        self.horizons.steps()
    }
}

//! Loads of single keys.

use std::hash::RandomState;

use foreshift_wire::{KeyReport, NodeId, SessionId};
use hashbrown::{HashMap, hash_map::Entry};

use super::{UnitKind, UnitRate};
use crate::smooth::{Smooth, Tick};

/// By session.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    known: HashMap<SessionId, Known, RandomState>,
}

/// What is known of a key.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) key: Box<str>,
    pub(super) node: NodeId,
    open: u32,
    smooth: Smooth,
}

impl Keys {
    pub(super) fn observe(&mut self, report: &KeyReport, tick: &Tick) {
        let known = match self.known.entry(report.session) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Known {
                key: report.key.as_str().into(),
                node: report.node.clone(),
                open: 0,
                smooth: Smooth::default(),
            }),
        };
        if known.node != report.node {
            known.node = report.node.clone();
        }
        known.open = report.open;
        let certain = report.requests.saturating_sub(report.error);
        let rates = tick.rates(certain, report.bytes, report.busy_us);
        known.smooth.observe(rates, tick);
    }

    /// Drops the lightest where there are too many, and some more, so that it is not needed every tick.
    pub(super) fn trim(&mut self, max: usize, now_ms: u64, constant_ms: f64) {
        if self.known.len() <= max {
            return;
        }
        let weight = |known: &Known| {
            let [requests, _, in_flight] = known.smooth.rates(now_ms, constant_ms);
            requests + in_flight
        };
        let keep = max - max / 4;
        let mut weights: Vec<f64> = self.known.values().map(weight).collect();
        let excess = weights.len() - keep;
        let (_, limit, _) = weights.select_nth_unstable_by(excess - 1, f64::total_cmp);
        let limit = *limit;
        // Of those that weigh exactly as much as the limit, some may stay.
        let mut excess = excess;
        self.known.retain(|_, known| {
            let goes = excess > 0 && weight(known) <= limit;
            excess -= usize::from(goes);
            !goes
        });
    }

    pub(super) fn sweep(&mut self, now_ms: u64, idle_ms: u64) {
        self.known
            .retain(|_, known| known.smooth.silent_ms(now_ms) < idle_ms);
    }

    pub(super) fn clamp(&mut self, now_ms: u64) {
        self.known
            .values_mut()
            .for_each(|known| known.smooth.clamp(now_ms));
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Known> {
        self.known.get(&session)
    }

    pub(super) fn rate(&self, session: SessionId, now_ms: u64, constant_ms: f64) -> Option<UnitRate> {
        let known = self.get(session)?;
        Some(UnitRate::new(known.smooth.rates(now_ms, constant_ms), known.open))
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn iter(
        &self,
        now_ms: u64,
        constant_ms: f64,
    ) -> impl Iterator<Item = (UnitKind, UnitRate)> + '_ {
        self.known.iter().map(move |(session, known)| {
            let rate = UnitRate::new(known.smooth.rates(now_ms, constant_ms), known.open);
            (UnitKind::Key(*session), rate)
        })
    }
}

//! What was left alone, and why: bounded, whatever the number of units.

use foreshift_wire::{NodeState, Stay, StayReason};

use super::{
    scores::Scores,
    settings::PlannerSettings,
    view::{PlanUnit, PlanView},
};

/// Units of one source that stay: the heaviest by name, all of them by weight.
pub(super) struct Held {
    /// Load, unit, reason; heaviest first.
    heaviest: Vec<(f64, usize, StayReason)>,
    heaviest_max: usize,
    /// Load and number held back by each reason.
    sums: Vec<(StayReason, f64, u32)>,
}

impl Held {
    pub(super) fn new(heaviest_max: usize) -> Self {
        Self {
            heaviest: Vec::new(),
            heaviest_max,
            sums: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, index: usize, unit: &PlanUnit, reason: StayReason) {
        let load = if unit.load.is_finite() { unit.load } else { 0.0 };
        match self.sums.iter_mut().find(|(known, _, _)| *known == reason) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + load, *count + 1),
            None => self.sums.push((reason, load, 1)),
        }
        let rank = self.heaviest.partition_point(|(other, _, _)| *other >= load);
        if rank < self.heaviest_max {
            self.heaviest.truncate(self.heaviest_max - 1);
            self.heaviest.insert(rank, (load, index, reason));
        }
    }

    pub(super) fn has(&self, reason: StayReason) -> bool {
        self.sums.iter().any(|(known, _, _)| *known == reason)
    }

    /// The reason that holds back most load.
    pub(super) fn main_reason(&self) -> Option<StayReason> {
        let heavier = |a: &&(StayReason, f64, u32), b: &&(StayReason, f64, u32)| {
            a.1.total_cmp(&b.1).then(a.2.cmp(&b.2))
        };
        self.sums.iter().max_by(heavier).map(|(reason, _, _)| *reason)
    }

    pub(super) fn tell(&self, view: &PlanView<'_>, node: usize, stays: &mut Vec<Stay>) {
        stays.extend(self.heaviest.iter().map(|(_, index, reason)| Stay {
            node: view.nodes[node].id.clone(),
            unit: Some(view.units[*index].unit.clone()),
            reason: *reason,
        }));
    }
}

/// The stays of ready nodes that are no source.
pub(super) fn of_quiet_nodes(
    view: &PlanView<'_>,
    scores: &Scores,
    settings: &PlannerSettings,
    is_source: impl Fn(usize) -> bool,
) -> Vec<Stay> {
    let quiet = (0..view.nodes.len()).filter(|n| view.nodes[*n].state == NodeState::Ready && !is_source(*n));
    let reason = |n: usize| match scores.expected[n] {
        None => StayReason::TooYoung,
        Some(score) if score > settings.load_threshold => StayReason::WithinDeadZone,
        Some(_) => StayReason::UnderThreshold,
    };
    quiet
        .map(|n| Stay {
            node: view.nodes[n].id.clone(),
            unit: None,
            reason: reason(n),
        })
        .collect()
}

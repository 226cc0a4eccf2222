//! Decides which units leave which node, and where to, before it is overloaded.
//!
//! Greedy, worst node first, one unit at a time, each to the least loaded place as it will be after all that the
//! plan has assigned so far. An optimal assignment would be out of date by the time it was found; what matters is
//! that no round does harm, so the brakes come first: a dead zone around the pool's mean, half of the excess a
//! round, a limit on moves, one move a unit and interval, no way back along a pair of nodes, gain over cost, and
//! never a target over the goal. What is left alone says why.
//!
//! A quarter of a round's moves is kept for draining nodes while there are any. It makes no forecast, keeps no
//! time and carries nothing out: [`History`] is told what was.

mod history;
mod load;
mod recent;
mod scores;
mod settings;
mod source;
mod stays;
mod targets;
mod view;

use std::collections::{HashMap, HashSet};

use foreshift_wire::{Move, MoveId, MoveState, NodeId, Plan, StayReason, Unit};
use rand::Rng;

pub use history::History;
pub use settings::PlannerSettings;
pub use view::{Bottleneck, Demand, PlanNode, PlanUnit, PlanView, Predicted};

use recent::within;
use scores::Scores;
use source::{Source, Step};
use targets::Targets;

/// Decides what to move now. Moves are in the order in which they should be carried out, in state `advised`;
/// `benefit` and `cost` are in score points of the node that is relieved.
///
/// Nodes of which too little is known are neither relieved nor filled. At most `excess_share` of a node's excess
/// leaves it, except that where each of its units is more than that, the lightest one that finds a place goes.
///
/// Deterministic for a seed: `rng` only breaks ties between equally loaded targets. O(nodes + units + moves), and a
/// logarithm; a unit asks all targets at worst, and no more than 256 units of a plan do so in vain.
pub fn plan(
    now_ms: u64,
    view: &PlanView<'_>,
    history: &History,
    settings: &PlannerSettings,
    rng: &mut impl Rng,
) -> Plan {
    let scores = Scores::new(now_ms, view.nodes, history, settings);
    let targets = Targets::new(view.nodes, &scores, settings, rng);
    let mut round = Round::new(now_ms, view, history, settings, targets);
    let mut sources = round.sources(&scores);

    let all = settings.max_moves_per_tick as usize;
    let kept = if sources.iter().any(Source::drains) {
        all.div_ceil(4)
    } else {
        0
    };
    round.run(&mut sources, false, all - kept);
    round.run(&mut sources, true, all);
    round.run(&mut sources, false, all);

    let is_source = |node: usize| sources.binary_search_by_key(&node, |source| source.node).is_ok();
    let mut stays = stays::of_quiet_nodes(view, &scores, settings, is_source);
    sources
        .into_iter()
        .for_each(|source| source.tell(&round, &mut stays));
    Plan {
        moves: round.moves,
        stays,
    }
}

/// A plan in the making.
struct Round<'a> {
    now_ms: u64,
    view: &'a PlanView<'a>,
    history: &'a History,
    settings: &'a PlannerSettings,
    targets: Targets<'a>,
    moves: Vec<Move>,
    /// Buckets that move whole in this plan, and those of which single keys do. A key does not go twice, once by
    /// itself and once with its bucket.
    whole: HashSet<u16>,
    broken: HashSet<u16>,
}

impl<'a> Round<'a> {
    fn new(
        now_ms: u64,
        view: &'a PlanView<'a>,
        history: &'a History,
        settings: &'a PlannerSettings,
        targets: Targets<'a>,
    ) -> Self {
        let (whole, broken) = (HashSet::new(), HashSet::new());
        Self {
            now_ms,
            view,
            history,
            settings,
            targets,
            moves: Vec::new(),
            whole,
            broken,
        }
    }

    /// Every source with its units, by node.
    fn sources(&self, scores: &Scores) -> Vec<Source> {
        let nodes = self.view.nodes;
        let mut sources: Vec<_> = (0..nodes.len())
            .filter_map(|n| Source::of(self, scores, n))
            .collect();
        if sources.is_empty() {
            return sources;
        }
        let mut place = vec![None; nodes.len()];
        sources
            .iter()
            .enumerate()
            .for_each(|(n, source)| place[source.node] = Some(n));
        let mut units = vec![Vec::new(); sources.len()];
        for (n, unit) in self.view.units.iter().enumerate() {
            if let Some(source) = place.get(usize::from(unit.node.0)).copied().flatten() {
                units[source].push(n);
            }
        }
        let count = sources.len();
        let senders = self.senders(&place, count);
        for ((source, units), senders) in sources.iter_mut().zip(units).zip(senders) {
            source.prepare(self, count, units, senders);
        }
        sources
    }

    /// For each source, the nodes from which something came within the interval.
    fn senders(&self, place: &[Option<usize>], sources: usize) -> Vec<Vec<usize>> {
        let index: HashMap<&NodeId, usize> = self.view.nodes.iter().map(|node| &node.id).zip(0..).collect();
        let mut senders = vec![Vec::new(); sources];
        for (from, to) in self
            .history
            .pairs(self.now_ms, self.settings.migration_interval_ms)
        {
            let source = index.get(to).and_then(|to| place[*to]);
            if let (Some(source), Some(from)) = (source, index.get(from)) {
                senders[source].push(*from);
            }
        }
        senders
    }

    /// Takes a step from the worst source, again and again, until none is left or there are `limit` moves.
    fn run(&mut self, sources: &mut [Source], drains: bool, limit: usize) {
        while self.moves.len() < limit {
            let open = sources
                .iter_mut()
                .filter(|source| !source.done && source.drains() == drains);
            let Some(worst) = open.max_by(|a, b| a.score.total_cmp(&b.score)) else {
                break;
            };
            if let Some(step) = worst.next(self) {
                worst.took(&self.view.units[step.unit]);
                self.take(worst, &step);
            }
        }
    }

    fn take(&mut self, source: &Source, step: &Step) {
        let unit = &self.view.units[step.unit];
        let rank = self.moves.len();
        self.targets.fill(&step.place);
        match &unit.unit {
            Unit::Key { session, .. } => self.broken.insert(session.bucket()),
            Unit::Bucket { bucket } => self.whole.insert(*bucket),
        };
        self.moves.push(Move {
            id: MoveId(self.view.next_move.0.saturating_add(rank as u64)),
            pool: self.view.pool.clone(),
            unit: unit.unit.clone(),
            from: self.view.nodes[source.node].id.clone(),
            to: self.view.nodes[step.place.node].id.clone(),
            reason: source.reason.clone(),
            benefit: unit.load.max(0.0),
            cost: step.cost,
            priority: rank as u32,
            planned_ms: self.now_ms,
            state: MoveState::Advised,
            outcome: None,
        });
    }

    /// What forbids moving the unit, wherever to and whatever it gains.
    fn may_move(&self, unit: &PlanUnit) -> Result<(), StayReason> {
        let (now, interval) = (self.now_ms, self.settings.migration_interval_ms);
        if unit.pinned {
            Err(StayReason::Pinned)
        } else if unit.moving || self.moves_otherwise(&unit.unit) {
            Err(StayReason::AlreadyMoving)
        } else if self.history.backing_off(now, &unit.unit, self.settings) {
            Err(StayReason::BackingOff)
        } else if unit.last_moved_ms.is_some_and(|at| within(now, at, interval))
            || self.history.moved_within(now, &unit.unit, interval)
        {
            Err(StayReason::CoolingDown)
        } else {
            Ok(())
        }
    }

    /// True where this plan moves a key's bucket, or one of a bucket's keys.
    fn moves_otherwise(&self, unit: &Unit) -> bool {
        match unit {
            Unit::Key { session, .. } => self.whole.contains(&session.bucket()),
            Unit::Bucket { bucket } => self.broken.contains(bucket),
        }
    }
}

#[cfg(test)]
mod tests;

//! A node that gives units away: one over the threshold, or one that is being drained.

use foreshift_wire::{MoveReason, NodeState, Stay, StayReason};

use super::{
    Round, load,
    scores::{self, Scores},
    stays::Held,
    targets::{Place, Search, Targets},
    view::PlanUnit,
};

/// Searches of a plan that may find no place, shared out among its sources: each asks all targets.
const SEARCHES_IN_VAIN_MAX: usize = 256;

pub(super) struct Source {
    pub(super) node: usize,
    pub(super) reason: MoveReason,
    /// Expected score, less what this plan moves away.
    pub(super) score: f64,
    /// True once no unit of it can go this round.
    pub(super) done: bool,
    /// No target may come over it.
    limit: f64,
    /// Likely score, less what this plan moves away: no target may come over that either, or the node that is
    /// only feared for would be emptied into one that is fuller.
    likely: f64,
    /// Points that may still leave this round.
    budget: f64,
    moves: u32,
    /// Units, most load per disruption first, and how far they were gone through.
    units: Vec<usize>,
    at: usize,
    /// Units that would overdraw the budget.
    too_big: Vec<usize>,
    cost_per_disruption: f64,
    /// Nodes that sent something here within the interval, sorted.
    senders: Vec<usize>,
    /// Loads over this find no room.
    room: f64,
    /// Searches that may still find no place before it gives up for this round.
    searches: usize,
    held: Held,
}

/// A unit that may go, and where.
pub(super) struct Step {
    pub(super) unit: usize,
    pub(super) place: Place,
    pub(super) cost: f64,
}

impl Source {
    /// The source that `node` is, if it is one.
    pub(super) fn of(round: &Round<'_>, scores: &Scores, node: usize) -> Option<Self> {
        let settings = round.settings;
        let (limit, reason) = match round.view.nodes[node].state {
            NodeState::Draining => (settings.goal(), MoveReason::Drain),
            NodeState::Ready => {
                let reason = scores
                    .is_over(node, settings)
                    .then(|| scores::reason(&round.view.nodes[node], settings))?;
                (settings.goal().min(scores.dead_zone), reason)
            }
            NodeState::Joining | NodeState::Down => return None,
        };
        let score = scores.expected[node].unwrap_or(0.0);
        let drains = reason == MoveReason::Drain;
        let budget = if drains {
            f64::INFINITY
        } else {
            settings.excess_share * (score - settings.goal())
        };
        Some(Self {
            node,
            reason,
            score,
            done: false,
            limit,
            likely: if drains {
                f64::INFINITY
            } else {
                scores.likely[node].unwrap_or(0.0)
            },
            budget,
            moves: 0,
            units: Vec::new(),
            at: 0,
            too_big: Vec::new(),
            cost_per_disruption: 0.0,
            senders: Vec::new(),
            room: f64::INFINITY,
            searches: 0,
            held: Held::new(settings.stays_per_node),
        })
    }

    pub(super) fn drains(&self) -> bool {
        self.reason == MoveReason::Drain
    }

    /// Gives the source its units and what else it needs to judge them.
    pub(super) fn prepare(
        &mut self,
        round: &Round<'_>,
        sources: usize,
        units: Vec<usize>,
        senders: Vec<usize>,
    ) {
        self.searches = (SEARCHES_IN_VAIN_MAX / sources).max(2);
        let (view, settings) = (round.view, round.settings);
        let disruption = |n: &usize| load::disruption(&view.units[*n], settings);
        let all: f64 = units.iter().map(disruption).sum();
        let streams: u64 = units.iter().map(|n| u64::from(view.units[*n].open_streams)).sum();
        // Shares of the node where its streams are known, else of what the view shows of it.
        let (score, all) = match view.nodes[self.node].open_streams {
            Some(open) => (self.score, all + open.saturating_sub(streams) as f64),
            None => (units.iter().map(|n| view.units[*n].load.max(0.0)).sum(), all),
        };
        self.cost_per_disruption = settings.disruption_weight * score / all;
        let mut ranked: Vec<_> = units
            .into_iter()
            .map(|n| (view.units[n].load / disruption(&n), n))
            .collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.units = ranked.into_iter().map(|(_, n)| n).collect();
        self.senders = senders;
        self.senders.sort_unstable();
        self.room = round.targets.room(&self.search());
    }

    fn search(&self) -> Search<'_> {
        Search {
            from: self.node,
            limit: self.limit.min(self.likely),
            senders: &self.senders,
        }
    }

    /// The next unit that goes, if any does.
    pub(super) fn next(&mut self, round: &Round<'_>) -> Option<Step> {
        while let Some(n) = self.units.get(self.at).copied() {
            self.at += 1;
            let unit = &round.view.units[n];
            match self.judge(round, unit) {
                Ok(_) if unit.load > self.budget => self.too_big.push(n),
                Ok(cost) => match self.find(&round.targets, unit) {
                    Ok(place) => return Some(Step { unit: n, place, cost }),
                    Err(reason) => self.held.add(n, unit, reason),
                },
                Err(reason) => self.held.add(n, unit, reason),
            }
        }
        let whole = self.indivisible(round);
        self.done = whole.is_none();
        whole
    }

    /// Where every unit is more than the budget: the lightest that finds a place, or the node would never be relieved.
    fn indivisible(&mut self, round: &Round<'_>) -> Option<Step> {
        let load = |n: &usize| round.view.units[*n].load;
        let mut too_big = std::mem::take(&mut self.too_big);
        too_big.sort_by(|a, b| load(a).total_cmp(&load(b)));
        let mut found = None;
        for n in too_big {
            let unit = &round.view.units[n];
            if self.moves > 0 || found.is_some() {
                self.held.add(n, unit, StayReason::EnoughMoved);
                continue;
            }
            match self.find(&round.targets, unit) {
                Ok(place) => {
                    let cost = load::disruption(unit, round.settings) * self.cost_per_disruption;
                    found = Some(Step { unit: n, place, cost });
                }
                Err(reason) => self.held.add(n, unit, reason),
            }
        }
        found
    }

    /// The unit's cost, or what forbids moving it wherever to.
    fn judge(&self, round: &Round<'_>, unit: &PlanUnit) -> Result<f64, StayReason> {
        round.may_move(unit)?;
        let cost = load::disruption(unit, round.settings) * self.cost_per_disruption;
        if self.drains() || unit.load > round.settings.gain_factor * cost {
            Ok(cost)
        } else {
            Err(StayReason::CostsMoreThanItGains)
        }
    }

    fn find(&mut self, targets: &Targets<'_>, unit: &PlanUnit) -> Result<Place, StayReason> {
        if unit.load > self.room || self.searches == 0 {
            return Err(StayReason::NoRoom);
        }
        let place = targets.find(unit, &self.search());
        if place.is_err() {
            self.searches -= 1;
            self.room = targets.room(&self.search());
        }
        place
    }

    /// Counts a step that was taken.
    pub(super) fn took(&mut self, unit: &PlanUnit) {
        let load = unit.load.max(0.0);
        self.moves += 1;
        self.score -= load;
        self.likely -= load;
        self.budget -= load;
    }

    /// Tells what stays, and why the node itself is not relieved further.
    pub(super) fn tell(mut self, round: &Round<'_>, stays: &mut Vec<Stay>) {
        for n in self
            .units
            .split_off(self.at)
            .into_iter()
            .chain(std::mem::take(&mut self.too_big))
        {
            let unit = &round.view.units[n];
            self.held.add(
                n,
                unit,
                round.may_move(unit).err().unwrap_or(StayReason::MoveLimit),
            );
        }
        if let Some(reason) = self.node_reason(round) {
            stays.push(Stay {
                node: round.view.nodes[self.node].id.clone(),
                unit: None,
                reason,
            });
        }
        self.held.tell(round.view, self.node, stays);
    }

    fn node_reason(&self, round: &Round<'_>) -> Option<StayReason> {
        let relieved = !self.drains() && self.score <= round.settings.goal();
        if relieved || (self.drains() && self.moves > 0 && self.held.main_reason().is_none()) {
            return None;
        }
        if self.held.has(StayReason::MoveLimit) {
            return Some(StayReason::MoveLimit);
        }
        if self.moves > 0 && self.held.has(StayReason::EnoughMoved) {
            return Some(StayReason::EnoughMoved);
        }
        Some(self.held.main_reason().unwrap_or(StayReason::NothingToMove))
    }
}

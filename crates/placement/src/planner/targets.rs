//! Where a unit could go: the nodes with room, least loaded first.

use std::collections::BTreeSet;

use foreshift_wire::{NodeState, StayReason};
use rand::Rng;

use super::{
    load,
    scores::Scores,
    settings::PlannerSettings,
    view::{PlanNode, PlanUnit},
};

/// The nodes that may be given something, kept in order while a plan fills them.
pub(super) struct Targets<'a> {
    nodes: &'a [PlanNode],
    /// Likely score (its bits: scores are never negative, so they sort as numbers do), a random tie-break, node.
    by_score: BTreeSet<(u64, u32, usize)>,
    /// The same scores by node; 0 where the node is no target.
    scores: Vec<f64>,
    ties: Vec<u32>,
    zone_preference: f64,
}

/// From where, and up to which score.
pub(super) struct Search<'a> {
    pub(super) from: usize,
    /// No target may come over it.
    pub(super) limit: f64,
    /// Nodes that units came from lately, sorted: nothing goes back there.
    pub(super) senders: &'a [usize],
}

/// A place for one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) node: usize,
    /// The node's likely score with the unit.
    after: f64,
}

impl<'a> Targets<'a> {
    pub(super) fn new(
        nodes: &'a [PlanNode],
        scores: &Scores,
        settings: &PlannerSettings,
        rng: &mut impl Rng,
    ) -> Self {
        // Drawn for every node, so that the seed's course does not hang on which ones have room.
        let ties: Vec<u32> = nodes.iter().map(|_| rng.next_u32()).collect();
        let room = |n: usize| {
            scores.likely[n].filter(|score| *score < settings.goal() && !scores.is_over(n, settings))
        };
        let ready = (0..nodes.len()).filter(|n| nodes[*n].state == NodeState::Ready);
        let by_score = ready
            .filter_map(|n| Some((room(n)?.to_bits(), ties[n], n)))
            .collect();
        let scores = scores.likely.iter().map(|score| score.unwrap_or(0.0)).collect();
        Self {
            nodes,
            by_score,
            scores,
            ties,
            zone_preference: settings.zone_preference,
        }
    }

    /// The place with the least score after the move. Within `zone_preference` points of it, one in the unit's own
    /// zone is taken: state and clients stay near. (Zones are not evened out: a key has one copy, so no spread saves it.)
    pub(super) fn find(&self, unit: &PlanUnit, search: &Search<'_>) -> Result<Place, StayReason> {
        let from = &self.nodes[search.from];
        let (mut best, mut near): (Option<Place>, Option<Place>) = (None, None);
        let mut reason = StayReason::NoRoom;
        for (bits, _, node) in &self.by_score {
            let likely = f64::from_bits(*bits);
            let enough = best.is_some_and(|best| likely >= best.after + self.zone_preference);
            if likely >= search.limit || enough {
                break;
            }
            let to = &self.nodes[*node];
            let arriving = load::arriving(unit, to, load::ratio(from, to));
            let place = Place {
                node: *node,
                after: likely + arriving,
            };
            if place.after > search.limit || *node == search.from {
                continue;
            }
            if search.senders.binary_search(node).is_ok() {
                reason = StayReason::WouldPingPong;
                continue;
            }
            let better = |than: &Option<Place>| than.is_none_or(|than| place.after < than.after);
            if better(&best) {
                best = Some(place);
            }
            if to.zone == from.zone && better(&near) {
                near = Some(place);
            }
        }
        let best = best.ok_or(reason)?;
        Ok(near
            .filter(|near| near.after <= best.after + self.zone_preference)
            .unwrap_or(best))
    }

    /// The heaviest load, in points of `from`, that could find a place by its bottleneck alone. Room only
    /// shrinks within a plan, so what is heavier need not be looked for again.
    pub(super) fn room(&self, search: &Search<'_>) -> f64 {
        let from = &self.nodes[search.from];
        let room = |(bits, _, node): &(u64, u32, usize)| {
            (search.limit - f64::from_bits(*bits)) / load::ratio(from, &self.nodes[*node])
        };
        self.by_score.iter().map(room).fold(0.0, f64::max)
    }

    /// Counts a unit to its place.
    pub(super) fn fill(&mut self, place: &Place) {
        let (node, tie) = (place.node, self.ties[place.node]);
        self.by_score.remove(&(self.scores[node].to_bits(), tie, node));
        self.by_score.insert((place.after.to_bits(), tie, node));
        self.scores[node] = place.after;
    }
}

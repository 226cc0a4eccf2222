//! Random clusters, and what a plan does to them: a plain model to hold the planner against.

use std::collections::HashMap;

use foreshift_placement::{
    Bottleneck, Demand, History, NodeIndex, PlanNode, PlanUnit, PlanView, PlannerSettings, Predicted,
};
use foreshift_wire::{
    Capacity, Move, MoveId, MoveReason, MoveState, NodeId, NodeState, Plan, PoolName, SessionId, Unit,
};
use proptest::prelude::*;
use rand::SeedableRng;

pub(crate) fn rng(seed: u64) -> rand_pcg::Pcg64 {
    rand_pcg::Pcg64::seed_from_u64(seed)
}

pub(crate) fn id(n: usize) -> NodeId {
    NodeId::new(&format!("n{n}")).expect("a plain name")
}

/// Something that happened before: unit, from, to, age, and whether it failed.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    unit: usize,
    from: usize,
    to: usize,
    age_ms: u64,
    failed: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) pool: PoolName,
    pub(crate) nodes: Vec<PlanNode>,
    pub(crate) units: Vec<PlanUnit>,
    pub(crate) past: Vec<Past>,
    pub(crate) settings: PlannerSettings,
}

impl Cluster {
    pub(crate) fn view(&self) -> PlanView<'_> {
        PlanView {
            pool: &self.pool,
            nodes: &self.nodes,
            units: &self.units,
            next_move: MoveId(700),
        }
    }

    pub(crate) fn index(&self, id: &NodeId) -> usize {
        self.nodes
            .iter()
            .position(|node| node.id == *id)
            .expect("a plan names only nodes of its view")
    }

    pub(crate) fn unit(&self, unit: &Unit) -> &PlanUnit {
        self.units
            .iter()
            .find(|u| u.unit == *unit)
            .expect("a plan names only units of its view")
    }

    pub(crate) fn history(&self, now_ms: u64) -> History {
        let mut history = History::new(&self.settings);
        for past in &self.past {
            let of = Move {
                id: MoveId(1),
                pool: self.pool.clone(),
                unit: self.units[past.unit].unit.clone(),
                from: id(past.from),
                to: id(past.to),
                reason: MoveReason::Operator,
                // Nothing unseen: scores in these laws are what they are.
                benefit: 0.0,
                cost: 0.0,
                priority: 0,
                planned_ms: now_ms - past.age_ms,
                state: MoveState::Moving,
                outcome: None,
            };
            history.started(&of, &self.view());
            if past.failed {
                history.failed(now_ms - past.age_ms, &of, &self.view());
            }
        }
        history
    }

    fn past_of<'a>(&'a self, unit: &'a Unit) -> impl Iterator<Item = &'a Past> {
        self.past
            .iter()
            .filter(move |past| self.units[past.unit].unit == *unit)
    }

    /// By the newest record: a failed move did not move it.
    pub(crate) fn moved_lately(&self, now_ms: u64, unit: &Unit) -> bool {
        let newest = self
            .past_of(unit)
            .last()
            .is_some_and(|past| !past.failed && past.age_ms < self.settings.migration_interval_ms);
        let known = self
            .unit(unit)
            .last_moved_ms
            .is_some_and(|at| now_ms - at < self.settings.migration_interval_ms);
        newest || known
    }

    pub(crate) fn failed_lately(&self, unit: &Unit) -> bool {
        self.past_of(unit)
            .any(|past| past.failed && past.age_ms < self.settings.back_off_ms)
    }

    pub(crate) fn went_lately(&self, (from, to): &(NodeId, NodeId)) -> bool {
        let lately = |past: &Past| past.age_ms < self.settings.migration_interval_ms;
        self.past
            .iter()
            .any(|past| lately(past) && id(past.from) == *from && id(past.to) == *to)
    }

    /// The score that counts for each node: the higher of now and predicted, or now alone where gated.
    pub(crate) fn expected(&self) -> Vec<Option<f64>> {
        self.highest(|p| p.peak)
    }

    /// The same for a place to move to.
    pub(crate) fn likely(&self) -> Vec<Option<f64>> {
        self.highest(|p| p.likely)
    }

    fn highest(&self, path: fn(&Predicted) -> f64) -> Vec<Option<f64>> {
        let predicted = |node: &PlanNode| node.predicted.filter(|_| !node.gated).map(|p| path(&p));
        self.nodes
            .iter()
            .map(|node| match (node.score_now, predicted(node)) {
                (Some(now), Some(predicted)) => Some(now.max(predicted)),
                (now, predicted) => now.or(predicted),
            })
            .collect()
    }

    pub(crate) fn expected_after(&self, plan: &Plan) -> Vec<Option<f64>> {
        self.after(self.expected(), plan)
    }

    pub(crate) fn likely_after(&self, plan: &Plan) -> Vec<Option<f64>> {
        self.after(self.likely(), plan)
    }

    fn after(&self, mut scores: Vec<Option<f64>>, plan: &Plan) -> Vec<Option<f64>> {
        for m in &plan.moves {
            let (from, to) = (self.index(&m.from), self.index(&m.to));
            let load = self.unit(&m.unit).load;
            scores[from] = scores[from].map(|score| score - load);
            scores[to] = scores[to].map(|score| score + load * self.ratio(from, to));
        }
        scores
    }

    fn ratio(&self, from: usize, to: usize) -> f64 {
        self.nodes[from].weight / self.nodes[to].weight
    }

    pub(crate) fn dead_zone(&self) -> f64 {
        let scores = self.expected();
        let ready = self
            .nodes
            .iter()
            .zip(scores)
            .filter(|(node, _)| node.state == NodeState::Ready);
        let known: Vec<f64> = ready.filter_map(|(_, score)| score).collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64 * (1.0 + self.settings.dead_zone)
    }

    /// Units change their node; scores do not follow.
    pub(crate) fn relocate(&mut self, plan: &Plan) {
        let place: HashMap<Unit, (usize, usize)> = plan
            .moves
            .iter()
            .map(|m| (m.unit.clone(), (self.index(&m.from), self.index(&m.to))))
            .collect();
        for n in 0..self.units.len() {
            if let Some((from, to)) = place.get(&self.units[n].unit) {
                self.units[n].node = NodeIndex(*to as u16);
                self.units[n].load *= self.ratio(*from, *to);
            }
        }
    }

    /// Units change their node, and scores and forecasts show it at once.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        for m in &plan.moves {
            let (from, to) = (self.index(&m.from), self.index(&m.to));
            let load = self.unit(&m.unit).load;
            self.add(from, -load);
            self.add(to, load * self.ratio(from, to));
        }
        self.relocate(plan);
    }

    fn add(&mut self, node: usize, points: f64) {
        let node = &mut self.nodes[node];
        node.score_now = node.score_now.map(|score| score + points);
        node.predicted = node.predicted.map(|p| Predicted {
            peak: p.peak + points,
            likely: p.likely + points,
            ..p
        });
    }
}

fn any_state() -> impl Strategy<Value = NodeState> {
    prop_oneof![
        12 => Just(NodeState::Ready),
        1 => Just(NodeState::Draining),
        1 => Just(NodeState::Down),
        1 => Just(NodeState::Joining),
    ]
}

prop_compose! {
    fn any_node()(
        state in any_state(),
        zone in 0..3_u8,
        weight in prop_oneof![2 => Just(1.0), 1 => 0.25..4.0_f64],
        now in prop::option::weighted(0.9, 0.0..110.0_f64),
        peak in prop::option::weighted(0.8, 0.0..130.0_f64),
        likely in prop_oneof![1 => Just(1.0), 2 => 0.2..1.0_f64],
        gated in prop::bool::weighted(0.2),
        // None: only the units count.
        open_streams in prop::option::of(10..2_000_u64),
    ) -> PlanNode {
        PlanNode {
            id: id(0),
            state,
            zone: format!("z{zone}"),
            weight,
            capacity: Capacity::default(),
            bottleneck: Bottleneck::Relative,
            open_streams,
            score_now: now,
            predicted: peak.map(|peak| Predicted {
                peak,
                likely: likely * peak,
                crosses_in_ms: Some(3_000),
            }),
            gated,
        }
    }
}

prop_compose! {
    fn any_unit(nodes: usize)(
        node in 0..nodes,
        load in prop_oneof![6 => 0.0..3.0_f64, 1 => 3.0..40.0_f64],
        state_bytes in prop_oneof![3 => Just(0), 1 => 0..50_000_000_u64],
        open_streams in prop_oneof![3 => 0..3_u32, 1 => 0..200_u32],
        age_ms in prop::option::weighted(0.2, 0..60_000_u64),
        pinned in prop::bool::weighted(0.05),
        moving in prop::bool::weighted(0.05),
    ) -> PlanUnit {
        PlanUnit {
            unit: Unit::Bucket { bucket: 0 },
            node: NodeIndex(node as u16),
            load,
            demand: Demand::default(),
            state_bytes,
            open_streams,
            last_moved_ms: age_ms.map(|age| 1_000_000 - age),
            pinned,
            moving,
        }
    }
}

prop_compose! {
    fn any_past(nodes: usize, units: usize)(
        unit in 0..units, from in 0..nodes, to in 0..nodes, age_ms in 0..60_000_u64, failed in any::<bool>(),
    ) -> Past {
        Past { unit, from, to, age_ms, failed }
    }
}

prop_compose! {
    fn any_settings()(
        load_threshold in 50.0..95.0_f64,
        headroom in 0.0..15.0_f64,
        dead_zone in 0.0..0.5_f64,
        excess_share in 0.1..1.0_f64,
        max_moves_per_tick in prop_oneof![0..20_u32, Just(200)],
        stays_per_node in 0..10_usize,
    ) -> PlannerSettings {
        PlannerSettings {
            load_threshold, headroom, dead_zone, excess_share, max_moves_per_tick, stays_per_node,
            ..PlannerSettings::default()
        }
    }
}

/// Numbers nodes and units, keys and buckets by turns. No key lies in a bucket that is a unit too.
fn numbered(mut nodes: Vec<PlanNode>, mut units: Vec<PlanUnit>) -> (Vec<PlanNode>, Vec<PlanUnit>) {
    nodes.iter_mut().enumerate().for_each(|(n, node)| node.id = id(n));
    for (n, unit) in units.iter_mut().enumerate() {
        unit.unit = if n % 2 == 0 {
            Unit::Bucket { bucket: n as u16 }
        } else {
            Unit::Key {
                session: SessionId((60_000 + n as u128) << 112),
                key: format!("k{n}"),
            }
        };
    }
    (nodes, units)
}

/// Anything at all.
pub(crate) fn any_cluster() -> impl Strategy<Value = Cluster> {
    (2..12_usize, 1..120_usize).prop_flat_map(|(nodes, units)| {
        let past = prop::collection::vec(any_past(nodes, units), 0..20);
        let units = prop::collection::vec(any_unit(nodes), units);
        (
            prop::collection::vec(any_node(), nodes),
            units,
            past,
            any_settings(),
        )
            .prop_map(|(nodes, units, mut past, settings)| {
                let (nodes, units) = numbered(nodes, units);
                past.sort_by_key(|past| std::cmp::Reverse(past.age_ms));
                Cluster {
                    pool: PoolName::new("app").expect("a name"),
                    nodes,
                    units,
                    past,
                    settings,
                }
            })
    })
}

/// Ready nodes of one size whose load is all in small units, and comes to at most 80 % of the goal on average.
pub(crate) fn calm_cluster() -> impl Strategy<Value = Cluster> {
    let loads = prop::collection::vec((0.5..2.0_f64, any::<prop::sample::Index>(), 0..3_u32), 20..400);
    (2..10_usize, loads, 1..4_usize).prop_map(|(count, loads, skew)| {
        let node = |_| PlanNode {
            id: id(0),
            state: NodeState::Ready,
            zone: String::new(),
            weight: 1.0,
            capacity: Capacity::default(),
            bottleneck: Bottleneck::Relative,
            open_streams: None,
            score_now: Some(0.0),
            predicted: Some(Predicted {
                peak: 0.0,
                likely: 0.0,
                crosses_in_ms: None,
            }),
            gated: false,
        };
        let mut total = 0.0;
        let fits = loads.into_iter().take_while(|(load, _, _)| {
            total += load;
            total <= 0.8 * 75.0 * count as f64
        });
        // The first `skew` nodes have it all.
        let units = fits.map(|(load, at, open_streams)| PlanUnit {
            unit: Unit::Bucket { bucket: 0 },
            node: NodeIndex(at.index(skew.min(count)) as u16),
            load,
            demand: Demand::default(),
            state_bytes: 0,
            open_streams,
            last_moved_ms: None,
            pinned: false,
            moving: false,
        });
        let (nodes, units) = numbered((0..count).map(node).collect(), units.collect());
        let settings = PlannerSettings::default();
        let mut cluster = Cluster {
            pool: PoolName::new("app").expect("a name"),
            nodes,
            units,
            past: Vec::new(),
            settings,
        };
        for n in 0..cluster.units.len() {
            let (node, load) = (usize::from(cluster.units[n].node.0), cluster.units[n].load);
            cluster.add(node, load);
        }
        cluster
    })
}

//! Clusters whose scores are made of signals, as real ones are: requests in flight and connections, each against a
//! capacity of its own.

use foreshift_placement::{Bottleneck, Demand, NodeIndex, PlanNode, PlanUnit, PlannerSettings};
use foreshift_wire::{Capacity, NodeState, Plan, PoolName, Unit};
use proptest::prelude::*;

use crate::cluster::{Cluster, id};

#[derive(Debug, Clone)]
pub(crate) struct Real {
    /// Slots and connections that each node has.
    sizes: Vec<(u32, u32)>,
    /// Node, requests in flight, streams.
    units: Vec<(usize, f64, u32)>,
}

impl Real {
    /// In-flight and connection scores of each node.
    fn signals(&self) -> Vec<(f64, f64)> {
        let mut signals = vec![(0.0, 0.0); self.sizes.len()];
        for (node, in_flight, streams) in &self.units {
            let (slots, connections) = self.sizes[*node];
            signals[*node].0 += in_flight / f64::from(slots) * 100.0;
            signals[*node].1 += f64::from(*streams) / f64::from(connections) * 100.0;
        }
        signals
    }

    pub(crate) fn scores(&self) -> Vec<f64> {
        self.signals().into_iter().map(|(a, b)| a.max(b)).collect()
    }

    pub(crate) fn after(&self, plan: &Plan) -> Self {
        let mut after = self.clone();
        for m in &plan.moves {
            let Unit::Bucket { bucket } = m.unit else { continue };
            let to = (0..self.sizes.len())
                .find(|n| id(*n) == m.to)
                .expect("a node of the view");
            after.units[usize::from(bucket)].0 = to;
        }
        after
    }

    pub(crate) fn cluster(&self) -> Cluster {
        let signals = self.signals();
        let node = |n: usize| PlanNode {
            id: id(n),
            state: NodeState::Ready,
            zone: String::new(),
            weight: 1.0,
            capacity: Capacity {
                requests_in_flight: Some(self.sizes[n].0),
                connections: Some(self.sizes[n].1),
                ..Capacity::default()
            },
            bottleneck: if signals[n].0 > signals[n].1 {
                Bottleneck::InFlight
            } else {
                Bottleneck::Connections
            },
            open_streams: None,
            score_now: Some(signals[n].0.max(signals[n].1)),
            predicted: None,
            gated: false,
        };
        let nodes: Vec<_> = (0..self.sizes.len()).map(node).collect();
        let unit = |(n, (node, in_flight, streams)): (usize, &(usize, f64, u32))| PlanUnit {
            unit: Unit::Bucket { bucket: n as u16 },
            node: NodeIndex(*node as u16),
            load: match nodes[*node].bottleneck {
                Bottleneck::InFlight => in_flight / f64::from(self.sizes[*node].0) * 100.0,
                _ => f64::from(*streams) / f64::from(self.sizes[*node].1) * 100.0,
            },
            demand: Demand {
                in_flight: *in_flight,
                ..Demand::default()
            },
            state_bytes: 0,
            open_streams: *streams,
            last_moved_ms: None,
            pinned: false,
            moving: false,
        };
        let units = self.units.iter().enumerate().map(unit).collect();
        let pool = PoolName::new("app").expect("a name");
        Cluster {
            pool,
            nodes,
            units,
            past: Vec::new(),
            settings: PlannerSettings::default(),
        }
    }
}

prop_compose! {
    /// The first two nodes have most units, so that one or both are over.
    pub(crate) fn any_real()(
        sizes in prop::collection::vec((16..256_u32, 50..2_000_u32), 3..10),
        units in prop::collection::vec((any::<prop::sample::Index>(), 0.0..4.0_f64, 0..60_u32, prop::bool::weighted(0.7)), 20..150),
    ) -> Real {
        let place = |at: prop::sample::Index, crowded| at.index(if crowded { 2 } else { sizes.len() });
        let units = units.into_iter().map(|(at, load, streams, crowded)| (place(at, crowded), load, streams)).collect();
        Real { sizes, units }
    }
}

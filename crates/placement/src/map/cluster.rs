//! The nodes of a map, and what follows from them alone: the ring and each bucket's home.

use foreshift_wire::{NodeId, NodeState};

use super::{Buckets, MapNode, NODES_MAX, NodeIndex, fill, ring::Ring};

#[derive(Debug)]
pub(super) struct Cluster {
    /// By id, each id once.
    pub(super) nodes: Box<[MapNode]>,
    pub(super) ring: Ring,
    /// Where hashing puts each bucket, before any plan.
    pub(super) home: Buckets,
    pub(super) factor: f64,
}

impl Cluster {
    pub(super) fn new(mut nodes: Vec<MapNode>, factor: f64) -> Self {
        // Sorted, so that the order in which they were given does not matter.
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        nodes.dedup_by(|later, first| later.id == first.id);
        nodes.truncate(NODES_MAX);
        let factor = if factor.is_finite() {
            factor.max(1.0)
        } else {
            f64::MAX
        };
        let weights: Vec<f64> = nodes.iter().map(MapNode::share).collect();
        let members: Vec<_> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.share() > 0.0)
            .map(|(n, node)| (NodeIndex(n as u16), &node.id, node.share()))
            .collect();
        let ring = Ring::new(&members);
        let home = fill::fill(&ring, &fill::caps(&weights, factor));
        Self {
            nodes: nodes.into_boxed_slice(),
            ring,
            home,
            factor,
        }
    }

    pub(super) fn index_of(&self, id: &NodeId) -> Option<NodeIndex> {
        let found = self.nodes.binary_search_by(|node| node.id.cmp(id));
        found.ok().map(|n| NodeIndex(n as u16))
    }

    pub(super) fn state(&self, node: NodeIndex) -> NodeState {
        self.nodes[usize::from(node.0)].state
    }

    /// For each of `self`'s nodes, its index in `other`.
    pub(super) fn translate(&self, other: &Self) -> Vec<Option<NodeIndex>> {
        self.nodes.iter().map(|node| other.index_of(&node.id)).collect()
    }

    pub(super) fn same_ids(&self, other: &Self) -> bool {
        self.nodes.len() == other.nodes.len()
            && self.nodes.iter().zip(&other.nodes).all(|(a, b)| a.id == b.id)
    }
}

//! The affinity map: which node serves a session.
//!
//! Two levels. 65,536 buckets, filled by consistent hashing with bounded loads, place the many; overrides place
//! the single keys that were moved or pinned. A snapshot never changes: a change makes a new one that shares what
//! stayed, so readers take no lock and a version is always whole.
//!
//! It does not know why a key was moved, when an override expires, or whether its hand-over is under way: that
//! is in metadata.

mod buckets;
mod change;
mod cluster;
mod fill;
mod overrides;
mod ring;

use std::sync::Arc;

use foreshift_wire::{NodeId, NodeState, SessionId};

use buckets::Buckets;
pub use change::MapChanges;
use cluster::Cluster;
use overrides::Overrides;

/// Buckets of every map.
pub const BUCKETS: usize = 65_536;

/// Nodes that a map takes; what is given beyond is left out.
const NODES_MAX: usize = 65_535;

/// A node's place in [`AffinityMap::nodes`]. Good for the snapshot it came from and for those derived from it by
/// [`AffinityMap::with_changes`]; [`AffinityMap::with_nodes`] may give other places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(pub u16);

/// A node as the map needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct MapNode {
    /// Unique; of two with the same id the first is taken.
    pub id: NodeId,
    /// Share of the buckets relative to the others, above 0; a node with any other weight owns no bucket.
    pub weight: f64,
    /// Only `ready` nodes own buckets. `draining` ones keep the overrides that name them.
    pub state: NodeState,
}

impl MapNode {
    /// Its weight on the ring; 0 where it is not on it.
    fn share(&self) -> f64 {
        let counts = self.state == NodeState::Ready && self.weight.is_finite() && self.weight > 0.0;
        if counts { self.weight } else { 0.0 }
    }
}

/// An immutable, versioned snapshot of where every session lives. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AffinityMap {
    version: u64,
    cluster: Arc<Cluster>,
    /// Buckets that a plan moved, whatever the state of their node.
    moved: Buckets,
    /// `home` with `moved` laid over it: what a lookup reads.
    owners: Buckets,
    overrides: Overrides,
}

impl AffinityMap {
    /// Fills the buckets from nothing. The same nodes in any order give the same owners.
    ///
    /// `balance_factor`: no node gets more than this factor of its weighted share, rounded up; below 1 counts as
    /// 1. O(points of the ring + buckets): about a millisecond for a few nodes, some 20 for 1,000.
    pub fn build(version: u64, nodes: Vec<MapNode>, balance_factor: f64) -> Self {
        let cluster = Cluster::new(nodes, balance_factor);
        let (moved, owners) = (Buckets::none(), cluster.home.clone());
        Self {
            version,
            cluster: Arc::new(cluster),
            moved,
            owners,
            overrides: Overrides::none(),
        }
    }

    /// The number that the snapshot was given.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The nodes, by id.
    pub fn nodes(&self) -> &[MapNode] {
        &self.cluster.nodes
    }

    /// The node at `index`, where the map has one.
    pub fn node(&self, index: NodeIndex) -> Option<&MapNode> {
        self.cluster.nodes.get(usize::from(index.0))
    }

    /// Where in [`AffinityMap::nodes`] a node is.
    pub fn index_of(&self, id: &NodeId) -> Option<NodeIndex> {
        self.cluster.index_of(id)
    }

    /// The node that serves a session; `None` while no node is ready.
    ///
    /// An override to a node that is neither ready nor draining does not count. This is the request path: one
    /// array index and, where overrides exist, one probe.
    #[inline]
    pub fn lookup(&self, session: SessionId) -> Option<NodeIndex> {
        if let Some(node) = self.overrides.get(session)
            && matches!(self.cluster.state(node), NodeState::Ready | NodeState::Draining)
        {
            return Some(node);
        }
        self.owners.get(session.bucket())
    }

    /// The node that owns a bucket; `None` while no node is ready.
    #[inline]
    pub fn bucket_owner(&self, bucket: u16) -> Option<NodeIndex> {
        self.owners.get(bucket)
    }

    /// Where hashing puts a bucket, whether or not a plan moved it.
    pub fn bucket_home(&self, bucket: u16) -> Option<NodeIndex> {
        self.cluster.home.get(bucket)
    }

    /// The node that a session's override names, whatever the node's state.
    pub fn override_of(&self, session: SessionId) -> Option<NodeIndex> {
        self.overrides.get(session)
    }

    /// The first choice among the `usable` nodes, when the session's own node fails: the bucket's owner, else the
    /// bucket's walk along the ring.
    ///
    /// The map that is built once the failed nodes are out gives the same answer, except where the bound makes
    /// a bucket spill, so that a session that failed over need not move a second time.
    pub fn next(&self, session: SessionId, usable: impl Fn(NodeIndex) -> bool) -> Option<NodeIndex> {
        let bucket = session.bucket();
        let ready = |node: NodeIndex| self.cluster.state(node) == NodeState::Ready && usable(node);
        let owner = self.bucket_owner(bucket).filter(|node| ready(*node));
        owner.or_else(|| self.cluster.ring.first(bucket, self.cluster.nodes.len(), ready))
    }

    /// Buckets that each node owns, in the order of [`AffinityMap::nodes`].
    pub fn buckets_per_node(&self) -> Vec<u32> {
        self.count(self.owners.iter().map(|(_, node)| node))
    }

    /// Overrides that name each node, in the order of [`AffinityMap::nodes`].
    pub fn overrides_per_node(&self) -> Vec<u32> {
        self.count(self.overrides.iter().map(|(_, node)| node))
    }

    fn count(&self, placed: impl Iterator<Item = NodeIndex>) -> Vec<u32> {
        let mut counts = vec![0; self.cluster.nodes.len()];
        placed.for_each(|node| counts[usize::from(node.0)] += 1);
        counts
    }

    /// Overrides in all.
    pub fn override_count(&self) -> usize {
        self.overrides.len()
    }

    /// Every override, in no particular order.
    pub fn overrides(&self) -> impl Iterator<Item = (SessionId, NodeIndex)> {
        self.overrides.iter()
    }

    /// Buckets that a plan moved and where to, whatever the state of that node.
    pub fn moved_buckets(&self) -> impl Iterator<Item = (u16, NodeIndex)> {
        self.moved.iter()
    }

    /// Memory that the overrides take, in bytes, including what is shared with other snapshots.
    pub fn override_bytes(&self) -> usize {
        self.overrides.memory_bytes()
    }

    /// Buckets that another node owns in `newer`. Compared by node id, since indices may differ.
    pub fn changed_buckets(&self, newer: &Self) -> Vec<u16> {
        if self.owners.same(&newer.owners) && self.cluster.same_ids(&newer.cluster) {
            return Vec::new();
        }
        let index = self.cluster.translate(&newer.cluster);
        let stays = |bucket: &u16| match (self.owners.get(*bucket), newer.owners.get(*bucket)) {
            (Some(old), Some(new)) => index[usize::from(old.0)] == Some(new),
            (None, None) => true,
            _ => false,
        };
        (0..=u16::MAX).filter(|bucket| !stays(bucket)).collect()
    }
}

#[cfg(test)]
mod tests;

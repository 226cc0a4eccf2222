//! From one snapshot to the next.

use std::sync::Arc;

use foreshift_wire::{NodeId, NodeState, SessionId};

use super::{AffinityMap, Buckets, Cluster, MapNode, NodeIndex, Overrides};

/// What [`AffinityMap::with_changes`] changes. Clears come before sets; of two sets the later one holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapChanges {
    /// Keys that live on this node from now on. A node that the map does not have: as if cleared.
    pub set_overrides: Vec<(SessionId, NodeId)>,
    /// Keys that go back to their bucket.
    pub clear_overrides: Vec<SessionId>,
    /// Buckets that live on this node from now on. A node that the map does not have: as if cleared.
    pub set_buckets: Vec<(u16, NodeId)>,
    /// Buckets that go back to where hashing puts them.
    pub clear_buckets: Vec<u16>,
}

impl AffinityMap {
    /// The map with other nodes. Moved buckets and overrides whose node still exists are kept; a moved bucket is
    /// at home while its node is not ready.
    pub fn with_nodes(&self, version: u64, nodes: Vec<MapNode>) -> Self {
        let cluster = Cluster::new(nodes, self.cluster.factor);
        let (moved, overrides) = if self.cluster.same_ids(&cluster) {
            (self.moved.clone(), self.overrides.clone())
        } else {
            self.translated(&cluster)
        };
        let mut owners = cluster.home.clone();
        for (bucket, node) in moved
            .iter()
            .filter(|(_, node)| cluster.state(*node) == NodeState::Ready)
        {
            owners.set(bucket, Some(node));
        }
        Self {
            version,
            cluster: Arc::new(cluster),
            moved,
            owners,
            overrides,
        }
    }

    fn translated(&self, cluster: &Cluster) -> (Buckets, Overrides) {
        let index = self.cluster.translate(cluster);
        let (mut moved, mut overrides) = (Buckets::none(), Overrides::none());
        for (bucket, node) in self.moved.iter() {
            moved.set(bucket, index[usize::from(node.0)]);
        }
        for (session, node) in self.overrides.iter() {
            if let Some(node) = index[usize::from(node.0)] {
                overrides.set(session, node);
            }
        }
        (moved, overrides)
    }

    /// The map with single keys and buckets placed otherwise. Shares all that does not change: its cost grows
    /// with the changes, not with the keys.
    pub fn with_changes(&self, version: u64, changes: &MapChanges) -> Self {
        let mut map = Self {
            version,
            ..self.clone()
        };
        changes
            .clear_overrides
            .iter()
            .for_each(|session| map.overrides.clear(*session));
        for (session, id) in &changes.set_overrides {
            match map.index_of(id) {
                Some(node) => map.overrides.set(*session, node),
                None => map.overrides.clear(*session),
            }
        }
        changes
            .clear_buckets
            .iter()
            .for_each(|bucket| map.move_bucket(*bucket, None));
        for (bucket, id) in &changes.set_buckets {
            map.move_bucket(*bucket, map.index_of(id));
        }
        map
    }

    fn move_bucket(&mut self, bucket: u16, node: Option<NodeIndex>) {
        self.moved.set(bucket, node);
        let ready = node.filter(|node| self.cluster.state(*node) == NodeState::Ready);
        self.owners.set(bucket, ready.or(self.cluster.home.get(bucket)));
    }
}

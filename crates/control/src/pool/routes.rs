//! The pool's routing as metadata has it, and the one way to change it.
//!
//! Every change is one transaction that compares each record it replaces with what this copy holds. The copy
//! and the map change only after the commit. Where somebody else was faster nothing is written, the copy is
//! loaded again, and the caller may decide anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foreshift_meta::{Meta, Revision, Txn, routes::keys};
use foreshift_placement::{AffinityMap, MapChanges, MapNode};
use foreshift_wire::{Move, MoveId, MovedBucket, NodeId, NodeRecord, Override, PoolName, SessionId};
use serde::de::DeserializeOwned;

/// A record and the revision that wrote it.
#[derive(Debug, Clone)]
struct Kept<T> {
    record: T,
    revision: Revision,
}

/// What one transaction changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Edit {
    pub(super) set_nodes: Vec<NodeRecord>,
    pub(super) remove_nodes: Vec<NodeId>,
    pub(super) set_overrides: Vec<Override>,
    pub(super) clear_overrides: Vec<SessionId>,
    pub(super) set_buckets: Vec<MovedBucket>,
    pub(super) clear_buckets: Vec<u16>,
    pub(super) moves: Vec<Move>,
    pub(super) forget_moves: Vec<MoveId>,
}

impl Edit {
    fn is_empty(&self) -> bool {
        !self.changes_nodes()
            && self.set_overrides.is_empty()
            && self.clear_overrides.is_empty()
            && self.set_buckets.is_empty()
            && self.clear_buckets.is_empty()
            && self.moves.is_empty()
            && self.forget_moves.is_empty()
    }

    fn changes_nodes(&self) -> bool {
        !self.set_nodes.is_empty() || !self.remove_nodes.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Routes {
    pool: PoolName,
    meta: Meta,
    balance_factor: f64,
    nodes: BTreeMap<NodeId, Kept<NodeRecord>>,
    overrides: HashMap<SessionId, Kept<Override>>,
    buckets: HashMap<u16, Kept<MovedBucket>>,
    overrides_on: HashMap<NodeId, u64>,
    /// Overrides that end, the earliest first.
    ends: BTreeSet<(u64, SessionId)>,
    map: AffinityMap,
}

impl Routes {
    /// Reads the pool's routing.
    pub(super) async fn load(
        meta: Meta,
        pool: PoolName,
        balance_factor: f64,
    ) -> Result<Self, foreshift_meta::Error> {
        let mut routes = Self {
            pool,
            meta,
            balance_factor,
            nodes: BTreeMap::new(),
            overrides: HashMap::new(),
            buckets: HashMap::new(),
            overrides_on: HashMap::new(),
            ends: BTreeSet::new(),
            map: AffinityMap::build(0, Vec::new(), balance_factor),
        };
        routes.reload().await?;
        Ok(routes)
    }

    /// Reads everything again.
    pub(super) async fn reload(&mut self) -> Result<(), foreshift_meta::Error> {
        let (_, nodes) = self.list::<NodeRecord>(&keys::nodes(&self.pool)).await?;
        let (_, overrides) = self.list::<Override>(&keys::overrides(&self.pool)).await?;
        let (revision, buckets) = self.list::<MovedBucket>(&keys::buckets(&self.pool)).await?;
        self.nodes = nodes
            .into_iter()
            .map(|kept| (kept.record.spec.id.clone(), kept))
            .collect();
        self.overrides = HashMap::new();
        self.overrides_on = HashMap::new();
        self.ends = BTreeSet::new();
        overrides.into_iter().for_each(|kept| self.keep(kept));
        self.buckets = buckets
            .into_iter()
            .map(|kept| (kept.record.bucket, kept))
            .collect();
        self.build(revision.0);
        Ok(())
    }

    async fn list<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<(Revision, Vec<Kept<T>>), foreshift_meta::Error> {
        let (revision, found) = self.meta.list(prefix).await?;
        let kept = found.into_iter().map(|(key, versioned)| {
            let record =
                serde_json::from_slice(&versioned.value).map_err(|e| foreshift_meta::Error::Malformed {
                    key,
                    detail: e.to_string(),
                })?;
            Ok(Kept {
                record,
                revision: versioned.revision,
            })
        });
        Ok((revision, kept.collect::<Result<_, _>>()?))
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Fills the buckets anew where another node may have more or fewer of them than before.
    pub(super) fn rebalance(&mut self, balance_factor: f64) {
        if balance_factor.to_bits() == self.balance_factor.to_bits() {
            return;
        }
        self.balance_factor = balance_factor;
        self.build(self.map.version() + 1);
    }

    fn build(&mut self, version: u64) {
        let changes = MapChanges {
            set_overrides: self.overrides().map(|o| (o.session, o.node.clone())).collect(),
            set_buckets: self
                .buckets
                .values()
                .map(|b| (b.record.bucket, b.record.node.clone()))
                .collect(),
            ..Default::default()
        };
        self.map = AffinityMap::build(version, self.map_nodes(), self.balance_factor)
            .with_changes(version, &changes);
    }

    pub(super) fn map(&self) -> &AffinityMap {
        &self.map
    }

    /// The nodes, by id.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values().map(|kept| &kept.record)
    }

    pub(super) fn node(&self, id: &NodeId) -> Option<&NodeRecord> {
        self.nodes.get(id).map(|kept| &kept.record)
    }

    pub(super) fn overrides(&self) -> impl Iterator<Item = &Override> {
        self.overrides.values().map(|kept| &kept.record)
    }

    pub(super) fn override_of(&self, session: SessionId) -> Option<&Override> {
        self.overrides.get(&session).map(|kept| &kept.record)
    }

    pub(super) fn moved_bucket(&self, bucket: u16) -> Option<&MovedBucket> {
        self.buckets.get(&bucket).map(|kept| &kept.record)
    }

    pub(super) fn moved_buckets(&self) -> impl Iterator<Item = &MovedBucket> {
        self.buckets.values().map(|kept| &kept.record)
    }

    /// Overrides whose time has come, the earliest first.
    pub(super) fn due(&self, now_ms: u64) -> impl Iterator<Item = &Override> {
        let due = self.ends.iter().take_while(move |(at, _)| *at <= now_ms);
        due.filter_map(|(_, session)| self.override_of(*session))
    }

    /// Overrides that name a node.
    pub(super) fn overrides_on(&self, node: &NodeId) -> u64 {
        self.overrides_on.get(node).copied().unwrap_or(0)
    }

    /// The node that serves a session, and whether it could serve one more key.
    pub(super) fn home_of(&self, session: SessionId) -> Option<&NodeId> {
        let index = self.map.lookup(session)?;
        self.map.node(index).map(|node| &node.id)
    }

    /// The node that owns a bucket.
    pub(super) fn owner_of(&self, bucket: u16) -> Option<&NodeId> {
        let index = self.map.bucket_owner(bucket)?;
        self.map.node(index).map(|node| &node.id)
    }

    /// Writes `edit` in one transaction and takes it over.
    ///
    /// After [`foreshift_meta::Error::Conflict`] nothing was written and what others wrote has been read.
    pub(super) async fn commit(&mut self, edit: Edit) -> Result<(), foreshift_meta::Error> {
        if edit.is_empty() {
            return Ok(());
        }
        match self.meta.commit(self.transaction(&edit)).await {
            Ok(revision) => {
                self.apply(edit, revision);
                Ok(())
            }
            Err(error) => {
                if matches!(error, foreshift_meta::Error::Conflict { .. }) {
                    self.reload().await?;
                }
                Err(error)
            }
        }
    }

    fn transaction(&self, edit: &Edit) -> Txn {
        let pool = &self.pool;
        let mut txn = Txn::new();
        let ids = edit
            .set_nodes
            .iter()
            .map(|n| &n.spec.id)
            .chain(&edit.remove_nodes);
        for id in ids {
            txn = txn.expect(keys::node(pool, id), self.nodes.get(id).map(|kept| kept.revision));
        }
        let sessions = edit
            .set_overrides
            .iter()
            .map(|o| o.session)
            .chain(edit.clear_overrides.iter().copied());
        for session in sessions {
            let revision = self.overrides.get(&session).map(|kept| kept.revision);
            txn = txn.expect(keys::override_of(pool, session), revision);
        }
        let buckets = edit
            .set_buckets
            .iter()
            .map(|b| b.bucket)
            .chain(edit.clear_buckets.iter().copied());
        for bucket in buckets {
            txn = txn.expect(
                keys::bucket(pool, bucket),
                self.buckets.get(&bucket).map(|kept| kept.revision),
            );
        }
        txn = edit
            .set_nodes
            .iter()
            .fold(txn, |txn, node| txn.put_node(pool, node));
        txn = edit
            .remove_nodes
            .iter()
            .fold(txn, |txn, id| txn.delete_node(pool, id));
        txn = edit
            .set_overrides
            .iter()
            .fold(txn, |txn, set| txn.put_override(pool, set));
        txn = edit
            .clear_overrides
            .iter()
            .fold(txn, |txn, session| txn.delete_override(pool, *session));
        txn = edit
            .set_buckets
            .iter()
            .fold(txn, |txn, set| txn.put_bucket(pool, set));
        txn = edit
            .clear_buckets
            .iter()
            .fold(txn, |txn, bucket| txn.delete_bucket(pool, *bucket));
        txn = edit.moves.iter().fold(txn, |txn, made| txn.put_move(made));
        edit.forget_moves
            .iter()
            .fold(txn, |txn, id| txn.delete_move(pool, *id))
    }

    fn apply(&mut self, edit: Edit, revision: Revision) {
        let nodes_changed = edit.changes_nodes();
        let changes = MapChanges {
            set_overrides: edit
                .set_overrides
                .iter()
                .map(|o| (o.session, o.node.clone()))
                .collect(),
            clear_overrides: edit.clear_overrides.clone(),
            set_buckets: edit
                .set_buckets
                .iter()
                .map(|b| (b.bucket, b.node.clone()))
                .collect(),
            clear_buckets: edit.clear_buckets.clone(),
        };
        for record in edit.set_nodes {
            self.nodes
                .insert(record.spec.id.clone(), Kept { record, revision });
        }
        for id in &edit.remove_nodes {
            self.nodes.remove(id);
        }
        for session in edit.clear_overrides {
            self.drop_override(session);
        }
        for record in edit.set_overrides {
            self.drop_override(record.session);
            self.keep(Kept { record, revision });
        }
        for bucket in edit.clear_buckets {
            self.buckets.remove(&bucket);
        }
        for record in edit.set_buckets {
            self.buckets.insert(record.bucket, Kept { record, revision });
        }
        let map = if nodes_changed {
            self.with_nodes(revision)
        } else {
            self.map.clone()
        };
        self.map = map.with_changes(revision.0, &changes);
    }

    fn keep(&mut self, kept: Kept<Override>) {
        let record = &kept.record;
        *self.overrides_on.entry(record.node.clone()).or_default() += 1;
        self.ends.extend(record.expires_ms.map(|at| (at, record.session)));
        self.overrides.insert(record.session, kept);
    }

    fn drop_override(&mut self, session: SessionId) {
        let Some(Kept { record, .. }) = self.overrides.remove(&session) else {
            return;
        };
        if let Some(at) = record.expires_ms {
            self.ends.remove(&(at, session));
        }
        if let Some(count) = self.overrides_on.get_mut(&record.node) {
            *count = count.saturating_sub(1);
        }
    }

    /// The map with the nodes as they are now; built anew only where something changed that it depends on.
    fn with_nodes(&self, revision: Revision) -> AffinityMap {
        let nodes = self.map_nodes();
        match self.map.nodes() == nodes {
            true => self.map.clone(),
            false => self.map.with_nodes(revision.0, nodes),
        }
    }

    fn map_nodes(&self) -> Vec<MapNode> {
        let node = |record: &NodeRecord| MapNode {
            id: record.spec.id.clone(),
            weight: record.map_weight(),
            state: record.observed,
        };
        self.nodes().map(node).collect()
    }
}

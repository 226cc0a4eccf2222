//! What changed in a pool's routing.

use std::collections::BTreeMap;

use foreshift_wire::{MovedBucket, NodeId, NodeRecord, Override, PoolName, SessionId};

use super::{
    keys::{self, Kind},
    record::read,
};
use crate::{Change, Error, Meta, Revision, Watch};

/// Changes told at once, at most. Thousands of single moves make a few new maps, not thousands.
const CHANGES_MAX: usize = 16_384;

/// The difference between a pool's routing at two revisions; never empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteChange {
    /// The later revision.
    pub revision: Revision,
    /// Added or changed, by id.
    pub nodes_set: Vec<NodeRecord>,
    /// Removed.
    pub nodes_removed: Vec<NodeId>,
    /// Added or changed, by session.
    pub overrides_set: Vec<Override>,
    /// Removed.
    pub overrides_cleared: Vec<SessionId>,
    /// Added or changed, by bucket.
    pub buckets_set: Vec<MovedBucket>,
    /// Removed.
    pub buckets_cleared: Vec<u16>,
}

/// Follows one pool's routing.
#[derive(Debug)]
pub struct RouteWatch {
    pool: PoolName,
    watch: Watch,
}

impl RouteWatch {
    /// Follows what changes after a revision: that of a [`super::RouteTable`].
    pub fn new(meta: &Meta, pool: &PoolName, after: Revision) -> Self {
        Self {
            pool: pool.clone(),
            watch: meta.watch(&keys::pool(pool), after),
        }
    }

    /// All that changed since the last call, joined: of several changes to one record the last is told. Waits
    /// for one.
    ///
    /// Cancel safe. [`Error::Behind`]: load the table again. [`Error::Malformed`] names a record that cannot be
    /// read; what else changed with it is lost, so load the table again too.
    pub async fn next(&mut self) -> Result<RouteChange, Error> {
        loop {
            let mut newest = BTreeMap::new();
            let mut batch = self.watch.next().await?;
            loop {
                let concerns_routes =
                    |c: &Change| !matches!(keys::parse(&self.pool, &c.key), Some(Kind::Move) | None);
                let changes = batch.changes.into_iter().filter(concerns_routes);
                newest.extend(changes.map(|change| (change.key, change.value)));
                let more = match newest.len() < CHANGES_MAX {
                    // An error is told by the next call; what was read until here is not lost.
                    true => self.watch.try_next().ok().flatten(),
                    false => None,
                };
                match more {
                    Some(more) => batch = more,
                    None => break,
                }
            }
            if !newest.is_empty() {
                return self.change(newest);
            }
        }
    }

    fn change(
        &self,
        newest: BTreeMap<std::sync::Arc<str>, Option<std::sync::Arc<[u8]>>>,
    ) -> Result<RouteChange, Error> {
        let mut change = RouteChange {
            revision: self.watch.position(),
            ..RouteChange::default()
        };
        for (key, value) in newest {
            match (keys::parse(&self.pool, &key), value) {
                (Some(Kind::Node(_)), Some(value)) => change.nodes_set.push(read(&key, &value)?),
                (Some(Kind::Node(id)), None) => change.nodes_removed.push(id),
                (Some(Kind::Override(_)), Some(value)) => change.overrides_set.push(read(&key, &value)?),
                (Some(Kind::Override(session)), None) => change.overrides_cleared.push(session),
                (Some(Kind::Bucket(_)), Some(value)) => change.buckets_set.push(read(&key, &value)?),
                (Some(Kind::Bucket(bucket)), None) => change.buckets_cleared.push(bucket),
                (Some(Kind::Move) | None, _) => {}
            }
        }
        Ok(change)
    }
}

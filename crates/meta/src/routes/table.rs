//! All of a pool's routing, as of one revision.

use foreshift_wire::{MovedBucket, NodeRecord, Override, PoolName};

use super::{
    RouteWatch,
    keys::{self, Kind},
    record::read,
};
use crate::{Error, Meta, Revision};

/// A pool's nodes and placements, each list by its key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteTable {
    /// As of when.
    pub revision: Revision,
    /// By id.
    pub nodes: Vec<NodeRecord>,
    /// By session.
    pub overrides: Vec<Override>,
    /// By bucket.
    pub buckets: Vec<MovedBucket>,
}

impl RouteTable {
    /// Reads a pool's routing; empty where nothing is known of the pool.
    pub async fn load(meta: &Meta, pool: &PoolName) -> Result<Self, Error> {
        let prefixes = [keys::nodes(pool), keys::overrides(pool), keys::buckets(pool)];
        let [nodes, overrides, buckets] = prefixes.each_ref().map(String::as_str);
        let (revision, found) = meta.list_all(&[nodes, overrides, buckets]).await?;
        let mut table = Self {
            revision,
            ..Self::default()
        };
        for (key, versioned) in found {
            let value = &versioned.value;
            match keys::parse(pool, &key) {
                Some(Kind::Node(_)) => table.nodes.push(read(&key, value)?),
                Some(Kind::Override(_)) => table.overrides.push(read(&key, value)?),
                Some(Kind::Bucket(_)) => table.buckets.push(read(&key, value)?),
                Some(Kind::Move) | None => {}
            }
        }
        Ok(table)
    }

    /// Follows the pool from this table on.
    pub fn watch(&self, meta: &Meta, pool: &PoolName) -> RouteWatch {
        RouteWatch::new(meta, pool, self.revision)
    }
}

//! Records to bytes and back.

use foreshift_wire::{Move, MoveId, MovedBucket, NodeId, NodeRecord, Override, PoolName, SessionId};
use serde::{Serialize, de::DeserializeOwned};

use super::keys;
use crate::{Error, Meta, Revision, Txn};

pub(super) fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|e| Error::Malformed {
        key: key.into(),
        detail: e.to_string(),
    })
}

fn write<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("the wire types have no maps with odd keys, so they are always JSON")
}

/// A pool's nodes by id, each with the revision to compare against when it is written back.
pub async fn nodes(meta: &Meta, pool: &PoolName) -> Result<Vec<(NodeRecord, Revision)>, Error> {
    let (_, found) = meta.list(&keys::nodes(pool)).await?;
    let record = |(key, v): &(String, crate::Versioned)| Ok((read(key, &v.value)?, v.revision));
    found.iter().map(record).collect()
}

/// One node, with the revision to compare against when it is written back.
pub async fn node(
    meta: &Meta,
    pool: &PoolName,
    id: &NodeId,
) -> Result<Option<(NodeRecord, Revision)>, Error> {
    get(meta, keys::node(pool, id)).await
}

/// A session's override, with the revision to compare against when it is settled.
pub async fn override_of(
    meta: &Meta,
    pool: &PoolName,
    session: SessionId,
) -> Result<Option<(Override, Revision)>, Error> {
    get(meta, keys::override_of(pool, session)).await
}

/// A pool's moves, oldest first.
pub async fn moves(meta: &Meta, pool: &PoolName) -> Result<Vec<Move>, Error> {
    let (_, found) = meta.list(&keys::moves(pool)).await?;
    found.iter().map(|(key, v)| read(key, &v.value)).collect()
}

async fn get<T: DeserializeOwned>(meta: &Meta, key: String) -> Result<Option<(T, Revision)>, Error> {
    let Some(found) = meta.get(&key).await? else {
        return Ok(None);
    };
    Ok(Some((read(&key, &found.value)?, found.revision)))
}

/// Writing the records of a pool.
impl Txn {
    /// Adds or replaces a node.
    #[must_use]
    pub fn put_node(self, pool: &PoolName, record: &NodeRecord) -> Self {
        self.put(keys::node(pool, &record.spec.id), write(record))
    }

    /// Removes a node.
    #[must_use]
    pub fn delete_node(self, pool: &PoolName, id: &NodeId) -> Self {
        self.delete(keys::node(pool, id))
    }

    /// Places a key.
    #[must_use]
    pub fn put_override(self, pool: &PoolName, record: &Override) -> Self {
        self.put(keys::override_of(pool, record.session), write(record))
    }

    /// Gives a key back to its bucket.
    #[must_use]
    pub fn delete_override(self, pool: &PoolName, session: SessionId) -> Self {
        self.delete(keys::override_of(pool, session))
    }

    /// Places a bucket.
    #[must_use]
    pub fn put_bucket(self, pool: &PoolName, record: &MovedBucket) -> Self {
        self.put(keys::bucket(pool, record.bucket), write(record))
    }

    /// Gives a bucket back to where consistent hashing puts it.
    #[must_use]
    pub fn delete_bucket(self, pool: &PoolName, bucket: u16) -> Self {
        self.delete(keys::bucket(pool, bucket))
    }

    /// Records a move, or how far it is.
    #[must_use]
    pub fn put_move(self, record: &Move) -> Self {
        self.put(keys::move_of(&record.pool, record.id), write(record))
    }

    /// Forgets a move.
    #[must_use]
    pub fn delete_move(self, pool: &PoolName, id: MoveId) -> Self {
        self.delete(keys::move_of(pool, id))
    }
}

//! What is asked of sessions, and what is answered: plain values.

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};

use super::Value;
use crate::engine::{Expiry, Head, If};

/// A session without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Which.
    pub id: SessionId,
    /// The pool whose ingress issued the id; `None` where it was made over the API.
    pub pool: Option<PoolName>,
    /// When it began, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, in Unix milliseconds.
    pub used_ms: u64,
    /// When it ends at the latest, in Unix milliseconds.
    pub ends_ms: u64,
    /// The node that serves it.
    pub owner: Option<NodeId>,
    /// Since which reign.
    pub epoch: Epoch,
    /// When it was revoked, in Unix milliseconds.
    pub revoked_ms: Option<u64>,
}

/// A partition without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Which.
    pub name: PartitionName,
    /// That of its last write.
    pub version: Version,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of its keys and sealed values.
    pub bytes: u64,
    /// When it ends by itself, in Unix milliseconds.
    pub expires_ms: Option<u64>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Any bytes.
    pub key: Bytes,
    /// That of its last write.
    pub version: Version,
    /// `None`: it was removed then. Only in a delta.
    pub value: Option<Value>,
}

/// What was read of a partition, all at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The partition.
    pub info: PartitionInfo,
    /// In the order of their keys.
    pub entries: Vec<Entry>,
    /// `entries` are what changed since the version that was asked for; else all, or what was asked for by key.
    pub is_delta: bool,
}

/// One key's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// 1 to 1,024 bytes.
    pub key: Bytes,
    /// Only then; where it does not hold, nothing of the batch is done.
    pub condition: If,
    /// `None` removes it.
    pub value: Option<Value>,
}

/// Changes of one partition that are done as one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// On the partition's version.
    pub condition: If,
    /// Every key that is not named is removed.
    pub replace: bool,
    /// Each key at most once.
    pub changes: Vec<Change>,
    /// When the partition ends by itself.
    pub expiry: Expiry,
}

/// A batch that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version of the partition and of all that was changed.
    pub version: Version,
    /// Keys that were there and are not any more.
    pub removed: u32,
    /// Keys that were not there before.
    pub added: u32,
}

impl From<Head> for PartitionInfo {
    fn from(head: Head) -> Self {
        Self {
            name: head.name,
            version: head.version,
            keys: head.keys,
            bytes: head.bytes,
            expires_ms: head.expires_ms,
        }
    }
}

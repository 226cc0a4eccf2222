//! What keeps sessions: the seam below [`crate::Sessions`].
//!
//! An engine orders the writes of each partition, checks a write's conditions and its fence in the same step in which it
//! stores it, and has stored it for good (as far as it can) when it says so. It never sees what a value means: values come sealed.

mod embedded;
mod memory;
mod redis;

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};

pub use embedded::Embedded;
pub use memory::Memory;
pub use redis::Redis;

use crate::{BoxFuture, Error, Refusal};

/// Removed keys that a partition remembers, for deltas.
pub(crate) const REMOVED_MAX: usize = 256;
/// Partitions of a session, those that ended or lost their last key included.
pub(crate) const PARTITIONS_MAX: usize = 1_024;

/// A session as engines keep it, beside its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The pool whose ingress issued the id; `None` where it was made over the API.
    pub pool: Option<PoolName>,
    /// When it began, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, in Unix milliseconds; renewed now and then, not with every use.
    pub used_ms: u64,
    /// It ends then at the latest, in Unix milliseconds.
    pub ends_ms: u64,
    /// The node that serves it.
    pub owner: Option<NodeId>,
    /// Since which reign.
    pub epoch: Epoch,
    /// When it was revoked, in Unix milliseconds. It has no partitions then and keeps none.
    pub revoked_ms: Option<u64>,
    /// Its own key, sealed with a master key.
    pub key: Bytes,
}

impl Record {
    /// Why the session takes no such write.
    pub(crate) fn refusal(&self, write: &Write) -> Option<Refusal> {
        if self.revoked_ms.is_some() {
            return Some(Refusal::Revoked);
        }
        if write.now_ms >= self.ends_ms {
            return Some(Refusal::NoSession);
        }
        let Fence { node, epoch } = &write.fence;
        let other_node = node.is_some() && self.owner.is_some() && *node != self.owner;
        let other_reign = epoch.is_some_and(|epoch| epoch != self.epoch);
        (other_node || other_reign).then(|| Refusal::Fenced {
            owner: self.owner.clone(),
            epoch: self.epoch,
        })
    }
}

/// What a write of one partition too many is told.
pub(crate) fn too_many_partitions() -> Refusal {
    Refusal::Invalid(format!(
        "a session has {PARTITIONS_MAX} partitions at most, those that ended included; end the session, or use fewer names"
    ))
}

/// What a node must be for its write to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fence {
    /// The node that writes: the session's owner, where that is known.
    pub node: Option<NodeId>,
    /// The reign in which it writes: the session's.
    pub epoch: Option<Epoch>,
}

/// A condition on the version of a partition or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum If {
    /// Whatever it is.
    #[default]
    Any,
    /// It has this one.
    Is(Version),
    /// It is there.
    Present,
    /// It is not there.
    Absent,
}

impl If {
    /// Whether it holds for a version; `None` is absent.
    pub fn holds(self, found: Option<Version>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(version) => found == Some(version),
            Self::Present => found.is_some(),
            Self::Absent => found.is_none(),
        }
    }
}

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Any bytes.
    pub key: Bytes,
    /// Only then; where it does not hold, the whole write is refused.
    pub condition: If,
    /// The sealed value; `None` removes it.
    pub value: Option<Bytes>,
}

/// When a partition ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expiry {
    /// As before.
    #[default]
    Keep,
    /// At this time, in Unix milliseconds.
    At(u64),
    /// With its session.
    Never,
}

/// One write of one partition: all of it is done, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Whose.
    pub session: SessionId,
    /// Which.
    pub partition: PartitionName,
    /// Who writes.
    pub fence: Fence,
    /// The version that the partition and every key in `puts` get. Not above the partition's: [`Outcome::Behind`].
    pub version: Version,
    /// On the partition's version.
    pub condition: If,
    /// Every key that `puts` does not name is removed.
    pub replace: bool,
    /// Each key at most once.
    pub puts: Vec<Put>,
    /// When the partition ends.
    pub expiry: Expiry,
    /// Bytes of keys and sealed values that the partition may have after it.
    pub max_bytes: u64,
    /// Bytes of keys and sealed values that the whole session may have after it.
    pub max_session_bytes: u64,
    /// Now, in Unix milliseconds: what ended before is not there.
    pub now_ms: u64,
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored; so many keys were removed.
    Done {
        /// Keys that were there and are not any more.
        removed: u32,
        /// Keys that were not there before.
        added: u32,
    },
    /// The partition has this version already: draw a higher one.
    Behind(Version),
    /// It was refused.
    Refused(Refusal),
}

/// A partition without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which.
    pub name: PartitionName,
    /// That of its last write.
    pub version: Version,
    /// Deltas can be told since this version: what was removed before it is not remembered.
    pub floor: Version,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of its keys and sealed values.
    pub bytes: u64,
    /// When it ends by itself, in Unix milliseconds.
    pub expires_ms: Option<u64>,
}

/// Which keys of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// All.
    All,
    /// These; those that are not there are left out.
    Keys(Vec<Bytes>),
    /// What changed after a version, removed keys included. All, where that is below the floor.
    Since(Version),
    /// None: only the head.
    Head,
}

/// A key with its sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Any bytes.
    pub key: Bytes,
    /// That of its last write.
    pub version: Version,
    /// `None`: it was removed then. Only with [`Select::Since`].
    pub value: Option<Bytes>,
}

/// What was read of a partition, all at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The partition.
    pub head: Head,
    /// In the order of their keys.
    pub rows: Vec<Row>,
    /// With [`Select::Since`]: only what changed. Else `rows` are all that there is, or was asked for.
    pub is_delta: bool,
}

/// Where a page ended. Only the engine knows what it means; one that it did not make is refused or is as the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// That of an engine whose sessions lie in the order of their ids.
    fn after(session: SessionId) -> Self {
        Self(session.0.to_string())
    }

    fn session(&self) -> Option<SessionId> {
        self.0.parse().ok().map(SessionId)
    }
}

/// Some of all sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Revoked ones and those that ended and are not cleared yet too.
    pub sessions: Vec<(SessionId, Record)>,
    /// Where the next one begins; `None` where this is the last.
    pub next: Option<Cursor>,
}

/// Keeps sessions and their partitions.
pub trait Engine: Send + Sync + 'static {
    /// A session, where there is one; revoked ones too.
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>>;

    /// Stores a session's record where it still is as `expected` (`None`: not there); else gives what is there. An old record is
    /// replaced only by one whose epoch is not lower.
    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>>;

    /// Removes all partitions of a session, and puts `record` in the place of its record, where that still is as `expected`; else
    /// gives what is there and changes nothing. So whoever ends a session does not remove what began anew meanwhile.
    fn clear(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>>;

    /// A session's partitions, by name; those that ended before `now_ms` are left out. One that lost its last key stays, with its
    /// version and without keys, for deltas; conditions take it for absent.
    fn heads(&self, session: SessionId, now_ms: u64) -> BoxFuture<'_, Result<Vec<Head>, Error>>;

    /// Reads a partition at one moment; `None` where it never was or ended. One without keys is read as any other.
    fn read(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> BoxFuture<'_, Result<Option<Rows>, Error>>;

    /// Carries a write out. An engine that has no record of the session refuses it.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>>;

    /// Some sessions, from where the page before ended: for sweeps, lists and rotation.
    ///
    /// In any order, as engines that hash their keys have none. A session that is there from the first page to the last is in
    /// one of them, and may be in several; one that comes or goes meanwhile may be in one or not. A page may be empty.
    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>>;

    /// Ends it; what was acknowledged is stored.
    fn close(&self) -> BoxFuture<'_, ()>;
}

//! The seam to sessions' state: who serves a session, since when, and what a node lacks of its partitions.
//!
//! The data plane says who serves a session, and asks for what the next node needs; it never sees what a value means. Whoever
//! starts it with a [`SessionState`] has state follow its session; without one nothing of this costs anything.

use std::{fmt, pin::Pin, time::Duration};

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, PartitionPattern, PoolName, SessionId, Version};

/// What an answer that takes time comes as. An error says what is wrong, for people.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Whether a session is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// By the node that was asked about, in this reign.
    Since(Epoch),
    /// It was revoked: nothing of it is let in.
    Revoked,
}

/// What a node lacks of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// Which.
    pub partition: PartitionName,
    /// The version that the node has once it took this.
    pub version: Version,
    /// The version that it must have for that; 0: it is all that there is.
    pub since: Version,
    /// What is sent, in the format of entries.
    pub body: Bytes,
    /// The coding of `body`, where it has one: `zstd`.
    pub encoding: Option<&'static str>,
    /// Bytes of the whole partition, whatever of it is sent.
    pub bytes_held: u64,
}

/// Keeps the state of sessions. Implemented by what composes the data plane with a store.
pub trait SessionState: fmt::Debug + Send + Sync {
    /// A node serves a session from now on, where it did not already. Never waits.
    fn serving(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Serving;

    /// Makes a node the owner, durably: from the answer on, what others write of the session is refused. Each call begins a new reign,
    /// above all before it.
    fn hand<'a>(&'a self, pool: &'a PoolName, session: SessionId, to: &'a NodeId) -> Later<'a, Epoch>;

    /// A node serves a session on, in a new reign above all before it, after a hand-over of which the store did not say what became of it. Never
    /// waits.
    fn reinstate(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Serving;

    /// What a node lacks, as far as is known, of the partitions that it requires: those that match `required`, and those that the
    /// store knows it to need. Nothing where it has them all.
    fn missing<'a>(
        &'a self,
        pool: &'a PoolName,
        session: SessionId,
        to: &'a NodeId,
        required: &'a [PartitionPattern],
    ) -> Later<'a, Vec<Portion>>;

    /// A node acknowledged a partition in a version.
    fn holds(&self, session: SessionId, node: &NodeId, partition: &PartitionName, version: Version);

    /// A node does not hold what it was thought to hold of a session.
    fn forgets(&self, session: SessionId, node: &NodeId);

    /// A token with which a node may once fetch what it lacks, within this time.
    fn ticket(
        &self,
        pool: &PoolName,
        session: SessionId,
        to: &NodeId,
        required: &[PartitionPattern],
        within: Duration,
    ) -> String;
}

//! Who may do what.

use std::sync::Arc;

use foreshift_wire::{Epoch, NodeId, PartitionName, PartitionPattern, SessionAccess};

use crate::{Refusal, engine::Record};

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The most.
    pub level: SessionAccess,
    /// With which partitions.
    pub partitions: Vec<PartitionPattern>,
    /// Only with sessions that this node serves.
    pub node: Option<NodeId>,
}

/// Who asks. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The node that asks, where that is known: it may only read and write what it serves.
    pub node: Option<NodeId>,
    /// The reign in which it asks, where it says so.
    pub epoch: Option<Epoch>,
    /// What it may do.
    pub access: Arc<Access>,
}

impl Caller {
    /// Foreshift itself.
    pub fn own() -> Self {
        let access = Access {
            level: SessionAccess::Admin,
            partitions: vec![PartitionPattern::all()],
            node: None,
        };
        Self {
            node: None,
            epoch: None,
            access: access.into(),
        }
    }

    /// Whether it may use a partition. What a `secret` one holds is only for who is allowed to by its name, not by `*`.
    pub fn reads(&self, partition: &PartitionName, secret: bool) -> bool {
        let mut allowed = self.access.partitions.iter().filter(|p| !(secret && p.is_all()));
        allowed.any(|p| p.matches(partition))
    }

    /// A node's own token is good for the sessions that it serves.
    pub(super) fn may_use(&self, record: &Record) -> Result<(), Refusal> {
        match &self.access.node {
            Some(node) if record.owner.as_ref() != Some(node) => Err(Refusal::Fenced {
                owner: record.owner.clone(),
                epoch: record.epoch,
            }),
            _ => Ok(()),
        }
    }

    /// Whether it asks in the reign that is, as far as it says. What it writes else is refused, and no use of the session.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        let of_owner = self.node.is_none() || record.owner.is_none() || self.node == record.owner;
        of_owner && self.epoch.is_none_or(|epoch| epoch == record.epoch) && self.may_use(record).is_ok()
    }

    pub(super) fn may(&self, level: SessionAccess, verb: &'static str, what: &str) -> Result<(), Refusal> {
        if self.access.level >= level {
            return Ok(());
        }
        let partition = what.into();
        Err(Refusal::Forbidden { verb, partition })
    }

    /// To read a partition, where `secret`; else to read or write it.
    pub(super) fn may_with(
        &self,
        level: SessionAccess,
        verb: &'static str,
        partition: &PartitionName,
        secret: bool,
    ) -> Result<(), Refusal> {
        match self.reads(partition, secret) {
            true => self.may(level, verb, partition.as_str()),
            false => Err(Refusal::Forbidden {
                verb,
                partition: partition.to_string(),
            }),
        }
    }
}

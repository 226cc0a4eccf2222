//! Who may do what.

use std::sync::Arc;

use foreshift_wire::{Epoch, NodeId, PartitionName, PartitionPattern, SessionAccess};

use crate::Refusal;

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The most.
    pub level: SessionAccess,
    /// With which partitions.
    pub partitions: Vec<PartitionPattern>,
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
        };
        Self {
            node: None,
            epoch: None,
            access: access.into(),
        }
    }

    /// Whether it may read a partition.
    pub fn reads(&self, partition: &PartitionName) -> bool {
        self.access.partitions.iter().any(|p| p.matches(partition))
    }

    pub(super) fn may(&self, level: SessionAccess, verb: &'static str, what: &str) -> Result<(), Refusal> {
        if self.access.level >= level {
            return Ok(());
        }
        let partition = what.into();
        Err(Refusal::Forbidden { verb, partition })
    }

    pub(super) fn may_with(
        &self,
        level: SessionAccess,
        verb: &'static str,
        partition: &PartitionName,
    ) -> Result<(), Refusal> {
        match self.reads(partition) {
            true => self.may(level, verb, partition.as_str()),
            false => Err(Refusal::Forbidden {
                verb,
                partition: partition.to_string(),
            }),
        }
    }
}

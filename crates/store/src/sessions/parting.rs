//! Notes which parts of partitions are used, where that decides what is replayed.

use foreshift_wire::{NodeId, PartitionName, PoolName, SessionId};

use super::{Batch, Select, Sessions};
use crate::{
    engine::{Head, Record},
    parting::{Leaves, SplitView},
};

/// Partitions of fewer bytes are replayed whole: asking for a part later would cost more.
const WORTH_BYTES: u64 = 1024;

impl Sessions {
    /// How partitions are replayed in parts, and why; nothing where `session.split` is off.
    pub fn splits(&self) -> Vec<SplitView> {
        self.0
            .parting
            .iter()
            .flat_map(|parting| parting.views())
            .collect()
    }

    pub(super) fn note_read(
        &self,
        record: &Record,
        session: SessionId,
        partition: &PartitionName,
        select: &Select,
    ) {
        let (Some(parting), Some(pool)) = (&self.0.parting, &record.pool) else {
            return;
        };
        match select {
            Select::Head => {}
            Select::Keys(keys) => parting.used(pool, session, partition, keys.iter().map(|key| &**key)),
            Select::All | Select::Since(_) => parting.used_whole(pool, session, partition),
        }
    }

    pub(super) fn note_write(
        &self,
        record: &Record,
        session: SessionId,
        partition: &PartitionName,
        batch: &Batch,
    ) {
        let (Some(parting), Some(pool)) = (&self.0.parting, &record.pool) else {
            return;
        };
        let keys = batch.changes.iter().map(|change| &*change.key);
        match batch.replace {
            true => parting.used_whole(pool, session, partition),
            false => parting.used(pool, session, partition, keys),
        }
    }

    /// A session moves: what its node used until now is counted.
    pub(super) fn note_move(&self, session: SessionId, to: &NodeId) {
        if let Some(parting) = &self.0.parting {
            parting.moves(session, to);
        }
    }

    /// What need not be told of a partition to the node that the session moves to.
    pub(super) fn leaves(&self, pool: &PoolName, session: SessionId, head: &Head) -> Leaves {
        let parting = self.0.parting.as_ref().filter(|_| head.bytes >= WORTH_BYTES);
        parting.map_or_else(Leaves::default, |parting| {
            parting.leaves(pool, session, &head.name)
        })
    }

    /// The session ended.
    pub(super) fn forget_uses(&self, session: SessionId) {
        if let Some(parting) = &self.0.parting {
            parting.end(session);
        }
    }
}

//! Reads and writes of partitions.

use foreshift_wire::{PartitionName, SessionAccess, SessionId, Version};

use super::{Batch, Caller, Change, Entry, Part, PartitionInfo, Select, Sessions, Value, Written};
use crate::{
    Error, Refusal,
    clock::unix_ms,
    engine::{Fence, Outcome, Put, Write},
};

/// How often a write whose version another writer overtook is tried again.
const ATTEMPTS: u32 = 16;

impl Sessions {
    /// The partitions that the caller may read, by name.
    pub async fn partitions(&self, caller: &Caller, session: SessionId) -> Result<Vec<PartitionInfo>, Error> {
        self.record(session).await?;
        let heads = self.0.engine.heads(session, unix_ms()).await?;
        let seen = heads
            .into_iter()
            .filter(|head| head.keys > 0 && caller.reads(&head.name));
        Ok(seen.map(PartitionInfo::from).collect())
    }

    /// Reads a partition at one moment.
    pub async fn read(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        select: Select,
    ) -> Result<Part, Error> {
        caller.may_with(SessionAccess::Read, "read", partition)?;
        self.record(session).await?;
        let part = self.opened(session, partition, select).await?;
        part.ok_or_else(|| Refusal::NotFound("partition").into())
    }

    /// A partition with its values open. Nobody is asked who reads, and no use is noted: for reads and for replay.
    pub(super) async fn opened(
        &self,
        session: SessionId,
        partition: &PartitionName,
        select: Select,
    ) -> Result<Option<Part>, Error> {
        let engine = &self.0.engine;
        let Some(rows) = engine.read(session, partition.clone(), select, unix_ms()).await? else {
            return Ok(None);
        };
        let entry = |row: crate::engine::Row| {
            Ok(Entry {
                key: row.key,
                version: row.version,
                value: row.value.map(|sealed| Value::decode(&sealed)).transpose()?,
            })
        };
        Ok(Some(Part {
            info: rows.head.into(),
            entries: rows.rows.into_iter().map(entry).collect::<Result<_, Error>>()?,
            is_delta: rows.is_delta,
        }))
    }

    /// Does a batch, or refuses all of it.
    pub async fn write(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        batch: Batch,
    ) -> Result<Written, Error> {
        caller.may_with(SessionAccess::Write, "write", partition)?;
        self.record(session).await?;
        let put = |change: Change| Put {
            key: change.key,
            condition: change.condition,
            value: change.value.map(|value| value.encode()),
        };
        let mut write = Write {
            session,
            partition: partition.clone(),
            fence: Fence {
                node: caller.node.clone(),
                epoch: caller.epoch,
            },
            version: Version(self.0.rising.draw()),
            condition: batch.condition,
            replace: batch.replace,
            puts: batch.changes.into_iter().map(put).collect(),
            expiry: batch.expiry,
            max_bytes: self.0.config.max_bytes,
            max_session_bytes: self.0.config.max_session_bytes,
            now_ms: unix_ms(),
        };
        for _ in 0..ATTEMPTS {
            match self.0.engine.write(write.clone()).await? {
                Outcome::Done { removed, added } => {
                    return Ok(Written {
                        version: write.version,
                        removed,
                        added,
                    });
                }
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Behind(newest) => write.version = Version(self.0.rising.above(newest.0)),
            }
        }
        let detail = "other writers of the partition were faster each time; try again".into();
        Err(Error::Unavailable {
            detail,
            unknown: false,
        })
    }
}

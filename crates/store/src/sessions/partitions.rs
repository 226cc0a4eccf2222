//! Reads and writes of partitions.

use foreshift_wire::{PartitionName, SessionAccess, SessionId, Version};

use super::{
    Batch, Caller, Change, Entry, Part, PartitionInfo, Select, Sessions, Value, Written, declared::declared,
};
use crate::{
    Error, Refusal,
    clock::unix_ms,
    engine::{Fence, Outcome, Put, Record, Row, Rows, Write},
    seal::Place,
};

/// How often a write whose version another writer overtook is tried again.
const ATTEMPTS: u32 = 16;

impl Sessions {
    /// The partitions that the caller may read, by name.
    pub async fn partitions(&self, caller: &Caller, session: SessionId) -> Result<Vec<PartitionInfo>, Error> {
        let record = self.record(session).await?;
        caller.may_use(&record)?;
        let heads = self.0.engine.heads(session, unix_ms()).await?;
        let may_read = |name: &PartitionName| caller.reads(name, self.is_secret(&record, name));
        let seen = heads
            .into_iter()
            .filter(|head| head.keys > 0 && may_read(&head.name));
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
        // What needs no session is refused first, so that a token is no way to find out which sessions there are.
        caller.may_with(SessionAccess::Read, "read", partition, false)?;
        let record = self.record(session).await?;
        caller.may_use(&record)?;
        let secret = self.is_secret(&record, partition);
        caller.may_with(SessionAccess::Read, "read", partition, secret)?;
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
        for _ in 0..ATTEMPTS {
            let Some(record) = engine.record(session).await? else {
                return Ok(None);
            };
            let read = engine.read(session, partition.clone(), select.clone(), unix_ms());
            let Some(rows) = read.await? else {
                return Ok(None);
            };
            match self.unseal(session, &record, rows) {
                // Between the two it may have ended and begun anew, with another key.
                Err(Error::Damaged(_))
                    if engine.record(session).await?.map(|now| now.key) != Some(record.key) => {}
                part => return part.map(Some),
            }
        }
        Err(too_fast())
    }

    fn unseal(&self, session: SessionId, record: &Record, rows: Rows) -> Result<Part, Error> {
        let key = self.0.seal.key(session, &record.key)?;
        let partition = rows.head.name.clone();
        let entry = |row: Row| {
            let place = Place {
                session,
                partition: &partition,
                key: &row.key,
                version: row.version,
            };
            let opened = row.value.map(|sealed| Value::open(&key, place, &sealed));
            let value = opened.transpose()?;
            Ok(Entry {
                key: row.key,
                version: row.version,
                value,
            })
        };
        Ok(Part {
            info: rows.head.into(),
            entries: rows.rows.into_iter().map(entry).collect::<Result<_, Error>>()?,
            is_delta: rows.is_delta,
        })
    }

    /// Does a batch, or refuses all of it.
    pub async fn write(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        batch: Batch,
    ) -> Result<Written, Error> {
        caller.may_with(SessionAccess::Write, "write", partition, false)?;
        let mut record = self.record(session).await?;
        let mut version = Version(self.0.rising.draw());
        for _ in 0..ATTEMPTS {
            caller.may_use(&record)?;
            // Sealed for this version, and with the key of this reign.
            let puts = self.puts(session, partition, &record, version, &batch.changes)?;
            let write = Write {
                session,
                partition: partition.clone(),
                fence: Fence {
                    node: caller.node.clone(),
                    epoch: Some(caller.epoch.unwrap_or(record.epoch)),
                },
                version,
                condition: batch.condition,
                replace: batch.replace,
                puts,
                expiry: batch.expiry,
                max_bytes: self.0.config.max_bytes,
                max_session_bytes: self.0.config.max_session_bytes,
                now_ms: unix_ms(),
            };
            match self.0.engine.write(write).await? {
                Outcome::Done { removed, added } => {
                    return Ok(Written {
                        version,
                        removed,
                        added,
                    });
                }
                // The caller did not say in which reign it writes: in the one that is.
                Outcome::Refused(Refusal::Fenced { epoch, .. })
                    if caller.epoch.is_none() && epoch != record.epoch =>
                {
                    record = self.record(session).await?;
                }
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Behind(newest) => version = Version(self.0.rising.above(newest.0)),
            }
        }
        Err(too_fast())
    }

    fn is_secret(&self, record: &Record, partition: &PartitionName) -> bool {
        declared(&self.0.config, record.pool.as_ref(), partition).is_some_and(|declared| declared.secret)
    }

    fn puts(
        &self,
        session: SessionId,
        partition: &PartitionName,
        record: &Record,
        version: Version,
        changes: &[Change],
    ) -> Result<Vec<Put>, Error> {
        let sealing = self.0.seal.key(session, &record.key)?;
        let put = |change: &Change| {
            let place = Place {
                session,
                partition,
                key: &change.key,
                version,
            };
            let value = change
                .value
                .as_ref()
                .map(|value| value.seal(&sealing, place))
                .transpose()?;
            Ok(Put {
                key: change.key.clone(),
                condition: change.condition,
                value,
            })
        };
        changes.iter().map(put).collect()
    }
}

fn too_fast() -> Error {
    Error::Unavailable {
        detail: "others that use the session were faster each time; try again".into(),
        unknown: false,
    }
}

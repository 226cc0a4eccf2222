//! Reads and writes of partitions.

use foreshift_wire::{PartitionName, SessionAccess, SessionId, Version};

use super::{
    Batch, Caller, Change, Entry, Part, PartitionInfo, Select, Sessions, Value, Written, limits,
    policy::Rules, records::ATTEMPTS,
};
use crate::{
    Error, Refusal,
    engine::{Fence, Outcome, Put, Record, Row, Rows, Write},
    seal::Place,
};

impl Sessions {
    /// The partitions that the caller may read, by name.
    pub async fn partitions(&self, caller: &Caller, session: SessionId) -> Result<Vec<PartitionInfo>, Error> {
        let mut record = self.record(session).await?;
        caller.may_use(&record)?;
        self.note_use(session, &mut record, false).await?;
        let heads = self.0.engine.heads(session, self.now_ms()).await?;
        let may_read = |name: &PartitionName| caller.reads(name, self.rules(&record, name).is_secret);
        let seen = heads
            .into_iter()
            .filter(|head| head.keys > 0 && may_read(&head.name));
        Ok(seen.map(PartitionInfo::from).collect())
    }

    pub(super) async fn read_now(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        select: Select,
    ) -> Result<Part, Error> {
        // What needs no session is refused first, so that a token is no way to find out which sessions there are.
        caller.may_with(SessionAccess::Read, "read", partition, false)?;
        if let Select::Keys(keys) = &select {
            limits::count(keys.len())?;
        }
        let mut record = self.record(session).await?;
        caller.may_use(&record)?;
        let is_secret = self.rules(&record, partition).is_secret;
        caller.may_with(SessionAccess::Read, "read", partition, is_secret)?;
        self.note_use(session, &mut record, false).await?;
        self.note_read(&record, session, partition, &select);
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
            let Some(record) = self.known(session).await? else {
                return Ok(None);
            };
            let read = engine.read(session, partition.clone(), select.clone(), self.now_ms());
            let Some(rows) = read.await? else {
                return Ok(None);
            };
            match self.unseal(session, &record, rows) {
                // Between the two it may have ended and begun anew, with another key.
                Err(Error::Damaged(_))
                    if engine.record(session).await?.map(|now| now.key) != Some(record.key) =>
                {
                    self.0.records.forget(session);
                }
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

    pub(super) async fn write_now(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        batch: Batch,
    ) -> Result<Written, Error> {
        caller.may_with(SessionAccess::Write, "write", partition, false)?;
        limits::check(&batch, &self.0.config)?;
        let has_values = batch.changes.iter().any(|change| change.value.is_some());
        let mut record = self.record(session).await?;
        if caller.is_of(&record) {
            self.note_use(session, &mut record, true).await?;
        }
        let mut version = Version(self.0.rising.draw());
        for _ in 0..ATTEMPTS {
            caller.may_use(&record)?;
            let rules = self.rules(&record, partition);
            rules.check(partition, has_values)?;
            // Sealed for this version, and with the key of this reign.
            let puts = match self.puts(session, partition, &record, version, &batch.changes) {
                Ok(puts) => puts,
                Err(error) => {
                    // Its key may have been wrapped anew since it was looked at.
                    self.0.records.forget(session);
                    let before = std::mem::replace(&mut record, self.record(session).await?);
                    if before.key == record.key {
                        return Err(error);
                    }
                    continue;
                }
            };
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
                expiry: rules.expiry(batch.expiry, self.now_ms()),
                max_bytes: rules.max_bytes,
                max_session_bytes: self.0.config.max_session_bytes,
                now_ms: self.now_ms(),
            };
            match self.0.engine.write(write).await? {
                Outcome::Done { removed, added } => {
                    self.note_write(&record, session, partition, &batch);
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
                    self.0.records.forget(session);
                    record = self.record(session).await?;
                }
                // It ended since it was looked at; it may have begun anew, or begin by this.
                Outcome::Refused(Refusal::NoSession) if self.0.records.forget(session) => {
                    record = self.record(session).await?;
                }
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Behind(newest) => version = Version(self.0.rising.above(newest.0)),
            }
        }
        Err(too_fast())
    }

    fn rules(&self, record: &Record, partition: &PartitionName) -> Rules {
        Rules::of(&self.0.config, record.pool.as_ref(), partition)
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

pub(super) fn too_fast() -> Error {
    Error::Unavailable {
        detail: "others that use the session were faster each time; try again".into(),
        unknown: false,
    }
}

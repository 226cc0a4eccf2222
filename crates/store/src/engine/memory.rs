//! Sessions in memory: what tests run on, and what other engines are held against.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use foreshift_wire::{PartitionName, SessionId, Version};

use super::{
    Cursor, Engine, Expiry, Head, Outcome, PARTITIONS_MAX, Page, REMOVED_MAX, Record, Row, Rows, Select,
    Write, too_many_partitions,
};
use crate::{BoxFuture, Error, Refusal};

/// Sessions of a page.
const PAGE: usize = 256;

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<SessionId, Session>>);

#[derive(Debug, Clone)]
struct Session {
    record: Record,
    partitions: BTreeMap<PartitionName, Partition>,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    version: Version,
    floor: Version,
    expires_ms: Option<u64>,
    keys: BTreeMap<Bytes, (Version, Bytes)>,
    removed: BTreeMap<Bytes, Version>,
}

impl Partition {
    /// It is not over. Without keys it only remembers its version and what was removed.
    fn is_remembered(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|at| now_ms < at)
    }

    fn is_there(&self, now_ms: u64) -> bool {
        self.is_remembered(now_ms) && !self.keys.is_empty()
    }

    fn bytes(&self) -> u64 {
        let size = |(key, (_, value)): (&Bytes, &(Version, Bytes))| (key.len() + value.len()) as u64;
        self.keys.iter().map(size).sum()
    }

    fn head(&self, name: &PartitionName) -> Head {
        Head {
            name: name.clone(),
            version: self.version,
            floor: self.floor,
            keys: self.keys.len() as u64,
            bytes: self.bytes(),
            expires_ms: self.expires_ms,
        }
    }

    fn remove(&mut self, key: &Bytes, at: Version) -> bool {
        let was_there = self.keys.remove(key).is_some();
        if was_there {
            self.removed.insert(key.clone(), at);
        }
        was_there
    }

    /// Forgets the oldest of too many removed keys.
    fn forget(&mut self) {
        while self.removed.len() > REMOVED_MAX {
            let Some(oldest) = self.removed.values().min().copied() else {
                return;
            };
            self.removed.retain(|_, at| *at != oldest);
            self.floor = self.floor.max(oldest);
        }
    }

    fn rows(&self, select: &Select) -> (Vec<Row>, bool) {
        let row = |key: &Bytes, version: Version, value: Option<&Bytes>| Row {
            key: key.clone(),
            version,
            value: value.cloned(),
        };
        let all = || {
            self.keys
                .iter()
                .map(|(key, (version, value))| row(key, *version, Some(value)))
        };
        match select {
            Select::All => (all().collect(), false),
            Select::Head => (Vec::new(), false),
            Select::Keys(keys) => {
                let mut wanted: Vec<_> = keys.iter().collect();
                wanted.sort_unstable();
                wanted.dedup();
                let found = |key: &Bytes| self.keys.get(key).map(|(v, value)| row(key, *v, Some(value)));
                (wanted.into_iter().filter_map(found).collect(), false)
            }
            Select::Since(since) if *since < self.floor => (all().collect(), false),
            Select::Since(since) => {
                let mut rows: Vec<_> = all().filter(|row| row.version > *since).collect();
                let removed = self.removed.iter().filter(|(_, at)| **at > *since);
                rows.extend(removed.map(|(key, at)| row(key, *at, None)));
                rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                (rows, true)
            }
        }
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Session>> {
        // Nothing is half done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, write: Write) -> Outcome {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(&write.session) else {
            return Outcome::Refused(Refusal::NoSession);
        };
        if let Some(refusal) = session.record.refusal(&write) {
            return Outcome::Refused(refusal);
        }
        let others: u64 = session
            .partitions
            .iter()
            .filter(|(name, partition)| **name != write.partition && partition.is_there(write.now_ms))
            .map(|(_, partition)| partition.bytes())
            .sum();
        let current = session.partitions.get(&write.partition);
        let remembered = current.filter(|p| p.is_remembered(write.now_ms));
        let found = remembered.filter(|p| !p.keys.is_empty()).map(|p| p.version);
        if let Some(newest) = current
            .map(|p| p.version)
            .filter(|newest| *newest >= write.version)
        {
            return Outcome::Behind(newest);
        }
        if !write.condition.holds(found) {
            let found = found.unwrap_or_default();
            return Outcome::Refused(Refusal::Conflict { key: None, found });
        }
        let mut next = remembered.cloned().unwrap_or_else(|| Partition {
            // What was there before is not remembered key by key.
            floor: write.version,
            ..Partition::default()
        });
        match next.take(&write) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(_) if current.is_none() && session.partitions.len() >= PARTITIONS_MAX => {
                Outcome::Refused(too_many_partitions())
            }
            Ok(_) if next.bytes() + others > write.max_session_bytes => Outcome::Refused(Refusal::TooLarge {
                what: "the session",
                bytes: next.bytes() + others,
                limit: write.max_session_bytes,
            }),
            Ok((removed, added)) => {
                session.partitions.insert(write.partition, next);
                Outcome::Done { removed, added }
            }
        }
    }
}

impl Partition {
    fn take(&mut self, write: &Write) -> Result<(u32, u32), Refusal> {
        for put in &write.puts {
            let found = self.keys.get(&put.key).map(|(version, _)| *version);
            if !put.condition.holds(found) {
                return Err(Refusal::Conflict {
                    key: Some(put.key.clone()),
                    found: found.unwrap_or_default(),
                });
            }
        }
        let (mut removed, mut added) = (0, 0);
        if write.replace {
            let unnamed: Vec<_> = self
                .keys
                .keys()
                .filter(|key| !write.puts.iter().any(|p| p.key == **key))
                .cloned()
                .collect();
            for key in unnamed {
                removed += u32::from(self.remove(&key, write.version));
            }
        }
        for put in &write.puts {
            match &put.value {
                Some(value) => {
                    self.removed.remove(&put.key);
                    let before = self.keys.insert(put.key.clone(), (write.version, value.clone()));
                    added += u32::from(before.is_none());
                }
                None => removed += u32::from(self.remove(&put.key, write.version)),
            }
        }
        let bytes = self.bytes();
        if bytes > write.max_bytes {
            return Err(Refusal::TooLarge {
                what: "the partition",
                bytes,
                limit: write.max_bytes,
            });
        }
        self.version = write.version;
        match write.expiry {
            Expiry::Keep => {}
            Expiry::At(at) => self.expires_ms = Some(at),
            Expiry::Never => self.expires_ms = None,
        }
        self.forget();
        Ok((removed, added))
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Engine for Memory {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        ready(self.lock().get(&session).map(|s| s.record.clone()))
    }

    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        let mut sessions = self.lock();
        let found = sessions.get(&session).map(|s| s.record.clone());
        let is_older = found.as_ref().is_some_and(|found| found.epoch > record.epoch);
        if found != expected || is_older {
            return ready(Err(found));
        }
        match sessions.get_mut(&session) {
            Some(session) => session.record = record,
            None => {
                let partitions = BTreeMap::new();
                sessions.insert(session, Session { record, partitions });
            }
        }
        ready(Ok(()))
    }

    fn clear(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        let mut sessions = self.lock();
        let found = sessions.get(&session).map(|s| s.record.clone());
        if found != expected {
            return ready(Err(found));
        }
        match record {
            Some(record) => {
                let partitions = BTreeMap::new();
                sessions.insert(session, Session { record, partitions });
            }
            None => drop(sessions.remove(&session)),
        }
        ready(Ok(()))
    }

    fn heads(&self, session: SessionId, now_ms: u64) -> BoxFuture<'_, Result<Vec<Head>, Error>> {
        let sessions = self.lock();
        let partitions = sessions
            .get(&session)
            .map(|s| s.partitions.iter())
            .into_iter()
            .flatten();
        let there = partitions.filter(|(_, partition)| partition.is_remembered(now_ms));
        ready(there.map(|(name, partition)| partition.head(name)).collect())
    }

    fn read(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> BoxFuture<'_, Result<Option<Rows>, Error>> {
        let sessions = self.lock();
        let found = sessions.get(&session).and_then(|s| s.partitions.get(&partition));
        let rows = found.filter(|found| found.is_remembered(now_ms)).map(|found| {
            let (rows, is_delta) = found.rows(&select);
            let head = found.head(&partition);
            Rows { head, rows, is_delta }
        });
        ready(rows)
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>> {
        ready(self.apply(write))
    }

    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>> {
        let after = from.and_then(|cursor| cursor.session());
        let sessions = self.lock();
        let above = sessions
            .iter()
            .filter(|(id, _)| after.is_none_or(|after| **id > after));
        let sessions: Vec<_> = above
            .take(PAGE)
            .map(|(id, session)| (*id, session.record.clone()))
            .collect();
        let is_full = sessions.len() == PAGE;
        let last = sessions.last().filter(|_| is_full);
        let next = last.map(|(id, _)| Cursor::after(*id));
        ready(Page { sessions, next })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

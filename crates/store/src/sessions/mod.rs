//! The service: who may do what with which session, in which version, and who serves it.

mod access;
mod registry;
mod value;

use std::sync::Arc;

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, Session, SessionAccess, SessionId, Version};
use rand::Rng;

pub use self::{
    access::{Access, Caller},
    registry::Served,
    value::Value,
};
pub use crate::engine::{Expiry, If, Select};
use crate::{
    Engine, Error, Refusal,
    clock::{Rising, unix_ms},
    engine::{Fence, Head, Outcome, Put, Record, Write},
};
use registry::Registry;

/// How often a write whose version another writer overtook is tried again.
const ATTEMPTS: u32 = 16;

/// Sessions and their state. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    config: Session,
    rising: Rising,
    registry: Registry,
}

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

impl Sessions {
    /// Sessions over an engine.
    pub fn over(engine: Arc<dyn Engine>, config: Session) -> Self {
        Self(Arc::new(Inner {
            engine,
            config,
            rising: Rising::default(),
            registry: Registry::default(),
        }))
    }

    /// The ingress serves a session by this node from now on. Never waits.
    pub fn serving(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Served {
        let Inner { registry, rising, .. } = &*self.0;
        registry.serving(session, pool, node, || Epoch(rising.draw()))
    }

    /// Makes a session; its id is of the system's generator.
    pub async fn create(&self, caller: &Caller) -> Result<SessionId, Error> {
        caller.may(SessionAccess::Admin, "make", "sessions")?;
        let mut id = [0; 16];
        rand::rng().fill_bytes(&mut id);
        let id = SessionId(u128::from_ne_bytes(id));
        self.begin(id, None, None, Epoch(self.0.rising.draw())).await?;
        Ok(id)
    }

    /// A session.
    pub async fn info(&self, caller: &Caller, session: SessionId) -> Result<SessionInfo, Error> {
        caller.may(SessionAccess::Read, "read", "sessions")?;
        let record = self.record(session).await?;
        Ok(SessionInfo {
            id: session,
            pool: record.pool,
            created_ms: record.created_ms,
            used_ms: record.used_ms,
            ends_ms: record.ends_ms,
            owner: record.owner,
            epoch: record.epoch,
            revoked_ms: record.revoked_ms,
        })
    }

    /// The partitions that the caller may read, by name.
    pub async fn partitions(&self, caller: &Caller, session: SessionId) -> Result<Vec<PartitionInfo>, Error> {
        self.record(session).await?;
        let heads = self.0.engine.heads(session, unix_ms()).await?;
        let seen = heads
            .into_iter()
            .filter(|head| head.keys > 0 && caller.reads(&head.name));
        Ok(seen.map(info_of).collect())
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
        let rows = self
            .0
            .engine
            .read(session, partition.clone(), select, unix_ms())
            .await?;
        let rows = rows.ok_or(Refusal::NotFound("partition"))?;
        let entry = |row: crate::engine::Row| {
            Ok(Entry {
                key: row.key,
                version: row.version,
                value: row.value.map(|sealed| Value::decode(&sealed)).transpose()?,
            })
        };
        Ok(Part {
            info: info_of(rows.head),
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

    /// Ends a session: its state is deleted. Its id begins anew, empty, where the ingress serves it again.
    pub async fn end(&self, caller: &Caller, session: SessionId) -> Result<(), Error> {
        caller.may(SessionAccess::Admin, "end", "sessions")?;
        self.record(session).await?;
        self.0.registry.forget(session);
        self.0.engine.clear(session, None).await
    }

    /// The record of a session that is there. One that the ingress serves and that has none yet begins.
    async fn record(&self, session: SessionId) -> Result<Record, Error> {
        let served = self.0.registry.get(session);
        match self.0.engine.record(session).await? {
            Some(record) if record.revoked_ms.is_some() => Err(Refusal::Revoked.into()),
            Some(record) if unix_ms() >= record.ends_ms => Err(Refusal::NoSession.into()),
            Some(record) => match served {
                // The ingress knows better who serves it.
                Some((_, node, epoch)) if epoch > record.epoch => {
                    let next = Record {
                        owner: Some(node),
                        epoch,
                        ..record.clone()
                    };
                    let stored = self
                        .0
                        .engine
                        .put_record(session, Some(record), next.clone())
                        .await?;
                    Ok(stored.map_or_else(|found| found.unwrap_or_else(|| next.clone()), |()| next.clone()))
                }
                _ => Ok(record),
            },
            None => {
                let (pool, node, epoch) = served.ok_or(Refusal::NoSession)?;
                self.begin(session, Some(pool), Some(node), epoch).await
            }
        }
    }

    async fn begin(
        &self,
        session: SessionId,
        pool: Option<PoolName>,
        owner: Option<NodeId>,
        epoch: Epoch,
    ) -> Result<Record, Error> {
        let now = unix_ms();
        let record = Record {
            pool,
            created_ms: now,
            used_ms: now,
            ends_ms: now + self.0.config.absolute_timeout.get().as_millis() as u64,
            owner,
            epoch,
            revoked_ms: None,
            key: Bytes::new(),
        };
        match self.0.engine.put_record(session, None, record.clone()).await? {
            Ok(()) => Ok(record),
            // Somebody else began it at the same time.
            Err(Some(found)) => Ok(found),
            Err(None) => Err(Refusal::NoSession.into()),
        }
    }

    /// Ends the engine; what was acknowledged is stored.
    pub async fn close(&self) {
        self.0.engine.close().await;
    }
}

fn info_of(head: Head) -> PartitionInfo {
    PartitionInfo {
        name: head.name,
        version: head.version,
        keys: head.keys,
        bytes: head.bytes,
        expires_ms: head.expires_ms,
    }
}

//! Records of sessions, held for a moment in memory, and what is to become of one when its session is used.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PoolName, SessionId};

use super::{Sessions, lifetime::Lifetime, partitions::too_fast, registry::Reign};
use crate::{Error, Refusal, engine::Record, generations::Generations};

/// How often what others overtook is tried again.
pub(super) const ATTEMPTS: u32 = 16;
/// How long a record is taken for what it is: after so long at the latest it is seen what another process did to it. What this one
/// does is seen at once, and writes are checked by the engine in any case.
const FRESH: Duration = Duration::from_secs(1);
const SHARDS: usize = 32;
/// Memory of one record with its names and key, about.
const ENTRY_BYTES: u64 = 512;

/// Records that were read or written lately; the one that was not used for longest is forgotten.
#[derive(Debug)]
pub(super) struct Records(Vec<Mutex<Generations<SessionId, Held>>>);

#[derive(Debug)]
struct Held {
    record: Record,
    at: Instant,
    /// Somebody notes its use.
    is_noted: bool,
}

impl Records {
    /// With about so much memory.
    pub(super) fn of(bytes: u64) -> Self {
        let most = usize::try_from(bytes / ENTRY_BYTES).unwrap_or(usize::MAX);
        Self(
            (0..SHARDS)
                .map(|_| Mutex::new(Generations::of(most / SHARDS)))
                .collect(),
        )
    }

    fn shard(&self, session: SessionId) -> MutexGuard<'_, Generations<SessionId, Held>> {
        let shard = &self.0[session.0 as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, session: SessionId) -> Option<Record> {
        let mut shard = self.shard(session);
        let held = shard.get(&session).filter(|held| held.at.elapsed() < FRESH)?;
        Some(held.record.clone())
    }

    fn put(&self, session: SessionId, record: Record) {
        let mut shard = self.shard(session);
        // Two that read or write at once may come in either order; a later reign holds.
        let is_later = |held: &&mut Held| held.record.epoch > record.epoch && held.at.elapsed() < FRESH;
        if shard.get(&session).as_ref().is_some_and(is_later) {
            return;
        }
        let (at, is_noted) = (Instant::now(), false);
        shard.put(session, Held { record, at, is_noted });
    }

    pub(super) fn forget_all(&self) {
        for shard in &self.0 {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Whether there was one.
    pub(super) fn forget(&self, session: SessionId) -> bool {
        self.shard(session).remove(&session).is_some()
    }

    /// Whether the caller is the one that notes the session's use.
    fn takes_note(&self, session: SessionId) -> bool {
        let mut shard = self.shard(session);
        shard
            .get(&session)
            .is_none_or(|held| !std::mem::replace(&mut held.is_noted, true))
    }
}

/// What is to become of a record when its session is used.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Nothing.
    Use,
    /// It cannot be used.
    Refuse(Refusal),
    /// It begins, or begins anew in place of what ended.
    Begin(Reign),
    /// Another node serves it than the record says.
    Adopt(Reign),
}

/// The ingress knows better than the record who serves a session, where its reign is the later one.
fn next(found: Option<&Record>, served: Option<Reign>, lifetime: Lifetime, now_ms: u64) -> Next {
    let begin = |served: Option<Reign>| served.map_or(Next::Refuse(Refusal::NoSession), Next::Begin);
    match (found, served) {
        (None, served) => begin(served),
        (Some(record), served) if lifetime.over(record, now_ms).is_some() => begin(served),
        (Some(record), _) if record.revoked_ms.is_some() => Next::Refuse(Refusal::Revoked),
        (Some(record), Some(reign)) if reign.epoch > record.epoch => Next::Adopt(reign),
        (Some(_), _) => Next::Use,
    }
}

impl Sessions {
    /// The record of a session as it was a moment ago; `None` where there is none.
    pub(super) async fn known(&self, session: SessionId) -> Result<Option<Record>, Error> {
        if let Some(record) = self.0.records.get(session) {
            return Ok(Some(record));
        }
        let found = self.0.engine.record(session).await?;
        if let Some(record) = &found {
            self.0.records.put(session, record.clone());
        }
        Ok(found)
    }

    /// The record of a session that is there. One that the ingress serves and that has none yet begins.
    pub(super) async fn record(&self, session: SessionId) -> Result<Record, Error> {
        for _ in 0..ATTEMPTS {
            if self.0.registry.is_revoked(session) {
                return Err(Refusal::Revoked.into());
            }
            let found = self.known(session).await?;
            let served = self.0.registry.get(session);
            match next(found.as_ref(), served, self.0.lifetime, self.now_ms()) {
                Next::Use => return found.ok_or_else(|| Refusal::NoSession.into()),
                Next::Refuse(refusal) => return Err(refusal.into()),
                Next::Begin(reign) => {
                    let Reign { pool, node, epoch } = reign;
                    if let Some(record) = self.begin(session, found, Some(pool), Some(node), epoch).await? {
                        return Ok(record);
                    }
                }
                Next::Adopt(Reign { node, epoch, .. }) => {
                    let next = found.clone().map(|record| Record {
                        owner: Some(node),
                        epoch,
                        ..record
                    });
                    if let Some(next) = next
                        && self.replace(session, found, next.clone()).await?
                    {
                        return Ok(next);
                    }
                }
            }
        }
        Err(too_fast())
    }

    /// Begins a session in place of what was found, which is over; `None` where that is another one now.
    pub(super) async fn begin(
        &self,
        session: SessionId,
        found: Option<Record>,
        pool: Option<PoolName>,
        owner: Option<NodeId>,
        epoch: Epoch,
    ) -> Result<Option<Record>, Error> {
        let _begins = self.0.keeper.begins().await;
        let now = self.now_ms();
        let record = Record {
            pool,
            created_ms: now,
            used_ms: now,
            ends_ms: now.saturating_add(self.0.lifetime.absolute_ms),
            owner,
            // A clock that went back does not take it back to a reign before.
            epoch: found.as_ref().map_or(epoch, |found| found.epoch.max(epoch)),
            revoked_ms: None,
            key: self.key_of(session, found.as_ref(), epoch)?,
        };
        let is_begun = match found {
            None => self.replace(session, None, record.clone()).await?,
            over => self.clear(session, over, Some(record.clone())).await?,
        };
        Ok(is_begun.then_some(record))
    }

    /// The wrapped key of a session that begins: a new one; the one before where it begins anew in the same reign, as a write of
    /// that reign may be under way with it.
    fn key_of(&self, session: SessionId, found: Option<&Record>, epoch: Epoch) -> Result<Bytes, Error> {
        let same_reign = found.filter(|found| found.epoch >= epoch);
        match same_reign.filter(|found| self.0.seal.key(session, &found.key).is_ok()) {
            Some(found) => Ok(found.key.clone()),
            None => self.0.seal.begin(session),
        }
    }

    /// Stores a record where there still is what was found; else the next look finds what is there.
    pub(super) async fn replace(
        &self,
        session: SessionId,
        found: Option<Record>,
        next: Record,
    ) -> Result<bool, Error> {
        let stored = self.0.engine.put_record(session, found, next.clone()).await?;
        Ok(self.held(session, stored, Some(next)))
    }

    /// Removes the session's partitions, and puts another record in the place of what was found.
    pub(super) async fn clear(
        &self,
        session: SessionId,
        found: Option<Record>,
        next: Option<Record>,
    ) -> Result<bool, Error> {
        let cleared = self.0.engine.clear(session, found, next.clone()).await?;
        if cleared.is_ok() {
            self.forget_replay(session);
        }
        Ok(self.held(session, cleared, next))
    }

    fn held(&self, session: SessionId, done: Result<(), Option<Record>>, next: Option<Record>) -> bool {
        let is_done = done.is_ok();
        let there = done.map_or_else(|found| found, |()| next);
        if !is_done || there.is_none() {
            self.0.records.forget(session);
        }
        if let Some(there) = there {
            self.0.records.put(session, there);
        }
        is_done
    }

    /// Notes that a session was used, where that is due: beside the caller, but before it where the session might end else.
    pub(super) async fn note_use(
        &self,
        session: SessionId,
        record: &mut Record,
        writes: bool,
    ) -> Result<(), Error> {
        let (lifetime, now) = (self.0.lifetime, self.now_ms());
        if !lifetime.is_note_due(record, now) {
            return Ok(());
        }
        let next = Record {
            used_ms: now,
            ..record.clone()
        };
        if writes && lifetime.is_note_urgent(record, now) {
            // Where others changed it they use it too, or ended it: the write will tell.
            if self.replace(session, Some(record.clone()), next.clone()).await? {
                *record = next;
            }
            return Ok(());
        }
        let Ok(turn) = self.0.notes.clone().try_acquire_owned() else {
            // The next use will do.
            return Ok(());
        };
        if self.0.records.takes_note(session) {
            let (sessions, found) = (self.clone(), record.clone());
            tokio::spawn(async move {
                // Whether it was noted or not, nobody waits; a later use notes it else.
                let _ = sessions.replace(session, Some(found), next).await;
                drop(turn);
            });
        }
        Ok(())
    }
}

/// What is left of a session that was revoked: nothing that could be read.
pub(super) fn tombstone(found: Option<&Record>, epoch: Epoch, now_ms: u64, until_ms: u64) -> Record {
    Record {
        pool: found.and_then(|found| found.pool.clone()),
        created_ms: found.map_or(now_ms, |found| found.created_ms),
        used_ms: found.map_or(now_ms, |found| found.used_ms),
        ends_ms: until_ms,
        owner: None,
        epoch: found.map_or(epoch, |found| found.epoch.max(epoch)),
        revoked_ms: Some(now_ms),
        key: Bytes::new(),
    }
}

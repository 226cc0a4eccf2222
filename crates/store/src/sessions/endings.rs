//! How sessions end before their time: ended, so that the id begins anew, or revoked, so that it does not.

use foreshift_wire::{Epoch, NodeId, PoolName, SessionAccess, SessionId};
use tokio::sync::broadcast;

use super::{
    Caller, Sessions,
    partitions::too_fast,
    records::{ATTEMPTS, tombstone},
};
use crate::{Error, Refusal, engine::Record};

/// A session that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub session: SessionId,
    /// Why.
    pub why: Ending,
    /// The pool whose ingress issued the id, where it did.
    pub pool: Option<PoolName>,
    /// Later than all its reigns until now. Who serves it in a later one has what began anew under its id.
    pub epoch: Epoch,
    /// Nodes that may have copies of its state: which served it or were told of it, as far as is remembered.
    pub copies: Vec<NodeId>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Somebody ended it. Its id begins anew, empty.
    Ended,
    /// Somebody revoked it.
    Revoked,
    /// Nobody read or wrote it for the idle timeout.
    Idle,
    /// It was as old as sessions become.
    TimedOut,
}

impl Sessions {
    /// Sessions that end from now on, so that their streams can be closed and copies of their state be deleted. Who lags behind by
    /// thousands is told so, and cannot know which it missed.
    pub fn endings(&self) -> broadcast::Receiver<Ended> {
        self.0.endings.subscribe()
    }

    /// What is to be told of an ending. To be called before its reign is forgotten.
    pub(super) fn ended(&self, session: SessionId, record: Option<&Record>, why: Ending) -> Ended {
        let reign = self.0.registry.get(session);
        let last = record.map_or(0, |record| record.epoch.0);
        let (pool, owner, last) = match (reign, record) {
            (Some(reign), _) => (Some(reign.pool), Some(reign.node), last.max(reign.epoch.0)),
            (None, Some(record)) => (record.pool.clone(), record.owner.clone(), last),
            (None, None) => (None, None, last),
        };
        let mut copies = self.holders(session);
        copies.extend(owner.filter(|owner| !copies.contains(owner)));
        Ended {
            session,
            why,
            pool,
            epoch: Epoch(self.0.rising.above(last)),
            copies,
        }
    }

    /// To be called once its reign is forgotten: who hears of it asks who serves the session now.
    pub(super) fn tell_ending(&self, ended: Ended) {
        // Where nobody listens nobody need know.
        let _ = self.0.endings.send(ended);
    }

    /// Ends a session: its state is deleted. Its id begins anew, empty, where the ingress serves it again.
    pub async fn end(&self, caller: &Caller, session: SessionId) -> Result<(), Error> {
        caller.may(SessionAccess::Admin, "end", "sessions")?;
        for _ in 0..ATTEMPTS {
            let is_served = self.is_served_unless_revoked(session)?;
            let found = self.0.engine.record(session).await?;
            let now = self.now_ms();
            let there = found
                .as_ref()
                .filter(|record| self.0.lifetime.over(record, now).is_none());
            if let Some(record) = there {
                caller.may_use(record)?;
            }
            match there {
                Some(record) if record.revoked_ms.is_some() => return Err(Refusal::Revoked.into()),
                None if !is_served => return Err(Refusal::NoSession.into()),
                _ => {}
            }
            if found.is_none() || self.clear(session, found.clone(), None).await? {
                let ended = self.ended(session, found.as_ref(), Ending::Ended);
                self.0.registry.forget(session);
                self.forget_replay(session);
                self.tell_ending(ended);
                return Ok(());
            }
        }
        Err(too_fast())
    }

    /// Revokes a session: its state is deleted, and for the absolute timeout from now nothing of it is let in or answered, whatever
    /// is tried. Revoking it again changes nothing.
    pub async fn revoke(&self, caller: &Caller, session: SessionId) -> Result<(), Error> {
        caller.may(SessionAccess::Admin, "revoke", "sessions")?;
        for _ in 0..ATTEMPTS {
            let is_served = self.0.registry.get(session).is_some();
            let found = self.0.engine.record(session).await?;
            let now = self.now_ms();
            let is_over = |record| self.0.lifetime.over(record, now).is_some();
            if found.as_ref().is_none_or(is_over) && !is_served {
                return Err(Refusal::NoSession.into());
            }
            if let Some(record) = &found
                && record.revoked_ms.is_some()
                && !is_over(record)
            {
                self.0.registry.revoke(session, record.ends_ms);
                return Ok(());
            }
            if let Some(record) = &found {
                caller.may_use(record)?;
            }
            let until = now.saturating_add(self.0.lifetime.absolute_ms);
            let next = tombstone(found.as_ref(), Epoch(self.0.rising.draw()), now, until);
            if self.clear(session, found.clone(), Some(next)).await? {
                let ended = self.ended(session, found.as_ref(), Ending::Revoked);
                self.0.registry.revoke(session, until);
                self.tell_ending(ended);
                return Ok(());
            }
        }
        Err(too_fast())
    }

    fn is_served_unless_revoked(&self, session: SessionId) -> Result<bool, Refusal> {
        match self.0.registry.is_revoked(session) {
            true => Err(Refusal::Revoked),
            false => Ok(self.0.registry.get(session).is_some()),
        }
    }
}

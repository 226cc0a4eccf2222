//! How sessions end before their time: ended, so that the id begins anew, or revoked, so that it does not.

use foreshift_wire::{Epoch, SessionAccess, SessionId};
use tokio::sync::broadcast;

use super::{
    Caller, Sessions,
    partitions::too_fast,
    records::{ATTEMPTS, tombstone},
};
use crate::{Error, Refusal};

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
    pub fn endings(&self) -> broadcast::Receiver<(SessionId, Ending)> {
        self.0.endings.subscribe()
    }

    pub(super) fn tell_ending(&self, session: SessionId, ending: Ending) {
        // Where nobody listens nobody need know.
        let _ = self.0.endings.send((session, ending));
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
            if found.is_none() || self.clear(session, found, None).await? {
                self.0.registry.forget(session);
                self.forget_replay(session);
                self.tell_ending(session, Ending::Ended);
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
            if self.clear(session, found, Some(next)).await? {
                self.0.registry.revoke(session, until);
                self.tell_ending(session, Ending::Revoked);
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

//! Where sessions begin and end, and who serves them.

use foreshift_wire::{Epoch, NodeId, PoolName, SessionAccess, SessionId};
use rand::Rng;

use super::{Caller, Served, SessionInfo, Sessions};
use crate::{Error, Refusal, clock::unix_ms, engine::Record};

impl Sessions {
    /// The ingress serves a session by this node from now on. Never waits.
    pub fn serving(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Served {
        let super::Inner { registry, rising, .. } = &*self.0;
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
        caller.may_use(&record)?;
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

    /// Ends a session: its state is deleted. Its id begins anew, empty, where the ingress serves it again.
    pub async fn end(&self, caller: &Caller, session: SessionId) -> Result<(), Error> {
        caller.may(SessionAccess::Admin, "end", "sessions")?;
        let record = self.record(session).await?;
        caller.may_use(&record)?;
        let mut record = Some(record);
        self.0.registry.forget(session);
        // Whatever became of it meanwhile, it ends.
        while let Err(found) = self.0.engine.clear(session, record, None).await? {
            record = found;
        }
        self.forget_replay(session);
        Ok(())
    }

    /// The record of a session that is there. One that the ingress serves and that has none yet begins.
    pub(super) async fn record(&self, session: SessionId) -> Result<Record, Error> {
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
        let _begins = self.0.keeper.begins().await;
        let now = unix_ms();
        let record = Record {
            pool,
            created_ms: now,
            used_ms: now,
            ends_ms: now + self.0.config.absolute_timeout.get().as_millis() as u64,
            owner,
            epoch,
            revoked_ms: None,
            key: self.0.seal.begin(session)?,
        };
        match self.0.engine.put_record(session, None, record.clone()).await? {
            Ok(()) => Ok(record),
            // Somebody else began it at the same time.
            Err(Some(found)) => Ok(found),
            Err(None) => Err(Refusal::NoSession.into()),
        }
    }
}

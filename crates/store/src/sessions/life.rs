//! Where sessions begin, who serves them, and what operators see of them.

use foreshift_wire::{Epoch, NodeId, PoolName, SessionAccess, SessionId};
use rand::Rng;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, timeout_at},
};

use super::{
    Caller, Inner, Served, SessionInfo, Sessions, partitions::too_fast, records::ATTEMPTS, registry::Reign,
};
use crate::{
    Error, Refusal,
    engine::{Cursor, Record},
};

/// Records that are looked at together when a process is about to be replaced.
const SETTLED_AT_ONCE: usize = 512;

impl Sessions {
    /// The ingress serves a session by this node from now on. Never waits.
    pub fn serving(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Served {
        let Inner { registry, rising, .. } = &*self.0;
        registry.serving(session, pool, node, || Epoch(rising.draw()))
    }

    /// A node serves a session on, after a [`Sessions::hand`] of which it is not known what became of it: in a new reign, which
    /// whoever uses the session next stores. Never waits.
    pub fn reinstate(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Served {
        let Inner { registry, rising, .. } = &*self.0;
        registry.reinstate(session, pool, node, || Epoch(rising.draw()))
    }

    /// Hands a session to a node: durably, and in a new reign, which is answered. What the node before writes from then on is refused.
    /// No use of the session: no timeout is renewed, and one that is over is not revived.
    pub async fn hand(&self, pool: &PoolName, session: SessionId, to: &NodeId) -> Result<Epoch, Error> {
        for _ in 0..ATTEMPTS {
            // Not what was there a moment ago: the others that change it are told apart by it.
            let found = self.0.engine.record(session).await?;
            let Some(record) = &found else {
                // Begun here, so that the node before cannot begin it behind our back.
                let epoch = Epoch(self.0.rising.draw());
                let (pool_of, owner) = (Some(pool.clone()), Some(to.clone()));
                if self.0.registry.is_revoked(session) {
                    return Err(Refusal::Revoked.into());
                }
                match self.begin(session, None, pool_of, owner, epoch).await? {
                    Some(begun) => return Ok(self.reigns(session, pool, to, begun.epoch)),
                    None => continue,
                }
            };
            if record.revoked_ms.is_some() && self.0.lifetime.over(record, self.now_ms()).is_none() {
                return Err(Refusal::Revoked.into());
            }
            let next = Record {
                owner: Some(to.clone()),
                epoch: Epoch(self.0.rising.above(record.epoch.0)),
                ..record.clone()
            };
            let (epoch, before) = (next.epoch, record.owner.clone());
            if self.replace(session, found, next).await? {
                if let Some(before) = before.filter(|before| before != to) {
                    self.0.replay.held.served(session, before);
                }
                return Ok(self.reigns(session, pool, to, epoch));
            }
        }
        Err(too_fast())
    }

    fn reigns(&self, session: SessionId, pool: &PoolName, node: &NodeId, epoch: Epoch) -> Epoch {
        let (pool, node) = (pool.clone(), node.clone());
        self.0.registry.set(session, Reign { pool, node, epoch });
        epoch
    }

    /// Has the record of each session that is served say so, as far as that was known in this process only: for another one that
    /// takes over, while nodes go on to write for connections of this one. How many records were looked at; the others, where `within`
    /// is over before, are known to the next process once a request of theirs comes through it.
    pub async fn settle(&self, within: Duration) -> usize {
        let until = Instant::now() + within;
        let mut waiting = self.0.registry.served().into_iter();
        let (mut tasks, mut done) = (JoinSet::new(), 0);
        loop {
            while tasks.len() < SETTLED_AT_ONCE
                && Instant::now() < until
                && let Some(session) = waiting.next()
            {
                let sessions = self.clone();
                // The record follows the reign whenever it is looked at. What ended or was revoked meanwhile needs none.
                tasks.spawn(async move { sessions.info(&Caller::own(), session).await.is_ok() });
            }
            match timeout_at(until, tasks.join_next()).await {
                Ok(Some(_)) => done += 1,
                Ok(None) | Err(_) => return done,
            }
        }
    }

    /// Makes a session; its id is of the system's generator.
    pub async fn create(&self, caller: &Caller) -> Result<SessionId, Error> {
        caller.may(SessionAccess::Admin, "make", "sessions")?;
        let mut id = [0; 16];
        rand::rng().fill_bytes(&mut id);
        let id = SessionId(u128::from_ne_bytes(id));
        let epoch = Epoch(self.0.rising.draw());
        // There is no such id yet, as sure as ids are unique.
        let begun = self.begin(id, None, None, None, epoch).await?;
        begun.map(|_| id).ok_or_else(too_fast)
    }

    /// A session.
    pub async fn info(&self, caller: &Caller, session: SessionId) -> Result<SessionInfo, Error> {
        caller.may(SessionAccess::Read, "read", "sessions")?;
        let record = self.record(session).await?;
        caller.may_use(&record)?;
        Ok(info_of(session, record))
    }

    /// Some sessions, in no order, revoked ones too; and where the next page begins, if there is one. A page may be empty, and a session
    /// may be in several.
    pub async fn list(
        &self,
        caller: &Caller,
        from: Option<Cursor>,
    ) -> Result<(Vec<SessionInfo>, Option<Cursor>), Error> {
        caller.may(SessionAccess::Admin, "list", "sessions")?;
        let page = self.0.engine.page(from).await?;
        let now = self.now_ms();
        let is_there =
            |record: &Record| self.0.lifetime.over(record, now).is_none() && caller.may_use(record).is_ok();
        let there = page.sessions.into_iter().filter(|(_, record)| is_there(record));
        Ok((there.map(|(id, record)| info_of(id, record)).collect(), page.next))
    }

    /// Takes up what the engine knows from before: who was revoked, and who served what since when, so that nodes need not be told
    /// anew. Later epochs are above all that were given.
    pub(super) async fn take_up(&self) -> Result<(), Error> {
        let (now, mut from) = (self.now_ms(), None);
        loop {
            let page = self.0.engine.page(from).await?;
            for (session, record) in page.sessions {
                self.0.rising.above(record.epoch.0);
                if self.0.lifetime.over(&record, now).is_some() {
                    continue;
                }
                match record {
                    Record {
                        revoked_ms: Some(_),
                        ends_ms,
                        ..
                    } => self.0.registry.revoke(session, ends_ms),
                    Record {
                        pool: Some(pool),
                        owner: Some(node),
                        epoch,
                        ..
                    } => {
                        self.0.registry.set(session, Reign { pool, node, epoch });
                    }
                    _ => {}
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }
}

fn info_of(id: SessionId, record: Record) -> SessionInfo {
    SessionInfo {
        id,
        pool: record.pool,
        created_ms: record.created_ms,
        used_ms: record.used_ms,
        ends_ms: record.ends_ms,
        owner: record.owner,
        epoch: record.epoch,
        revoked_ms: record.revoked_ms,
    }
}

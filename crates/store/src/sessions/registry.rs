//! Which sessions the ingress serves, and by which node: ids that were issued, and who owns them.
//!
//! In memory, and written by the ingress' workers, so that the first request of a session waits for no disk. Whoever uses
//! the session first has its record follow.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foreshift_wire::{Epoch, NodeId, PoolName, SessionId};

/// Parts that are locked apart.
const SHARDS: usize = 64;

/// Whether a session is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It is, in this reign.
    Since(Epoch),
    /// It was revoked: nothing of it is to be let in.
    Revoked,
}

#[derive(Debug, Clone)]
struct Reign {
    pool: PoolName,
    node: NodeId,
    epoch: Epoch,
}

#[derive(Debug)]
pub(super) struct Registry(Vec<Mutex<HashMap<SessionId, Reign>>>);

impl Default for Registry {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Registry {
    fn shard(&self, session: SessionId) -> MutexGuard<'_, HashMap<SessionId, Reign>> {
        let shard = &self.0[session.0 as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn serving(
        &self,
        session: SessionId,
        pool: &PoolName,
        node: &NodeId,
        draw: impl FnOnce() -> Epoch,
    ) -> Served {
        let mut shard = self.shard(session);
        match shard.get_mut(&session) {
            Some(reign) if reign.node == *node => Served::Since(reign.epoch),
            Some(reign) => {
                reign.node = node.clone();
                reign.epoch = draw();
                Served::Since(reign.epoch)
            }
            None => {
                let (pool, node, epoch) = (pool.clone(), node.clone(), draw());
                shard.insert(session, Reign { pool, node, epoch });
                Served::Since(epoch)
            }
        }
    }

    pub(super) fn get(&self, session: SessionId) -> Option<(PoolName, NodeId, Epoch)> {
        let shard = self.shard(session);
        shard
            .get(&session)
            .map(|r| (r.pool.clone(), r.node.clone(), r.epoch))
    }

    pub(super) fn forget(&self, session: SessionId) {
        self.shard(session).remove(&session);
    }
}

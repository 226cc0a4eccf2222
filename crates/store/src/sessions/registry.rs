//! Which sessions the ingress serves, and by which node: ids that were issued, and who owns them.
//!
//! In memory, and written by the ingress' workers, so that the first request of a session waits for no disk. Whoever uses
//! the session first has its record follow. Of those that are served so many are known; the one that was not used for longest is
//! forgotten. Revoked ones are all known, until their time is over.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foreshift_wire::{Epoch, NodeId, PoolName, SessionId};

use crate::generations::Generations;

/// Parts that are locked apart.
const SHARDS: usize = 64;
/// Memory of one entry, about.
const ENTRY_BYTES: u64 = 96;
/// Fewer are never known: forgetting a session that is in use would fence its node.
const KNOWN_MIN: usize = 65_536;

/// Whether a session is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It is, in this reign.
    Since(Epoch),
    /// It was revoked: nothing of it is to be let in.
    Revoked,
}

/// Who serves a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reign {
    pub(super) pool: PoolName,
    pub(super) node: NodeId,
    pub(super) epoch: Epoch,
}

#[derive(Debug)]
struct Shard {
    reigns: Generations<SessionId, Reign>,
    /// Until when, in Unix milliseconds.
    revoked: HashMap<SessionId, u64>,
}

#[derive(Debug)]
pub(super) struct Registry(Vec<Mutex<Shard>>);

impl Registry {
    /// With about so much memory.
    pub(super) fn of(bytes: u64) -> Self {
        let known = usize::try_from(bytes / ENTRY_BYTES)
            .unwrap_or(usize::MAX)
            .max(KNOWN_MIN);
        let shard = || Shard {
            reigns: Generations::of(known / SHARDS),
            revoked: HashMap::new(),
        };
        Self((0..SHARDS).map(|_| Mutex::new(shard())).collect())
    }

    fn shard(&self, session: SessionId) -> MutexGuard<'_, Shard> {
        let shard = &self.0[session.0 as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node serves a session; a new reign begins where another one did.
    pub(super) fn serving(
        &self,
        session: SessionId,
        pool: &PoolName,
        node: &NodeId,
        draw: impl FnOnce() -> Epoch,
    ) -> Served {
        let mut shard = self.shard(session);
        if shard.revoked.contains_key(&session) {
            return Served::Revoked;
        }
        if let Some(reign) = shard.reigns.get(&session) {
            if reign.node != *node {
                reign.node = node.clone();
                reign.epoch = draw();
            }
            return Served::Since(reign.epoch);
        }
        let (pool, node, epoch) = (pool.clone(), node.clone(), draw());
        shard.reigns.put(session, Reign { pool, node, epoch });
        Served::Since(epoch)
    }

    /// A node serves a session on in a new reign: a later one than was known, of this node or another, may be stored.
    pub(super) fn reinstate(
        &self,
        session: SessionId,
        pool: &PoolName,
        node: &NodeId,
        draw: impl FnOnce() -> Epoch,
    ) -> Served {
        let mut shard = self.shard(session);
        if shard.revoked.contains_key(&session) {
            return Served::Revoked;
        }
        let (pool, node, epoch) = (pool.clone(), node.clone(), draw());
        shard.reigns.put(session, Reign { pool, node, epoch });
        Served::Since(epoch)
    }

    /// A reign that was decided elsewhere, unless a later one is known.
    pub(super) fn set(&self, session: SessionId, reign: Reign) {
        let mut shard = self.shard(session);
        let known = shard.reigns.get(&session);
        if known.is_none_or(|known| known.epoch <= reign.epoch) {
            shard.reigns.put(session, reign);
        }
    }

    pub(super) fn get(&self, session: SessionId) -> Option<Reign> {
        self.shard(session).reigns.get(&session).cloned()
    }

    /// All sessions that are served, as far as is known.
    pub(super) fn served(&self) -> Vec<SessionId> {
        let mut served = Vec::new();
        for shard in &self.0 {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            served.extend(shard.reigns.keys().copied());
        }
        served
    }

    pub(super) fn forget(&self, session: SessionId) {
        self.shard(session).reigns.remove(&session);
    }

    pub(super) fn revoke(&self, session: SessionId, until_ms: u64) {
        let mut shard = self.shard(session);
        shard.reigns.remove(&session);
        shard.revoked.insert(session, until_ms);
    }

    pub(super) fn is_revoked(&self, session: SessionId) -> bool {
        self.shard(session).revoked.contains_key(&session)
    }

    /// Lets those be served again whose time is over.
    pub(super) fn sweep(&self, now_ms: u64) {
        for shard in &self.0 {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.revoked.retain(|_, until_ms| now_ms < *until_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reign_lasts_while_its_node_serves_and_a_revoked_session_has_none() {
        let registry = Registry::of(0);
        let (pool, a, b) = (
            PoolName::new("app").unwrap(),
            NodeId::new("a").unwrap(),
            NodeId::new("b").unwrap(),
        );
        let id = SessionId(5);
        let serve = |node, epoch| registry.serving(id, &pool, node, || Epoch(epoch));
        assert_eq!(serve(&a, 1), Served::Since(Epoch(1)));
        assert_eq!(serve(&a, 2), Served::Since(Epoch(1)));
        assert_eq!(serve(&b, 3), Served::Since(Epoch(3)));
        let reign = |node: &NodeId, epoch| Reign {
            pool: pool.clone(),
            node: node.clone(),
            epoch: Epoch(epoch),
        };
        registry.set(id, reign(&a, 2));
        assert_eq!(registry.get(id), Some(reign(&b, 3)), "a later one is known");
        registry.set(id, reign(&a, 4));
        assert_eq!(registry.get(id), Some(reign(&a, 4)));
        registry.revoke(id, 1_000);
        assert_eq!(serve(&a, 5), Served::Revoked);
        registry.sweep(999);
        assert!(registry.is_revoked(id));
        registry.sweep(1_000);
        assert_eq!(serve(&a, 6), Served::Since(Epoch(6)));
    }

    #[test]
    fn it_knows_so_many_and_forgets_the_others() {
        let registry = Registry::of(0);
        let (pool, node) = (PoolName::new("app").unwrap(), NodeId::new("a").unwrap());
        for id in 0..200_000 {
            registry.serving(SessionId(id), &pool, &node, || Epoch(1));
        }
        let known = (0..200_000)
            .filter(|id| registry.get(SessionId(*id)).is_some())
            .count();
        assert!((KNOWN_MIN / 2..=KNOWN_MIN).contains(&known), "{known}");
        assert!(registry.get(SessionId(0)).is_none());
        assert!(registry.get(SessionId(199_999)).is_some());
    }
}

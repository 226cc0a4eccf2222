//! Joins the data plane and the store: sessions' state as the ingress wants to see it.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use foreshift_ingress::{Later, Portion, Serving, SessionState};
use foreshift_store::{Served, Sessions};
use foreshift_wire::{Epoch, NodeId, PartitionName, PartitionPattern, PoolName, SessionId, Version};

/// The store of this process, which may be closed and opened again under those who have this. All clones have the same.
#[derive(Clone)]
pub(crate) struct State(Arc<ArcSwap<Sessions>>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl State {
    pub(crate) fn new(sessions: Sessions) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(sessions)))
    }

    /// The store of now.
    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::clone(&self.0.load())
    }

    /// Another store from now on.
    pub(crate) fn use_sessions(&self, sessions: Sessions) {
        self.0.store(Arc::new(sessions));
    }
}

impl SessionState for State {
    fn serving(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Serving {
        serving(self.0.load().serving(pool, session, node))
    }

    fn reinstate(&self, pool: &PoolName, session: SessionId, node: &NodeId) -> Serving {
        serving(self.0.load().reinstate(pool, session, node))
    }

    fn hand<'a>(&'a self, pool: &'a PoolName, session: SessionId, to: &'a NodeId) -> Later<'a, Epoch> {
        let sessions = self.sessions();
        Box::pin(async move {
            let handed = sessions.hand(pool, session, to).await;
            handed.map_err(|error| error.to_string())
        })
    }

    fn missing<'a>(
        &'a self,
        pool: &'a PoolName,
        session: SessionId,
        to: &'a NodeId,
        required: &'a [PartitionPattern],
    ) -> Later<'a, Vec<Portion>> {
        let sessions = self.sessions();
        Box::pin(async move {
            let missing = sessions.missing(pool, session, to, required).await;
            let missing = missing.map_err(|error| error.to_string())?;
            Ok(missing.into_iter().map(portion).collect())
        })
    }

    fn holds(&self, session: SessionId, node: &NodeId, partition: &PartitionName, version: Version) {
        self.0.load().holds(session, node, partition, version);
    }

    fn forgets(&self, session: SessionId, node: &NodeId) {
        self.0.load().forgets(session, node);
    }

    fn ticket(
        &self,
        pool: &PoolName,
        session: SessionId,
        to: &NodeId,
        required: &[PartitionPattern],
        within: Duration,
    ) -> String {
        self.0.load().ticket(pool, session, to, required, within)
    }
}

fn serving(served: Served) -> Serving {
    match served {
        Served::Since(epoch) => Serving::Since(epoch),
        Served::Revoked => Serving::Revoked,
    }
}

fn portion(portion: foreshift_store::Portion) -> Portion {
    Portion {
        partition: portion.partition,
        version: portion.version,
        since: portion.since,
        body: portion.body,
        encoding: portion.encoding,
        bytes_held: portion.bytes_held,
    }
}

//! Since when each node serves a session, as the nodes are told it.
//!
//! What was said of a connection is kept with it, so that a request costs no look-up. It is asked for anew where the
//! connection's session or node changed, or where any session changed hands: that is seen by one counter, which is written then
//! and only then.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use foreshift_wire::{Epoch, NodeId, PoolName, SessionId};

use crate::state::{Serving, SessionState};

/// Tells a node since when it serves a session.
pub(crate) const EPOCH: &str = "Foreshift-Epoch";
/// Tells a node which one served the session and died.
pub(crate) const FAILOVER: &str = "Foreshift-Failover";
/// Lets a node fetch what it lacks of a session's state.
pub(crate) const TOKEN: &str = "Foreshift-Resume-Token";

/// What was said of a connection's session and node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reign {
    epoch: Epoch,
    /// Changes of hands until then.
    changes: u64,
}

/// The session was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revoked;

/// All of one process.
#[derive(Debug, Default)]
pub(crate) struct Reigns {
    state: Option<Arc<dyn SessionState>>,
    changes: AtomicU64,
}

impl Reigns {
    pub(crate) fn over(state: Option<Arc<dyn SessionState>>) -> Self {
        Self {
            state,
            changes: AtomicU64::new(0),
        }
    }

    /// Whether sessions' state is kept at all.
    #[inline]
    pub(crate) fn are_kept(&self) -> bool {
        self.state.is_some()
    }

    /// Where state is kept.
    pub(crate) fn state(&self) -> Option<&Arc<dyn SessionState>> {
        self.state.as_ref()
    }

    /// A session changed hands, or ended: what was said before is asked for anew.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Since when a node serves a session. `said`: what was said of the same session and node before.
    pub(crate) fn of(
        &self,
        said: Option<Reign>,
        pool: &PoolName,
        session: SessionId,
        node: &NodeId,
    ) -> Result<Option<Reign>, Revoked> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let changes = self.changes.load(Ordering::Acquire);
        if let Some(reign) = said.filter(|reign| reign.changes == changes) {
            return Ok(Some(reign));
        }
        match state.serving(pool, session, node) {
            Serving::Since(epoch) => Ok(Some(Reign { epoch, changes })),
            Serving::Revoked => Err(Revoked),
        }
    }
}

/// What a node that goes on with a session is told with the first request or handshake, beside whose session it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Since when it serves it; asked for where the request is made, where that is not known before.
    pub(crate) epoch: Option<Epoch>,
    /// For what it lacks, where it fetches that.
    pub(crate) token: Option<String>,
    /// Which node died.
    pub(crate) dead: Option<NodeId>,
}

impl Reign {
    pub(crate) fn epoch(self) -> Epoch {
        self.epoch
    }
}

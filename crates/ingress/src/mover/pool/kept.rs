//! Whether state has to follow a pool's sessions, and what of it their nodes require.

use std::rc::Rc;

use foreshift_wire::{EjectedSessions, NodeId, NodeRecord, PartitionPattern, SessionId};

use super::PoolState;

impl PoolState {
    /// Sessions' kept state has to follow them: their nodes hold some of it, or require it.
    pub(in super::super) fn carries_kept_state(&self) -> bool {
        let requires = |n: &NodeRecord| !n.spec.required_partitions.is_empty();
        self.keeps_state
            && (self.has_hook() || self.config.replay_path.is_some() || self.nodes.values().any(requires))
    }

    /// State has to follow a session.
    pub(in super::super) fn carries(&self) -> bool {
        self.has_hook() || self.carries_kept_state()
    }

    /// The partitions that a node says it requires.
    pub(in super::super) fn required(&self, node: &NodeId) -> Rc<[PartitionPattern]> {
        let record = self.nodes.get(node);
        record.map_or_else(Rc::default, |n| n.spec.required_partitions.as_slice().into())
    }

    /// The session is served elsewhere than the routes say, as a node died or a hand-over failed: it is moved without being asked for.
    pub(in super::super) fn is_away(&self, session: SessionId) -> bool {
        self.carries_kept_state() && self.stayed.contains_key(&session)
    }

    /// Whether the sessions of an ejected node stay with it.
    pub(super) fn keeps_sessions(&self) -> bool {
        let sessions = self.config.outlier.as_ref().map(|outlier| outlier.sessions);
        match sessions.unwrap_or_default() {
            EjectedSessions::Auto => self.carries(),
            EjectedSessions::Keep => true,
            // Each request that goes elsewhere would take the session's state along, and back.
            EjectedSessions::Next => self.carries_kept_state(),
        }
    }
}

//! What happened, told while it happens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ConnectionId, Ejection, Move, MoveFailure, MoveId, NodeId, NodeState, NodeView, PoolName, SessionId, Told,
};

/// An element of the stream `/v1/events`. The SSE event name is the `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// One a tick and pool: the nodes with their loads and forecasts.
    Tick {
        /// Unix milliseconds.
        at_ms: u64,
        /// The pool.
        #[schema(value_type = String)]
        pool: PoolName,
        /// Its nodes.
        nodes: Vec<NodeView>,
    },
    /// A move was planned, advised, ended.
    Move(Move),
    /// A node's state changed.
    Node {
        /// Unix milliseconds.
        at_ms: u64,
        /// The pool.
        #[schema(value_type = String)]
        pool: PoolName,
        /// The node.
        #[schema(value_type = String)]
        node: NodeId,
        /// From now on.
        state: NodeState,
        /// Why.
        reason: String,
    },
    /// A node is left out because it fails, or is back.
    Outlier {
        /// Unix milliseconds.
        at_ms: u64,
        /// The pool.
        #[schema(value_type = String)]
        pool: PoolName,
        /// The node.
        #[schema(value_type = String)]
        node: NodeId,
        /// Until when and why; absent where it is back.
        ejected: Option<Ejection>,
    },
}

/// What the ingress tells control when it happens, rather than in its next report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum IngressEvent {
    /// A session's hand-over ended.
    HandedOver {
        /// The pool.
        pool: PoolName,
        /// The session.
        session: SessionId,
        /// The move that asked for it, where one did (buckets that change owner have none).
        move_id: Option<MoveId>,
        /// Where it was.
        from: NodeId,
        /// Where it is meant to be.
        to: NodeId,
        /// The pause of each connection that was switched, in microseconds.
        pauses_us: Vec<(ConnectionId, u64)>,
        /// Why it failed, where it did: the session stays on `from`.
        failure: Option<MoveFailure>,
        /// What its clients did, where they were told to move.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Told>,
    },
    /// A bucket that changed owner has no session left on its old node.
    BucketSettled {
        /// The pool.
        pool: PoolName,
        /// 0 to 65,535.
        bucket: u16,
        /// The move that asked for it, where one did.
        move_id: Option<MoveId>,
        /// Open connections that were switched.
        connections: u32,
        /// Sessions that had to stay on the old node for now.
        failed: u32,
        /// Longest pause, in microseconds.
        pause_us_max: u64,
    },
    /// A node refused or dropped connections; its health should be checked at once.
    NodeSuspect {
        /// The pool.
        pool: PoolName,
        /// The node.
        node: NodeId,
        /// What was seen.
        detail: String,
    },
    /// A connection lost its node and goes on with another one.
    FailedOver {
        /// The pool.
        pool: PoolName,
        /// The session.
        session: SessionId,
        /// The connection.
        connection: ConnectionId,
        /// The node that died.
        from: NodeId,
        /// The node that serves now; `None` where the client was closed.
        to: Option<NodeId>,
    },
}

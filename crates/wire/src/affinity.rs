//! Keys placed by hand or by a plan.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{MoveId, NodeId, SessionId};

/// One key that lives elsewhere than its bucket says. Kept in metadata; the truth for control and ingress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Override {
    /// The key's session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// Where the key lives from this version on.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Where its state still is, while the move is under way; `None` once settled.
    #[schema(value_type = Option<String>)]
    pub moving_from: Option<NodeId>,
    /// The move that made it; `None` for a pin.
    #[schema(value_type = Option<u64>)]
    pub move_id: Option<MoveId>,
    /// When the key falls back to its bucket if it is idle, in Unix milliseconds; `None` for a pin without end.
    pub expires_ms: Option<u64>,
    /// Set by an operator: no plan moves it.
    pub pinned: bool,
}

/// One bucket that a plan moved away from where consistent hashing put it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedBucket {
    /// 0 to 65,535.
    pub bucket: u16,
    /// Where it lives.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The move that did it.
    #[schema(value_type = u64)]
    pub move_id: MoveId,
}

/// Where a key lives and why: the answer of `GET …/affinity/{key}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AffinityView {
    /// The key as given.
    pub key: String,
    /// Its session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// Its bucket.
    pub bucket: u16,
    /// Where it lives; `None` while no node is ready.
    #[schema(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// The override that says so, where there is one.
    pub r#override: Option<Override>,
    /// Version of the map that was asked.
    pub map_version: u64,
}

/// Body of `PUT …/affinity/{key}`: keep this key on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Where to.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// For how many seconds; without end where absent.
    #[serde(default)]
    pub ttl_s: Option<u64>,
}

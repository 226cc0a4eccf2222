//! Moves, plans, and why something moved or did not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{MoveId, NodeId, PoolName, SessionId};

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unit {
    /// One client's key.
    Key {
        /// The key's session.
        #[schema(value_type = String)]
        session: SessionId,
        /// The key as the client sent it, shortened to 64 characters; for people only.
        key: String,
    },
    /// All keys of one bucket that have no override.
    Bucket {
        /// 0 to 65,535.
        bucket: u16,
    },
}

/// Why a move was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum MoveReason {
    /// The node's predicted score crosses the threshold.
    PredictedOverload {
        /// Highest predicted load score within the horizon, at the trigger quantile.
        predicted: f64,
        /// When it is first over the threshold, in milliseconds from now.
        in_ms: u64,
        /// `load_threshold`.
        threshold: f64,
    },
    /// The node is over the threshold now (forecasts are gated, or nobody saw it coming).
    CurrentOverload {
        /// Load score now.
        score: f64,
        /// `load_threshold`.
        threshold: f64,
    },
    /// The node is being drained.
    Drain,
    /// The operator asked for it.
    Operator,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveState {
    /// Shown, not carried out (mode `advise`).
    Advised,
    /// Committed; open connections are being handed over.
    Moving,
    /// Every open connection switched, or there was none.
    Done,
    /// The old node goes on serving.
    Failed,
}

/// A unit, from, to, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Move {
    /// Rising within the pool.
    #[schema(value_type = u64)]
    pub id: MoveId,
    /// The pool.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// What.
    pub unit: Unit,
    /// Where it lives before.
    #[schema(value_type = String)]
    pub from: NodeId,
    /// Where it lives after.
    #[schema(value_type = String)]
    pub to: NodeId,
    /// Why.
    pub reason: MoveReason,
    /// Score points that leave `from` (and come to `to`, scaled by its capacity).
    pub benefit: f64,
    /// Cost of the disruption in the same unit; a move must gain more than it costs by the planner's factor.
    pub cost: f64,
    /// Rank within its plan, 0 first.
    pub priority: u32,
    /// When it was planned, in Unix milliseconds.
    pub planned_ms: u64,
    /// How far it is.
    pub state: MoveState,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<MoveOutcome>,
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MoveOutcome {
    /// When it ended, in Unix milliseconds.
    pub ended_ms: u64,
    /// Open connections that were switched.
    pub connections: u32,
    /// Longest time for which a client's input was held, in microseconds.
    pub pause_us_max: u64,
    /// Why it failed, where it did.
    pub failure: Option<MoveFailure>,
    /// What the clients did about it, where they were told to move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// What came of telling a session's clients to move by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// The longest delay that a client was given, in milliseconds.
    pub delay_ms: u64,
    /// What they did.
    pub answer: Answer,
}

/// What told clients did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Answer {
    /// They reconnected, every one.
    Instructed,
    /// At least one did not, and the proxy moved it.
    FellBack {
        /// Why.
        detail: String,
    },
}

/// Why a hand-over was given up. The old node serves on in every case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum MoveFailure {
    /// The new node did not accept a connection.
    Connect {
        /// What the system said.
        detail: String,
    },
    /// The old node's hook failed.
    Handoff {
        /// Status or error.
        detail: String,
    },
    /// The new node did not take the partitions of the session's state that it requires, or they could not be read.
    Replay {
        /// Status or error.
        detail: String,
    },
    /// The store of sessions' state did not make the new node the session's owner.
    Fence {
        /// What it said.
        detail: String,
    },
    /// The new node refused the state.
    Resume {
        /// Status or error.
        detail: String,
    },
    /// The new node refused the handshake, or answered it differently than the old one did.
    Handshake {
        /// Status or error.
        detail: String,
    },
    /// The deadline passed.
    Deadline {
        /// The step that was under way.
        step: String,
    },
    /// A connection of the session cannot be moved (an opaque upgrade, an HTTP/2 stream, a message under way).
    Unmovable {
        /// Which and why.
        detail: String,
    },
    /// The old node died meanwhile; its connections were failed over instead.
    OldNodeLost,
    /// The client left, or the target is no longer there.
    Cancelled {
        /// Why.
        detail: String,
    },
}

/// What would be done now, or was decided in one tick.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// In the order in which they would be carried out.
    pub moves: Vec<Move>,
    /// What was considered and left alone, with the reason.
    pub stays: Vec<Stay>,
}

/// Something that was considered and left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stay {
    /// The node considered as a source or, for a unit's stay, where the unit lives.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The unit; `None` where the whole node was left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Why.
    pub reason: StayReason,
}

/// Why something was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StayReason {
    /// The predicted score stays under the threshold.
    UnderThreshold,
    /// Within the dead zone around the pool's mean: moving would not help.
    WithinDeadZone,
    /// The key was moved less than `migration_interval` ago.
    CoolingDown,
    /// Keys went the other way between these nodes within `migration_interval`.
    WouldPingPong,
    /// No other node has room for it under its own threshold.
    NoRoom,
    /// It gains less than the factor times what it costs.
    CostsMoreThanItGains,
    /// `max_moves_per_tick` was reached; next tick.
    MoveLimit,
    /// Half the excess is already on its way this round.
    EnoughMoved,
    /// The operator pinned it.
    Pinned,
    /// A move of it is under way.
    AlreadyMoving,
    /// Its last hand-over failed; backing off.
    BackingOff,
    /// Nothing that the ingress can see and move makes up this node's load.
    NothingToMove,
    /// Too little was measured yet.
    TooYoung,
}

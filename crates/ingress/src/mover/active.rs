//! What the mover keeps of each hand-over.

use std::time::Instant;

use foreshift_migration::Handover;
use foreshift_wire::{ConnectionId, Epoch, MoveFailure, MoveId, NodeId};
use std::collections::{HashMap, HashSet};

use super::telling::Telling;
use crate::message::Requests;

/// From where to where a session goes, and why.
#[derive(Debug, Clone)]
pub(super) struct Journey {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// Nodes that may hold the session's state, the likeliest first; `from` is the first of them.
    pub(super) holders: Vec<NodeId>,
    pub(super) from_is_alive: bool,
    pub(super) move_id: Option<MoveId>,
    /// The session goes with its bucket.
    pub(super) bucket: Option<u16>,
}

/// Where a hand-over stands.
pub(super) enum Phase {
    /// The workers are being asked for the session's connections.
    Gathering {
        missing: usize,
        /// With the node that serves each.
        streams: Vec<(ConnectionId, NodeId)>,
        requests: Requests,
    },
    Running(Handover),
}

/// A hand-over under way.
pub(super) struct Active {
    pub(super) phase: Phase,
    pub(super) journey: Journey,
    pub(super) worker_of: HashMap<ConnectionId, u16>,
    /// Tells late answers to an earlier hand-over of the session apart.
    pub(super) generation: u64,
    /// Taken once it has passed.
    pub(super) deadline: Option<Instant>,
    /// A request waits for it.
    pub(super) wanted: bool,
    /// The session was to be moved again meanwhile.
    pub(super) again: bool,
    /// Its clients were told to move by themselves.
    pub(super) telling: Option<Telling>,
    /// Of whoever owns the session's kept state now, as far as this hand-over changed it.
    pub(super) epoch: Option<Epoch>,
}

/// A hand-over that ended, while its streams still report how long they paused.
pub(super) struct Ending {
    pub(super) journey: Journey,
    pub(super) waiting: HashSet<ConnectionId>,
    pub(super) pauses_us: Vec<(ConnectionId, u64)>,
    pub(super) failure: Option<MoveFailure>,
    pub(super) telling: Option<Telling>,
    /// A stream was switched without its client's help.
    pub(super) by_proxy: bool,
    pub(super) until: Instant,
}

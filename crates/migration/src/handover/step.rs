//! What a hand-over hears, does, and where it can be.

use foreshift_wire::{ConnectionId, MoveFailure};

/// What came of an action, or happened by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request that was under way became a stream of the session.
    Joined(ConnectionId),
    /// A stream is connected to the new node.
    Connected(ConnectionId),
    /// It could not be.
    ConnectFailed(ConnectionId, String),
    /// The new node holds what it required as it was when the old one still wrote.
    Copied,
    /// It did not take it, or it could not be read.
    CopyFailed(String),
    /// A stream's input is held at a boundary; the old node was sent so many data messages.
    Paused(ConnectionId, u64),
    /// A worker answers no request of the session any more, and holds new ones.
    Quiet(u16),
    /// The old node's hook answered: the state, or that it has none.
    HandedOff(Option<Vec<u8>>),
    /// It did not.
    HandoffFailed(String),
    /// The new node owns the session's state: what the old one writes is refused.
    Fenced,
    /// Whether it does is not known.
    FenceFailed(String),
    /// The new node holds all that it required.
    CaughtUp,
    /// It did not take the rest.
    CatchUpFailed(String),
    /// The old node owns the session's state again, or that could not be had.
    Unfenced,
    /// The new node has the state.
    Resumed,
    /// It refused it.
    ResumeFailed(String),
    /// The new node accepted a stream's handshake.
    Opened(ConnectionId),
    /// It did not.
    OpenFailed(ConnectionId, String),
    /// The old node has nothing left to say on a stream.
    Drained(ConnectionId),
    /// A stream ended on the client's or the old node's wish.
    Left(ConnectionId),
    /// The old node is gone.
    OldNodeLost,
    /// The old node has its state back, or could not be told.
    GivenBack,
    /// The move is not wanted any more.
    Cancelled(String),
    /// Part of the session cannot be moved now.
    Unmovable(String),
    /// Time is up.
    Deadline,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect a stream to the new node; the old one serves on.
    Connect(ConnectionId),
    /// Have the new node hold what it requires of the session's state, as it is now.
    Copy,
    /// Hold new requests of the session on every worker, and say when each is quiet.
    Hold,
    /// Hold a stream's input from the next boundary on.
    Pause(ConnectionId),
    /// Have the old node answer behind everything it was sent, and say when it did.
    Barrier(ConnectionId),
    /// Call the old node's hook, with the messages it was sent on each stream.
    HandOff(Vec<(ConnectionId, u64)>),
    /// Make the new node the owner of the session's state.
    Fence,
    /// Have the new node hold what was written since [`Action::Copy`].
    CatchUp,
    /// Make the old node the owner again.
    Unfence,
    /// Give the new node the state.
    Resume(Vec<u8>),
    /// Give the old node its state back, marked as aborted. Empty where it gave none but has to hear that it owns the session anew.
    GiveBack(Vec<u8>),
    /// Make a stream's handshake with the new node.
    Open(ConnectionId),
    /// The new node serves a stream from now on.
    Switch(ConnectionId),
    /// The old node serves a stream on.
    Stay(ConnectionId),
    /// Requests go on: to the new node, or to the old one where it failed. The last action.
    Finish(Result<(), MoveFailure>),
}

/// Where a hand-over is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Streams are being connected to the new node.
    Connecting,
    /// Streams are connected; the new node is still being given what it requires.
    Copying,
    /// Input is being held.
    Pausing,
    /// Without a hook: the old node handles what it was sent.
    Draining,
    /// The old node's hook is being called.
    HandingOver,
    /// The new node becomes the owner.
    Fencing,
    /// The new node is being given what was written since it got its copy.
    CatchingUp,
    /// The new node is being given the state.
    Resuming,
    /// Streams shake hands with the new node.
    Opening,
    /// The old node is being given its state back.
    Aborting,
    /// It ended.
    Done,
}

impl State {
    /// Its name, as in [`MoveFailure::Deadline`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Copying => "copying",
            Self::Pausing => "pausing",
            Self::Draining => "draining",
            Self::HandingOver => "handing over",
            Self::Fencing => "fencing",
            Self::CatchingUp => "catching up",
            Self::Resuming => "resuming",
            Self::Opening => "opening",
            Self::Aborting => "aborting",
            Self::Done => "done",
        }
    }
}

/// What a hand-over starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Streams of the session.
    pub streams: Vec<ConnectionId>,
    /// Workers, each of which has to become quiet: `0..workers`.
    pub workers: u16,
    /// The nodes have a hook: state is fetched from the old node and given to the new one.
    pub hook: bool,
    /// The session's state is kept apart from the nodes: what the new one requires is copied, and the old one is fenced.
    pub carry: bool,
}

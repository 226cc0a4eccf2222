//! The hand-over of one session, with all its connections, from one node to another.
//!
//! Make before break: the new node is connected before anything is held, and until [`Action::Switch`] every
//! failure leads back to the old node, which has gone on serving. All connections of the session pass each
//! step together, because the state that follows them is one.
//!
//! ```text
//! connecting ─► pausing ─► handing over ─► resuming ─► opening ─► done (switched)
//!      │            └─ without a hook: draining ─────────┘│
//!      └──────────────── any failure: aborting ───────────┴─► done (old node)
//! ```
//!
//! Deadlines are the shell's: it feeds [`Event::Deadline`] once.

use std::collections::BTreeMap;

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
    /// A stream's input is held at a boundary; the old node was sent so many data messages.
    Paused(ConnectionId, u64),
    /// A worker answers no request of the session any more, and holds new ones.
    Quiet(u16),
    /// The old node's hook answered: the state, or that it has none.
    HandedOff(Option<Vec<u8>>),
    /// It did not.
    HandoffFailed(String),
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
    /// Hold new requests of the session on every worker, and say when each is quiet.
    Hold,
    /// Hold a stream's input from the next boundary on.
    Pause(ConnectionId),
    /// Have the old node answer behind everything it was sent, and say when it did.
    Barrier(ConnectionId),
    /// Call the old node's hook, with the messages it was sent on each stream.
    HandOff(Vec<(ConnectionId, u64)>),
    /// Give the new node the state.
    Resume(Vec<u8>),
    /// Give the old node its state back, marked as aborted.
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
    /// Input is being held.
    Pausing,
    /// Without a hook: the old node handles what it was sent.
    Draining,
    /// The old node's hook is being called.
    HandingOver,
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
            Self::Pausing => "pausing",
            Self::Draining => "draining",
            Self::HandingOver => "handing over",
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
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stream {
    connected: bool,
    paused: Option<u64>,
    drained: bool,
    opened: bool,
}

/// One session's hand-over.
#[derive(Debug)]
pub struct Handover {
    state: State,
    streams: BTreeMap<ConnectionId, Stream>,
    quiet: Vec<bool>,
    hook: bool,
    old_lost: bool,
    /// What the old node gave away and would need back.
    payload: Option<Vec<u8>>,
    failure: Option<MoveFailure>,
}

impl Handover {
    /// Begins. The actions come first; events follow.
    pub fn start(options: Options) -> (Self, Vec<Action>) {
        let Options {
            streams,
            workers,
            hook,
        } = options;
        let streams: BTreeMap<_, _> = streams.into_iter().map(|id| (id, Stream::default())).collect();
        let mut handover = Self {
            state: State::Connecting,
            streams,
            quiet: vec![false; usize::from(workers)],
            hook,
            old_lost: false,
            payload: None,
            failure: None,
        };
        let mut actions: Vec<Action> = handover.streams.keys().map(|id| Action::Connect(*id)).collect();
        handover.advance(&mut actions);
        (handover, actions)
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes an event; returns what to do. After [`Action::Finish`] nothing more is to be done.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.state == State::Done {
            return actions;
        }
        match event {
            Event::Joined(id) => self.join(id, &mut actions),
            Event::Connected(id) => self.note(id, |s| s.connected = true),
            Event::Paused(id, messages) => self.note(id, |s| s.paused = Some(messages)),
            Event::Drained(id) => self.note(id, |s| s.drained = true),
            Event::Opened(id) => self.note(id, |s| s.opened = true),
            Event::Quiet(worker) => {
                if let Some(quiet) = self.quiet.get_mut(usize::from(worker)) {
                    *quiet = true;
                }
            }
            Event::Left(id) => {
                self.streams.remove(&id);
            }
            Event::HandedOff(state) => self.handed_off(state, &mut actions),
            Event::Resumed if self.state == State::Resuming => self.open(&mut actions),
            Event::GivenBack if self.state == State::Aborting => self.finish(&mut actions),
            Event::Resumed | Event::GivenBack => {}
            Event::OldNodeLost => self.old_node_lost(&mut actions),
            Event::ConnectFailed(_, detail) => self.abort(MoveFailure::Connect { detail }, &mut actions),
            Event::HandoffFailed(detail) => self.abort(MoveFailure::Handoff { detail }, &mut actions),
            Event::ResumeFailed(detail) => self.abort(MoveFailure::Resume { detail }, &mut actions),
            Event::OpenFailed(_, detail) => self.abort(MoveFailure::Handshake { detail }, &mut actions),
            Event::Cancelled(detail) => self.abort(MoveFailure::Cancelled { detail }, &mut actions),
            Event::Unmovable(detail) => self.abort(MoveFailure::Unmovable { detail }, &mut actions),
            Event::Deadline => {
                let step = self.state.name().into();
                self.abort(MoveFailure::Deadline { step }, &mut actions);
            }
        }
        self.advance(&mut actions);
        actions
    }

    fn note(&mut self, id: ConnectionId, change: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(&id) {
            change(stream);
        }
    }

    fn all(&self, passed: impl Fn(&Stream) -> bool) -> bool {
        self.streams.values().all(passed)
    }

    /// A request can become a stream only while its worker is not quiet yet.
    fn join(&mut self, id: ConnectionId, actions: &mut Vec<Action>) {
        match self.state {
            State::Connecting | State::Pausing => {
                self.streams.entry(id).or_default();
                actions.push(Action::Connect(id));
                if self.state == State::Pausing {
                    actions.push(Action::Pause(id));
                }
            }
            _ => actions.push(Action::Stay(id)),
        }
    }

    /// Takes every step that is possible now.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        if self.state == State::Connecting && self.all(|s| s.connected) {
            self.state = State::Pausing;
            actions.push(Action::Hold);
            actions.extend(self.streams.keys().map(|id| Action::Pause(*id)));
        }
        if self.state == State::Pausing
            && self.quiet.iter().all(|q| *q)
            && self.all(|s| s.connected && s.paused.is_some())
        {
            if self.hook {
                self.state = State::HandingOver;
                let sent = |(id, s): (&ConnectionId, &Stream)| (*id, s.paused.unwrap_or_default());
                actions.push(Action::HandOff(self.streams.iter().map(sent).collect()));
            } else {
                self.state = State::Draining;
                self.raise_barriers(actions);
            }
        }
        if self.state == State::Draining && self.all(|s| s.drained) {
            self.open(actions);
        }
        if self.state == State::Opening && self.all(|s| s.opened && (s.drained || self.old_lost)) {
            actions.extend(self.streams.keys().map(|id| Action::Switch(*id)));
            actions.push(Action::Finish(Ok(())));
            self.state = State::Done;
        }
    }

    fn raise_barriers(&self, actions: &mut Vec<Action>) {
        if !self.old_lost {
            actions.extend(self.streams.keys().map(|id| Action::Barrier(*id)));
        }
    }

    fn handed_off(&mut self, state: Option<Vec<u8>>, actions: &mut Vec<Action>) {
        match (self.state, state) {
            (State::HandingOver, Some(state)) => {
                self.state = State::Resuming;
                self.payload = Some(state.clone());
                actions.push(Action::Resume(state));
                self.raise_barriers(actions);
            }
            (State::HandingOver, None) => {
                self.raise_barriers(actions);
                self.open(actions);
            }
            // The hand-over was given up while the hook was being called: what it gave goes back.
            (State::Aborting, state) => {
                actions.push(Action::GiveBack(state.unwrap_or_default()));
            }
            _ => {}
        }
    }

    fn open(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Opening;
        actions.extend(self.streams.keys().map(|id| Action::Open(*id)));
    }

    /// Once the old node has given its state away, going on is better than going back to it.
    fn old_node_lost(&mut self, actions: &mut Vec<Action>) {
        self.old_lost = true;
        match self.state {
            State::Resuming | State::Opening => {}
            State::Aborting => self.finish(actions),
            _ => self.abort(MoveFailure::OldNodeLost, actions),
        }
    }

    fn abort(&mut self, failure: MoveFailure, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Aborting | State::Done) {
            // A hook that fails after the hand-over was given up has given nothing away.
            if self.state == State::Aborting && matches!(failure, MoveFailure::Handoff { .. }) {
                self.finish(actions);
            }
            return;
        }
        let calling_hook =
            self.state == State::HandingOver && !matches!(failure, MoveFailure::Handoff { .. });
        self.failure = Some(failure);
        self.state = State::Aborting;
        if self.old_lost {
            return self.finish(actions);
        }
        match self.payload.take() {
            Some(payload) => actions.push(Action::GiveBack(payload)),
            // Its answer, which may carry the state, is still awaited; the shell bounds the call.
            None if calling_hook => {}
            None => self.finish(actions),
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action>) {
        actions.extend(self.streams.keys().map(|id| Action::Stay(*id)));
        let failure = self.failure.take().unwrap_or(MoveFailure::OldNodeLost);
        actions.push(Action::Finish(Err(failure)));
        self.state = State::Done;
    }
}

//! The hand-over of one session, with all its connections, from one node to another.
//!
//! Make before break: the new node is connected, and holds a copy of what it requires, before anything is held, and until
//! [`Action::Switch`] every failure leads back to the old node, which has gone on serving. All connections of the session pass
//! each step together, because the state that follows them is one.
//!
//! ```text
//! connecting ─► copying ─► pausing ─► handing over ─┬─► fencing ─► catching up ─┬─► resuming ─► opening ─► done (switched)
//!      │                      └─ no hook: draining ─┘  (where state is carried) └─ no hook ────────┘│
//!      └──────────────── any failure: aborting (the fence is lifted first) ─────────────────────────┴─► done (old node)
//! ```
//!
//! Deadlines are the shell's: it feeds [`Event::Deadline`] once.

mod back;
mod step;

use std::collections::BTreeMap;

use foreshift_wire::{ConnectionId, MoveFailure};

pub use step::{Action, Event, Options, State};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stream {
    connected: bool,
    paused: Option<u64>,
    drained: bool,
    opened: bool,
}

/// Who may write the session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    /// The old node.
    Open,
    /// Asked for: perhaps the new one already.
    Asked,
    /// The new one, for all that is known.
    Set,
    /// The old one is about to again.
    Lifting,
}

/// One session's hand-over.
#[derive(Debug)]
pub struct Handover {
    state: State,
    streams: BTreeMap<ConnectionId, Stream>,
    quiet: Vec<bool>,
    hook: bool,
    carry: bool,
    copied: bool,
    fence: Fence,
    /// It was given up while the hook was being called: its answer, which may carry the state, is still awaited.
    hook_awaited: bool,
    /// The old node has to hear that it owns the session anew.
    reinstated: bool,
    giving_back: bool,
    old_lost: bool,
    /// What the old node gave away and would need back.
    payload: Option<Vec<u8>>,
    failure: Option<MoveFailure>,
}

impl Handover {
    /// Begins. The actions come first; events follow.
    pub fn start(options: Options) -> (Self, Vec<Action>) {
        let streams = options.streams.into_iter();
        let mut handover = Self {
            state: State::Connecting,
            streams: streams.map(|id| (id, Stream::default())).collect(),
            quiet: vec![false; usize::from(options.workers)],
            hook: options.hook,
            carry: options.carry,
            copied: !options.carry,
            fence: Fence::Open,
            hook_awaited: false,
            reinstated: false,
            giving_back: false,
            old_lost: false,
            payload: None,
            failure: None,
        };
        let mut actions: Vec<Action> = handover.streams.keys().map(|id| Action::Connect(*id)).collect();
        if handover.carry {
            actions.push(Action::Copy);
        }
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
            Event::Copied => self.copied = true,
            Event::HandedOff(state) => self.handed_off(state, &mut actions),
            Event::Fenced => self.fenced(None, &mut actions),
            Event::CaughtUp if self.state == State::CatchingUp => self.resume(&mut actions),
            Event::Unfenced if self.fence == Fence::Lifting => {
                self.fence = Fence::Open;
                self.reinstated = true;
                self.settle(&mut actions);
            }
            Event::Resumed if self.state == State::Resuming => self.open(&mut actions),
            Event::GivenBack if self.giving_back => self.finish(&mut actions),
            Event::CaughtUp | Event::Unfenced | Event::Resumed | Event::GivenBack => {}
            Event::OldNodeLost => self.old_node_lost(&mut actions),
            failed => self.failed(failed, &mut actions),
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
            State::Connecting | State::Copying | State::Pausing => {
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
            self.state = State::Copying;
        }
        if self.state == State::Copying && self.copied && self.all(|s| s.connected) {
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
                self.drain(actions);
            }
        }
        if self.state == State::Draining && self.all(|s| s.drained) {
            self.secure(actions);
        }
        if self.state == State::Opening && self.all(|s| s.opened && (s.drained || self.old_lost)) {
            actions.extend(self.streams.keys().map(|id| Action::Switch(*id)));
            actions.push(Action::Finish(Ok(())));
            self.state = State::Done;
        }
    }

    fn drain(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Draining;
        self.raise_barriers(actions);
    }

    fn raise_barriers(&self, actions: &mut Vec<Action>) {
        if !self.old_lost {
            actions.extend(self.streams.keys().map(|id| Action::Barrier(*id)));
        }
    }

    fn handed_off(&mut self, state: Option<Vec<u8>>, actions: &mut Vec<Action>) {
        match (self.state, state) {
            (State::HandingOver, Some(state)) => {
                self.payload = Some(state);
                self.secure(actions);
                self.raise_barriers(actions);
            }
            // That it has none does not say that it has handled everything.
            (State::HandingOver, None) if self.carry => self.drain(actions),
            (State::HandingOver, None) => {
                self.raise_barriers(actions);
                self.open(actions);
            }
            // What it gave goes back.
            (State::Aborting, state) if self.hook_awaited => {
                self.hook_awaited = false;
                self.payload = Some(state.unwrap_or_default());
                self.settle(actions);
            }
            _ => {}
        }
    }

    /// The old node has handled everything that it was sent.
    fn secure(&mut self, actions: &mut Vec<Action>) {
        if self.carry {
            self.state = State::Fencing;
            self.fence = Fence::Asked;
            actions.push(Action::Fence);
        } else {
            self.resume(actions);
        }
    }

    /// The fence was answered. Where it failed it may stand all the same, so it is lifted.
    fn fenced(&mut self, failure: Option<MoveFailure>, actions: &mut Vec<Action>) {
        if self.fence != Fence::Asked {
            return;
        }
        self.fence = Fence::Set;
        match failure {
            _ if self.state == State::Aborting => self.settle(actions),
            Some(failure) => self.abort(failure, false, actions),
            None => {
                self.state = State::CatchingUp;
                actions.push(Action::CatchUp);
            }
        }
    }

    fn resume(&mut self, actions: &mut Vec<Action>) {
        match &self.payload {
            Some(state) => {
                self.state = State::Resuming;
                actions.push(Action::Resume(state.clone()));
            }
            None => self.open(actions),
        }
    }

    fn open(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Opening;
        actions.extend(self.streams.keys().map(|id| Action::Open(*id)));
    }
}

//! The way back to the old node: who owns the session first, then what it gave away.

use foreshift_wire::MoveFailure;

use super::{Action, Event, Fence, Handover, State};

impl Handover {
    /// Gives up, for the reason that the event tells.
    pub(super) fn failed(&mut self, event: Event, actions: &mut Vec<Action>) {
        let failure = match event {
            Event::FenceFailed(detail) => return self.fenced(Some(MoveFailure::Fence { detail }), actions),
            Event::HandoffFailed(_) if self.hook_awaited => {
                // It has given nothing away.
                self.hook_awaited = false;
                return self.settle(actions);
            }
            Event::ConnectFailed(_, detail) => MoveFailure::Connect { detail },
            Event::CopyFailed(detail) | Event::CatchUpFailed(detail) => MoveFailure::Replay { detail },
            Event::HandoffFailed(detail) => {
                self.abort(MoveFailure::Handoff { detail }, false, actions);
                return;
            }
            Event::ResumeFailed(detail) => MoveFailure::Resume { detail },
            Event::OpenFailed(_, detail) => MoveFailure::Handshake { detail },
            Event::Cancelled(detail) => MoveFailure::Cancelled { detail },
            Event::Unmovable(detail) => MoveFailure::Unmovable { detail },
            _ => MoveFailure::Deadline {
                step: self.state.name().into(),
            },
        };
        let calling_hook = self.state == State::HandingOver;
        self.abort(failure, calling_hook, actions);
    }

    /// Once the old node has given its state away, going on is better than going back to it.
    pub(super) fn old_node_lost(&mut self, actions: &mut Vec<Action>) {
        self.old_lost = true;
        match self.state {
            State::Fencing | State::CatchingUp | State::Resuming | State::Opening => {}
            State::Aborting => self.settle(actions),
            _ => self.abort(MoveFailure::OldNodeLost, false, actions),
        }
    }

    pub(super) fn abort(&mut self, failure: MoveFailure, hook_awaited: bool, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Aborting | State::Done) {
            return;
        }
        self.failure = Some(failure);
        self.state = State::Aborting;
        self.hook_awaited = hook_awaited;
        self.settle(actions);
    }

    /// Takes the next step back: who owns the session first, then what the old node gave away.
    pub(super) fn settle(&mut self, actions: &mut Vec<Action>) {
        match self.fence {
            // Lifted once it is known to be set, so that one cannot overtake the other.
            Fence::Asked | Fence::Lifting => return,
            Fence::Set => {
                self.fence = Fence::Lifting;
                return actions.push(Action::Unfence);
            }
            Fence::Open => {}
        }
        if self.old_lost {
            return self.finish(actions);
        }
        if self.hook_awaited || self.giving_back {
            return;
        }
        let told = (self.reinstated && self.hook).then(Vec::new);
        match self.payload.take().or(told) {
            Some(payload) => {
                self.giving_back = true;
                actions.push(Action::GiveBack(payload));
            }
            None => self.finish(actions),
        }
    }

    pub(super) fn finish(&mut self, actions: &mut Vec<Action>) {
        actions.extend(self.streams.keys().map(|id| Action::Stay(*id)));
        let failure = self.failure.take().unwrap_or(MoveFailure::OldNodeLost);
        actions.push(Action::Finish(Err(failure)));
        self.state = State::Done;
    }
}

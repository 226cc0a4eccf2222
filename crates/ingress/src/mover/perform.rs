//! Carries out what a hand-over's state machine asks for.

use std::time::{Duration, Instant};

use foreshift_migration::{Action, Event};
use foreshift_wire::{ConnectionId, MoveFailure};

use super::{
    Id, Mover, Note,
    active::Ending,
    hooks::{Call, Way},
    pool::PoolState,
};
use crate::message::{Ended, StreamCommand, ToWorker};

/// Streams report their pause within this time.
const REPORT_WITHIN: Duration = Duration::from_secs(1);
/// A hook may go on for so long after the deadline, so that a state it gives is not lost.
const HOOK_GRACE: Duration = Duration::from_millis(500);
/// How long a node that did not answer its hook is given to take note that the hand-over is off. The session's
/// clients wait for it.
const ABORT_WITHIN: Duration = Duration::from_secs(1);

/// An instant as the runtime's clock counts it.
pub(super) fn until(at: Instant) -> tokio::time::Instant {
    at.into()
}

impl Mover {
    pub(super) fn perform(&mut self, id: Id, actions: Vec<Action>) {
        let mut switched = Vec::new();
        for action in actions {
            match action {
                Action::Connect(stream) => {
                    let Some(to) = self.active.get(&id).map(|a| a.journey.to.clone()) else {
                        return;
                    };
                    self.command(id, stream, StreamCommand::Connect { to });
                }
                Action::Pause(stream) => self.command(id, stream, StreamCommand::Pause),
                Action::Barrier(stream) => self.command(id, stream, StreamCommand::Barrier),
                Action::Open(stream) => {
                    let carried = self.carried_to(id);
                    self.command(id, stream, StreamCommand::Open(carried));
                }
                Action::Copy => self.copy(id),
                Action::Fence => self.fence(id),
                Action::CatchUp => self.catch_up(id),
                Action::Unfence => self.unfence(id),
                Action::Stay(stream) => self.command(id, stream, StreamCommand::Stay),
                Action::Switch(stream) => {
                    switched.push(stream);
                    self.command(id, stream, StreamCommand::Switch);
                }
                Action::Hold => {
                    let (pool, session) = id;
                    for worker in &self.workers {
                        let _ = worker.send(ToWorker::Hold { pool, session });
                    }
                }
                Action::HandOff(sent) => self.hand_off(id, sent),
                Action::Resume(state) => self.resume(id, state),
                Action::GiveBack(state) => self.give_back(id, state),
                Action::Finish(result) => self.finish(id, result.err(), std::mem::take(&mut switched)),
            }
        }
    }

    fn command(&self, id: Id, stream: ConnectionId, command: StreamCommand) {
        let worker = self.active.get(&id).and_then(|a| a.worker_of.get(&stream));
        if let Some(worker) = worker.and_then(|w| self.workers.get(usize::from(*w))) {
            let _ = worker.send(ToWorker::Stream {
                connection: stream,
                command,
            });
        }
    }

    /// Runs a call in a task of its own; its event comes back as a note.
    pub(super) fn call(&self, id: Id, call: impl Future<Output = Event> + 'static) {
        let Some(generation) = self.active.get(&id).map(|a| a.generation) else {
            return;
        };
        let notes = self.notes.clone();
        tokio::task::spawn_local(async move {
            let _ = notes.send(Note::Handover(id, generation, call.await));
        });
    }

    pub(super) fn way(&self, pool: &PoolState) -> Way {
        Way {
            proxy: pool.config.send_proxy_protocol,
            tls: self.certificates.pool(&pool.config.name),
        }
    }

    fn hand_off(&self, id: Id, sent: Vec<(ConnectionId, u64)>) {
        let Some(active) = self.active.get(&id) else {
            return;
        };
        let pool = &self.pools[id.0];
        let left = active
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()));
        let within = left.unwrap_or_default() + HOOK_GRACE;
        let way = self.way(pool);
        let path = pool.config.handoff_path.clone().unwrap_or_default();
        let holders: Vec<_> = active
            .journey
            .holders
            .iter()
            .filter_map(|n| Some((n.clone(), pool.address(n)?)))
            .collect();
        let (hooks, session, to) = (self.hooks.clone(), id.1, active.journey.to.clone());
        let resume_path = pool.config.resume_path.clone().unwrap_or_default();
        self.call(id, async move {
            let mut messages = Some(sent);
            for (_, address) in holders {
                let call = Call {
                    address,
                    path: &path,
                    session,
                    within,
                    way: &way,
                };
                // Only the node that serves the session has been sent its messages.
                match hooks
                    .hand_off(&call, &to, &messages.take().unwrap_or_default())
                    .await
                {
                    Ok(Some(state)) => return Event::HandedOff(Some(state)),
                    Ok(None) => {}
                    Err(why) => {
                        // Whether it gave its state away is not known: it is told to keep it.
                        let abort = Call {
                            path: &resume_path,
                            within: ABORT_WITHIN,
                            ..call
                        };
                        let _ = hooks.give_back(&abort, None, Vec::new()).await;
                        return Event::HandoffFailed(why);
                    }
                }
            }
            Event::HandedOff(None)
        });
    }

    fn resume(&self, id: Id, state: Vec<u8>) {
        let Some(active) = self.active.get(&id) else {
            return;
        };
        let pool = &self.pools[id.0];
        let (hooks, session, from) = (self.hooks.clone(), id.1, active.journey.from.clone());
        let epoch = active.epoch;
        let address = pool.address(&active.journey.to);
        let path = pool.config.resume_path.clone().unwrap_or_default();
        let within = pool.config.migration_deadline.get();
        let way = self.way(pool);
        self.call(id, async move {
            let Some(address) = address else {
                return Event::ResumeFailed("the node is not known".into());
            };
            let call = Call {
                address,
                path: &path,
                session,
                within,
                way: &way,
            };
            match hooks.resume(&call, &from, epoch, state).await {
                Ok(()) => Event::Resumed,
                Err(why) => Event::ResumeFailed(why),
            }
        });
    }

    fn give_back(&self, id: Id, state: Vec<u8>) {
        let Some(active) = self.active.get(&id) else {
            return;
        };
        let pool = &self.pools[id.0];
        let (hooks, session, epoch) = (self.hooks.clone(), id.1, active.epoch);
        let address = pool.address(&active.journey.from);
        let name = pool.config.name.clone();
        let path = pool.config.resume_path.clone().unwrap_or_default();
        let within = pool.config.migration_deadline.get();
        let way = self.way(pool);
        self.call(id, async move {
            if let Some(address) = address {
                let call = Call { address, path: &path, session, within, way: &way };
                // One that gave nothing away only hears that it owns the session anew, if it listens.
                let had_none = state.is_empty() && epoch.is_some();
                if let Err(error) = hooks.give_back(&call, epoch, state).await
                    && !had_none
                {
                    tracing::error!(pool = %name, %error, "a node could not be given back the state of a session");
                }
            }
            Event::GivenBack
        });
    }

    pub(super) fn finish(&mut self, id: Id, failure: Option<MoveFailure>, switched: Vec<ConnectionId>) {
        let ended = if failure.is_none() {
            Ended::Switched
        } else {
            Ended::Stayed
        };
        if failure.is_none() {
            self.part(id, !switched.is_empty());
        }
        let Some(active) = self.active.remove(&id) else {
            return;
        };
        // From here on the session is where this hand-over left it, also for one that begins at once.
        self.pools[id.0].placed(id.1, &active.journey, failure.as_ref(), Instant::now());
        self.release(id, ended);
        if active.again {
            self.queue.push_back(id);
        }
        self.report(id);
        let ending = Ending {
            journey: active.journey,
            waiting: switched.into_iter().collect(),
            pauses_us: Vec::new(),
            failure,
            telling: active.telling,
            by_proxy: false,
            until: Instant::now() + REPORT_WITHIN,
        };
        let complete = ending.waiting.is_empty();
        self.ending.insert(id, ending);
        if complete {
            self.report(id);
        }
    }

    /// A stream of a hand-over that ended told its pause, or left.
    pub(super) fn switched(&mut self, id: Id, stream: ConnectionId, switch: Option<(u64, bool)>) {
        let Some(ending) = self.ending.get_mut(&id) else {
            return;
        };
        if ending.waiting.remove(&stream) {
            ending
                .pauses_us
                .extend(switch.map(|(pause_us, _)| (stream, pause_us)));
            ending.by_proxy |= switch.is_some_and(|(_, by_client)| !by_client);
        }
        if ending.waiting.is_empty() {
            self.report(id);
        }
    }

    /// Tells control how a hand-over ended.
    pub(super) fn report(&mut self, id: Id) {
        let Some(ending) = self.ending.remove(&id) else {
            return;
        };
        for event in self.pools[id.0].ended(id.1, ending) {
            self.tell(event);
        }
    }
}

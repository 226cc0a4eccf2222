//! Sessions of a dead node, whose state another one is given before it goes on.
//!
//! The workers find out that a node is dead, each for its own connections, and choose who goes on; here it is seen to that this is
//! done once for a session, and not for all sessions of the node at the same moment.

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use foreshift_wire::{Epoch, NodeId};
use tokio::sync::{Semaphore, oneshot};

use super::{Id, Mover, Note, perform::until};
use crate::{
    message::{Taken, ToWorker},
    reigns::Carried,
    state::Serving,
};

/// Take-overs that are carried out at once.
const AT_ONCE: usize = 64;
/// Connections of one session may find out so much later than the first that its node is dead.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Who waits for one.
type Waiting = Vec<oneshot::Sender<Taken>>;

/// All that are under way or just ended.
pub(super) struct TakeOvers {
    under_way: HashMap<(Id, NodeId), (NodeId, Waiting)>,
    done: HashMap<Id, (NodeId, Instant)>,
    permits: Rc<Semaphore>,
}

impl Default for TakeOvers {
    fn default() -> Self {
        Self {
            under_way: HashMap::new(),
            done: HashMap::new(),
            permits: Rc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl TakeOvers {
    /// The session moves on.
    pub(super) fn forget(&mut self, id: Id) {
        self.done.remove(&id);
    }

    pub(super) fn sweep(&mut self, now: Instant) {
        self.done.retain(|_, (_, until)| *until > now);
    }
}

impl Mover {
    /// Makes a node ready to go on with a session of a dead one, and says so.
    pub(super) fn take_over(&mut self, id: Id, dead: NodeId, to: NodeId, answer: oneshot::Sender<Taken>) {
        let done = self.takeovers.done.get(&id);
        if done.is_some_and(|(node, until)| *node == to && *until > Instant::now()) {
            let taken = self.still_owned(id, dead, &to);
            let _ = answer.send(taken);
            return;
        }
        let Some(replay) = self.replay(id, &to, Some(dead.clone()), until(Instant::now())) else {
            return; // whoever waits hears that nobody answers
        };
        let waiting = self.takeovers.under_way.entry((id, to.clone()));
        let (_, waiting) = waiting.or_insert_with(|| (dead, Vec::new()));
        waiting.push(answer);
        if waiting.len() > 1 {
            return;
        }
        let within = self.pools[id.0].config.migration_deadline.get();
        let (notes, permits) = (self.notes.clone(), self.takeovers.permits.clone());
        tokio::task::spawn_local(async move {
            let _permit = permits.acquire().await;
            let replay = super::replay::Replay {
                until: until(Instant::now() + within),
                ..replay
            };
            let taken = replay.take_over().await;
            let _ = notes.send(Note::TakenOver(id, to, taken));
        });
    }

    /// As it was said before of another connection of the session.
    fn still_owned(&self, id: Id, dead: NodeId, to: &NodeId) -> Taken {
        let replay = self.replay(id, to, None, until(Instant::now()));
        let replay = replay.ok_or("no state is kept")?;
        match replay.state.serving(&replay.pool, id.1, to) {
            Serving::Since(epoch) => Ok(self.carried(id, dead, to, epoch)),
            Serving::Revoked => Err("the session was revoked".into()),
        }
    }

    fn carried(&self, id: Id, dead: NodeId, to: &NodeId, epoch: Epoch) -> Carried {
        let within = self.pools[id.0].config.migration_deadline.get();
        let replay = self.replay(id, to, None, until(Instant::now()));
        Carried {
            epoch: Some(epoch),
            token: replay.and_then(|replay| replay.ticket(within)),
            dead: Some(dead),
        }
    }

    pub(super) fn taken_over(&mut self, id: Id, to: &NodeId, taken: &Result<Epoch, String>) {
        self.shared.reigns.changed();
        let Some((dead, waiting)) = self.takeovers.under_way.remove(&(id, to.clone())) else {
            return;
        };
        if taken.is_ok() {
            let now = Instant::now();
            self.takeovers.done.insert(id, (to.clone(), now + REMEMBERED));
            self.pools[id.0].went(id.1, to, now);
            if self.pools[id.0].place_of(id.1).as_ref() != Some(to) {
                // Until it was moved to where the routes say, with its state.
                let (pool, session) = id;
                for worker in &self.workers {
                    let node = to.clone();
                    let _ = worker.send(ToWorker::Settle { pool, session, node });
                }
            }
        }
        for answer in waiting {
            let carried = |epoch: &Epoch| self.carried(id, dead.clone(), to, *epoch);
            let _ = answer.send(taken.as_ref().map(carried).map_err(Clone::clone));
        }
    }
}

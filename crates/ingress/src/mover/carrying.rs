//! The kept state's part in a hand-over: copied while the old node serves, fenced, caught up.
//!
//! A hand-over of a pool whose nodes require nothing only changes the owner.

use std::time::{Duration, Instant};

use foreshift_migration::Event;
use foreshift_wire::{Epoch, NodeId};

use super::{
    Id, Mover, Note,
    active::Active,
    perform::until,
    replay::{Replay, pushes},
};
use crate::{reigns::Carried, state::Serving};

/// A store may go on for so long after the deadline, so that it is known who owns the session.
const FENCE_GRACE: Duration = Duration::from_millis(500);

impl Mover {
    /// A session's way to the node that it is being handed over to, or back.
    fn replay_of(&self, id: Id, to: impl FnOnce(&Active) -> &NodeId) -> Option<Replay> {
        let active = self.active.get(&id)?;
        let journey = &active.journey;
        let dead = (!journey.from_is_alive).then(|| journey.from.clone());
        let deadline = active.deadline.unwrap_or_else(Instant::now);
        self.replay(id, to(active), dead, until(deadline))
    }

    /// Has the new node hold what it requires, while the old one serves on.
    pub(super) fn copy(&self, id: Id) {
        let Some(replay) = self.replay_of(id, |a| &a.journey.to) else {
            return;
        };
        let epoch = self.epoch_of_old(id);
        self.call(id, async move {
            match replay.push(epoch).await {
                Ok(()) => Event::Copied,
                Err(why) => Event::CopyFailed(why),
            }
        });
    }

    /// Since when the old node serves the session.
    fn epoch_of_old(&self, id: Id) -> Option<Epoch> {
        let from = &self
            .active
            .get(&id)
            .filter(|a| a.journey.from_is_alive)?
            .journey
            .from;
        let pool = &self.pools[id.0].config.name;
        match self.shared.reigns.state()?.serving(pool, id.1, from) {
            Serving::Since(epoch) => Some(epoch),
            Serving::Revoked => None,
        }
    }

    /// Runs a change of owner in a task of its own.
    fn own(&self, id: Id, change: impl Future<Output = (Option<Epoch>, Event)> + 'static) {
        let Some(generation) = self.active.get(&id).map(|a| a.generation) else {
            return;
        };
        let notes = self.notes.clone();
        tokio::task::spawn_local(async move {
            let (epoch, event) = change.await;
            let _ = notes.send(Note::Owned(id, generation, epoch, event));
        });
    }

    pub(super) fn fence(&self, id: Id) {
        let Some(replay) = self.replay_of(id, |a| &a.journey.to) else {
            return;
        };
        self.own(id, async move {
            match replay.fence(FENCE_GRACE).await {
                Ok(epoch) => (Some(epoch), Event::Fenced),
                Err(why) => (None, Event::FenceFailed(why)),
            }
        });
    }

    pub(super) fn unfence(&self, id: Id) {
        let Some(replay) = self.replay_of(id, |a| &a.journey.from) else {
            return;
        };
        self.own(id, async move { (replay.unfence().await, Event::Unfenced) });
    }

    /// Has the new node hold what was written since it got its copy.
    pub(super) fn catch_up(&self, id: Id) {
        let Some(replay) = self.replay_of(id, |a| &a.journey.to) else {
            return;
        };
        let epoch = self.active.get(&id).and_then(|a| a.epoch);
        self.call(id, async move {
            match replay.push(epoch).await {
                Ok(()) => Event::CaughtUp,
                Err(why) => Event::CatchUpFailed(why),
            }
        });
    }

    /// What the new node is told in a stream's handshake.
    pub(super) fn carried_to(&self, id: Id) -> Carried {
        Carried {
            epoch: self.active.get(&id).and_then(|a| a.epoch),
            token: self.ticket(id, |a| &a.journey.to),
            dead: None,
        }
    }

    fn ticket(&self, id: Id, to: impl FnOnce(&Active) -> &NodeId) -> Option<String> {
        let pool = &self.pools[id.0];
        if !pool.carries_kept_state() || pushes(&pool.config) {
            return None;
        }
        let within = pool.config.migration_deadline.get();
        self.replay_of(id, to)?.ticket(within.max(super::LETTER_FOR))
    }

    /// The session has a new owner, who serves it: its next request tells what no stream has told, and the old node forgets it.
    pub(super) fn part(&self, id: Id, has_streams: bool) {
        let Some(active) = self.active.get(&id).filter(|a| a.epoch.is_some()) else {
            return;
        };
        let (epoch, journey) = (active.epoch, &active.journey);
        if !has_streams {
            let token = self.ticket(id, |a| &a.journey.to);
            let dead = (!journey.from_is_alive).then(|| journey.from.clone());
            if token.is_some() || dead.is_some() {
                let carried = Carried {
                    epoch: None,
                    token,
                    dead,
                };
                self.leave_letter(id, carried);
            }
        }
        let forgets = journey.from_is_alive && pushes(&self.pools[id.0].config);
        if let Some(replay) = self.replay_of(id, |a| &a.journey.from).filter(|_| forgets) {
            tokio::task::spawn_local(replay.forget(epoch));
        }
    }
}

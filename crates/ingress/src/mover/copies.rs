//! Copies of sessions that ended: the nodes that may have some are told to delete them.
//!
//! Nobody waits for it, and it is tried a few times only: what a node that cannot be reached keeps is of no use to anybody, as all
//! that the session could do is refused. Bounded, since thousands of sessions may end at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foreshift_wire::{Epoch, NodeId, PoolName, SessionId};
use http::StatusCode;
use tokio::sync::Semaphore;

use super::{Mover, perform::until, replay::Replay};

/// Nodes that are told at once, each of one session.
const AT_ONCE: usize = 32;
/// More than so many that are to be told, and the others are not.
const WAITING_MAX: usize = 20_000;
const ATTEMPTS: u32 = 3;
/// Until the next attempt.
const AGAIN: Duration = Duration::from_secs(1);

/// A session that ended.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) session: SessionId,
    /// The pool whose nodes may have copies. `None`: whichever has such nodes.
    pub(crate) pool: Option<PoolName>,
    /// Later than all its reigns.
    pub(crate) epoch: Epoch,
    /// Nodes that may have copies.
    pub(crate) copies: Vec<NodeId>,
}

/// How many may be told.
#[derive(Debug)]
pub(super) struct Bounds {
    waiting: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Mover {
    /// Has the nodes delete what they have of a session that ended.
    pub(super) fn delete_copies(&self, over: &Over) {
        let pools = self.pools.iter().enumerate();
        for (index, pool) in pools {
            if over.pool.as_ref().is_some_and(|name| *name != pool.config.name) {
                continue;
            }
            let Some(path) = pool.config.replay_path.as_deref() else {
                continue;
            };
            for node in &over.copies {
                let id = (index, over.session);
                let Some(replay) = self.replay(id, node, None, until(Instant::now())) else {
                    return;
                };
                if replay.address.is_some() {
                    let path = Some(path.into());
                    self.tell_later(Replay { path, ..replay }, over.epoch);
                }
            }
        }
    }

    fn tell_later(&self, replay: Replay, epoch: Epoch) {
        let Ok(place) = self.copies.waiting.clone().try_acquire_owned() else {
            tracing::warn!(node = %replay.to, "sessions ended faster than nodes could be told to delete their copies; some are not told");
            return;
        };
        let at_once = self.copies.at_once.clone();
        tokio::task::spawn_local(async move {
            let _place = place;
            let Ok(_turn) = at_once.acquire_owned().await else {
                return;
            };
            tell(&replay, epoch).await;
            // Whether it deleted them or not: what is told it next is not to go on from there.
            replay.state.forgets(replay.session, &replay.to);
        });
    }
}

async fn tell(replay: &Replay, epoch: Epoch) {
    let mut said = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(AGAIN).await;
        }
        match replay.end(epoch).await {
            Ok(status) if is_done(status) => return,
            Ok(status) => said = format!("it answered {status}"),
            Err(error) => said = error,
        }
    }
    tracing::warn!(node = %replay.to, error = said, "a node did not delete its copy of a session that ended");
}

/// The node deleted it or has none.
fn is_done(status: StatusCode) -> bool {
    status.is_success() || matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

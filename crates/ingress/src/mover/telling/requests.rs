//! Clients without a stream: the next answer tells them, and a request with the token says that they have come.
//!
//! Nothing is gained by a wait for a client of which nobody knows whether it understands. So only `client` waits, since it asks for
//! that; with `auto` the session is handed over at once, between two requests, and the answer tells the client all the same. Where
//! nodes have no state to hand over, requests follow the routes at once, and there is nothing to wait for either.

use std::{sync::Arc, time::Instant};

use foreshift_wire::Strategy;

use super::{DELAY_MAX, GRACE, Id, Mover};
use crate::{
    instruct::{Issued, Notice},
    message::ToWorker,
};

impl Mover {
    /// Has the next answer tell a session's client, and waits for it or not.
    pub(super) fn tell_requests(&mut self, id: Id) {
        let pool = &self.pools[id.0];
        let waits = pool.config.migration_strategy == Strategy::Client && pool.carries();
        if !(self.announce(id) && waits) {
            self.hand_over_untold(id);
        }
    }

    /// False where too many are told at once.
    fn announce(&mut self, id: Id) -> bool {
        let (pool, session) = id;
        let Some(told) = self.tellings.sessions.get_mut(&id) else {
            return false;
        };
        let (now, now_ms) = (Instant::now(), crate::clock::unix_ms());
        let (config, to) = (&self.pools[pool].config, &told.journey.to);
        let per_second = config.reconnects_per_second;
        let at = self.tellings.lanes.arrival(pool, to, per_second, now);
        let (delay, within) = (at - now, config.migration_within.get());
        if delay > DELAY_MAX {
            return false;
        }
        let issued = Issued {
            pool,
            session,
            connection: None,
            expires_ms: now_ms + (delay + within).as_millis() as u64,
        };
        let Some(token) = self.tellings.tokens.issue(&config.name, to, issued, now_ms) else {
            return false;
        };
        told.delay = delay;
        told.deadline = Some(at + within + GRACE);
        told.by_answer = Some(token.nonce);
        let notice = Arc::new(Notice::new(token.text, at, within));
        for worker in &self.workers {
            let notice = notice.clone();
            let _ = worker.send(ToWorker::Announce {
                pool,
                session,
                notice,
            });
        }
        true
    }

    /// A request brought the token. The session is handed over in its turn; until then the old node answers.
    pub(in super::super) fn came(&mut self, id: Id) {
        if self.takes_back(id) {
            self.queue_told(id, None);
        }
    }

    /// Whether the session waits for a client that an answer was to tell: not any more, and no token is good for it.
    pub(super) fn takes_back(&mut self, (pool, session): Id) -> bool {
        let told = self.tellings.sessions.get_mut(&(pool, session));
        let Some(nonce) = told.and_then(|told| told.by_answer.take()) else {
            return false;
        };
        self.tellings.tokens.withdraw(nonce);
        for worker in &self.workers {
            let _ = worker.send(ToWorker::TakeDown { pool, session });
        }
        true
    }
}

//! Selective replay: what a node is told of a session that moves to it.
//!
//! Of the partitions that the node requires, only what it does not already hold: versions are compared, and a change since the
//! held one is told rather than all. What a node holds is what it acknowledged, remembered in bounded memory: what was forgotten costs
//! bytes, never truth.
//!
//! Here are the decisions and the tables; [`crate::Sessions`] joins them with the engine. Absent: the way to the node, which is
//! the ingress' (push) or the node's own (pull).

mod counters;
mod held;
mod needs;
mod portion;
mod tell;
mod ticket;

use foreshift_wire::Session;

pub(crate) use self::{
    counters::Counters,
    held::{Held, Known},
    needs::Needs,
    portion::{Told, pack},
    tell::{Tell, tell},
    ticket::Tickets,
};
pub use self::{
    counters::{Counts, ReplayStats},
    portion::{Portion, Pulled, content_digest},
    ticket::Redeemed,
};

/// The share of the memory for sessions that the table of what nodes hold may have.
const HELD_SHARE: u64 = 8;

/// What replay remembers of sessions and nodes.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) held: Held,
    pub(crate) tickets: Tickets,
    pub(crate) counters: Counters,
}

impl Replay {
    pub(crate) fn new(config: &Session) -> Self {
        Self {
            held: Held::new((config.cache_bytes / HELD_SHARE) as usize),
            tickets: Tickets::default(),
            counters: Counters::default(),
        }
    }
}

//! A WebSocket whose node died goes on with another one.
//!
//! Only where the pool says `failover = "resume"`, and only where the node is really gone: one that still takes
//! connections has dropped this one on purpose, and the client is told. Messages that were under way to the dead
//! node are lost, as they would be with the client's own reconnect.

use foreshift_wire::{Failover, NodeId};

use super::{
    moving::Input,
    pair::{End, Pair},
};
use crate::{
    elsewhere::{take_over, taken_over, tell_failed_over},
    message::{Reached, StreamCommand},
    stream::Stream,
};

const LOST: End = End::Close {
    code: 1012,
    reason: "node lost",
};

impl Pair {
    pub(super) fn fail_over(&mut self) -> Result<(), End> {
        let (Some(session), Some(dead)) = (self.connection.session.get(), self.node_of_now()) else {
            return Err(LOST);
        };
        let resumes = self.pool().config().failover == Failover::Resume;
        if !resumes || !self.down.tracker.at_message_boundary() || self.worker.draining() {
            tell_failed_over(&self.worker, &self.connection, &dead.id, None);
            return Err(LOST);
        }
        self.attempt += 1;
        self.sieve = None;
        let (worker, connection, attempt) = (self.worker.clone(), self.connection.clone(), self.attempt);
        let handshake = self.handshake.clone();
        tokio::task::spawn_local(async move {
            let taken = take_over(&worker, &connection, session, &dead, &handshake).await;
            connection.command(StreamCommand::Reached(attempt, Reached::FailedOver(taken)));
        });
        Ok(())
    }

    pub(super) fn failed_over(&mut self, taken: Option<(NodeId, Stream, Vec<u8>)>) -> Result<(), End> {
        let Some((node, stream, behind)) = taken_over(&self.worker, &self.connection, taken) else {
            return Err(LOST);
        };
        self.worker.serve_by(&self.connection, &node);
        self.connection.switches.set(self.connection.switches.get() + 1);
        self.node = stream;
        self.node_dead = false;
        self.down.tracker = self.down.tracker.anew();
        self.cross_over();
        if let Input::Held(held) = &self.input {
            self.messages_before = held.messages();
        }
        self.release();
        self.node_sent(&behind)
    }
}

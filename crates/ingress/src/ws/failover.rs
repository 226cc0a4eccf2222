//! A WebSocket whose node died goes on with another one.
//!
//! Only where the pool says `failover = "resume"`, and only where the node is really gone: one that still takes
//! connections has dropped this one on purpose, and the client is told. Messages that were under way to the dead
//! node are lost, as they would be with the client's own reconnect.

use std::rc::Rc;

use foreshift_wire::{Failover, IngressEvent, NodeId, SessionId};

use super::{
    handshake::Handshake,
    moving::Input,
    pair::{End, Pair},
};
use crate::{
    connections::Connection,
    message::{FailedOver, Reached, StreamCommand, ToMover},
    node::Node,
    worker::{Worker, connect},
};

/// How many nodes are tried.
const NODES_TRIED: usize = 3;

const LOST: End = End::Close {
    code: 1012,
    reason: "node lost",
};

impl Pair {
    pub(super) fn fail_over(&mut self) -> Result<(), End> {
        let (Some(session), Some(dead)) = (self.connection.session.get(), self.node_of_now()) else {
            return Err(LOST);
        };
        let resumes = self.pool().config.failover == Failover::Resume;
        if !resumes || !self.down.tracker.at_message_boundary() || self.worker.draining() {
            self.tell_failed_over(&dead.id, None);
            return Err(LOST);
        }
        self.attempt += 1;
        self.sieve = None;
        let (worker, connection, attempt) = (self.worker.clone(), self.connection.clone(), self.attempt);
        let handshake = self.handshake.clone();
        tokio::task::spawn_local(async move {
            let taken = take_over(&worker, &connection, &handshake, session, &dead).await;
            connection.command(StreamCommand::Reached(attempt, Reached::FailedOver(taken)));
        });
        Ok(())
    }

    pub(super) fn failed_over(&mut self, taken: Option<FailedOver>) -> Result<(), End> {
        let dead = self.node_of_now().map(|n| n.id.clone());
        let taken = taken.and_then(|t| Some((self.pool().table.node(&t.node)?, t)));
        if let Some(dead) = dead {
            self.tell_failed_over(&dead, taken.as_ref().map(|(node, _)| node.id.clone()));
        }
        let Some((node, FailedOver { stream, behind, .. })) = taken else {
            return Err(LOST);
        };
        self.worker.serve_by(&self.connection, &node);
        self.connection.switches.set(self.connection.switches.get() + 1);
        self.node = stream;
        self.node_dead = false;
        self.down.tracker = self.down.tracker.anew();
        if let Input::Held(held) = &self.input {
            self.messages_before = held.messages();
        }
        self.release();
        self.node_sent(&behind)
    }

    fn tell_failed_over(&self, from: &NodeId, to: Option<NodeId>) {
        let Some(session) = self.connection.session.get() else {
            return;
        };
        let (pool, connection) = (self.pool().config.name.clone(), self.connection.id);
        let event = IngressEvent::FailedOver {
            pool,
            session,
            connection,
            from: from.clone(),
            to,
        };
        self.worker.tell(ToMover::Tell(event));
    }
}

async fn take_over(
    worker: &Worker,
    connection: &Connection,
    handshake: &Handshake,
    session: SessionId,
    dead: &Rc<Node>,
) -> Option<FailedOver> {
    let pool = &worker.pools[connection.pool];
    let within = pool.config.connect_timeout.get();
    if connect(dead.address, within).await.is_ok() {
        return None;
    }
    worker.suspect(pool, dead, "connections broke and new ones are refused");
    for _ in 0..NODES_TRIED {
        let node = pool.table.another(session, &dead.id, std::time::Instant::now())?;
        let Ok(stream) = worker.connect(pool, &node).await else {
            continue;
        };
        let session = session.to_string();
        let fields = [
            ("Foreshift-Resume", &*session),
            ("Foreshift-Failover", dead.id.as_str()),
        ];
        return match handshake
            .repeat(&stream, &fields, pool.config.migration_deadline.get())
            .await
        {
            Ok(behind) => Some(FailedOver {
                node: node.id.clone(),
                stream,
                behind,
            }),
            Err(error) => {
                tracing::warn!(node = %node.id, %error, "a node did not take over a WebSocket");
                None
            }
        };
    }
    None
}

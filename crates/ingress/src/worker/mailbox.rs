//! What a worker does when the mover or the API asks.

use std::{
    collections::HashSet,
    rc::Rc,
    time::{Duration, Instant},
};

use foreshift_wire::{
    ConnectionFilter, ConnectionInfo, ConnectionKind, Failover, NodeId, NodeState, SessionId,
};
use tokio::sync::mpsc;

use super::{Worker, accept};
use crate::{
    connections::Connection,
    message::{Requests, Returnable, SESSION_ENDED, StreamCommand, ToMover, ToWorker},
    returns::closing_turn,
};

/// Connections listed where a filter names no limit.
pub(crate) const LISTED: usize = 1000;

pub(super) async fn run(worker: Rc<Worker>, mut mailbox: mpsc::UnboundedReceiver<ToWorker>) {
    while let Some(message) = mailbox.recv().await {
        handle(&worker, message);
    }
}

fn handle(worker: &Rc<Worker>, message: ToWorker) {
    match message {
        ToWorker::Routes { pool, snapshot } => {
            let before = worker.pools[pool].table.states();
            let gone = worker.pools[pool].table.install(snapshot, Instant::now());
            worker.pools[pool].http2.forget(&gone);
            worker.routed.notify_waiters();
            if worker.pools[pool].table.states() != before {
                leave_down_nodes(worker, pool);
            }
        }
        ToWorker::Begin { pool, session, from } => begin(worker, pool, session, &from),
        ToWorker::Tell { pool, session, from } => tell(worker, pool, session, &from),
        ToWorker::Announce {
            pool,
            session,
            notice,
        } => worker.pools[pool].board.post(session, notice),
        ToWorker::TakeDown { pool, session } => worker.pools[pool].board.take_down(session),
        ToWorker::Stream { connection, command } => {
            if let Some(connection) = worker.connections.get(connection) {
                connection.command(command);
            }
        }
        ToWorker::Hold { pool, session } => {
            worker.pools[pool].table.hold(session);
            worker.tell_if_quiet(pool, session);
        }
        ToWorker::Finish { pool, session, ended } => {
            for connection in worker.connections.of_session(pool, session) {
                connection.moving.set(false);
            }
            worker.pools[pool].table.finish(session, ended);
        }
        ToWorker::Live {
            pool,
            buckets,
            answer,
        } => {
            let wanted = |s: SessionId| buckets.binary_search(&s.bucket()).is_ok();
            let _ = answer.send(worker.connections.sessions(pool, wanted));
        }
        ToWorker::Report { answer } => {
            let _ = answer.send(worker.report());
        }
        ToWorker::Connections { filter, answer } => {
            let _ = answer.send(list(worker, &filter));
        }
        ToWorker::Limits(limits) => worker.limits.set(limits.as_ref().clone()),
        ToWorker::Access(access) => worker.access.set(access),
        ToWorker::Pool { index, config, keyed } => worker.take_pool(index, &config, keyed),
        ToWorker::Listen { sockets, listener } => accept::listen(worker, sockets, listener),
        ToWorker::Unlisten(name) => accept::unlisten(worker, &name),
        ToWorker::CloseStreams { filter, answer } => {
            let _ = answer.send(close_streams(worker, &filter));
        }
        ToWorker::Letter {
            pool,
            session,
            letter,
        } => worker.pools[pool].letters.put(session, letter),
        ToWorker::Settle { pool, session, node } => worker.pools[pool].table.settle(session, &node),
        ToWorker::EndSession(session) => end_session(worker, session),
        ToWorker::Drain { idle } => worker.start_draining(idle),
        ToWorker::Close { code, reason } => close_all(worker, code, reason),
        ToWorker::CloseOver { within, code, reason } => {
            tokio::task::spawn_local(close_over(worker.clone(), within, code, reason));
        }
        ToWorker::Returnable { answer } => {
            let _ = answer.send(returnable(worker));
        }
        ToWorker::LastId { answer } => {
            let _ = answer.send(worker.next_id.get());
        }
        ToWorker::Open { answer } => {
            let _ = answer.send(worker.connections.len());
        }
        ToWorker::Serves { pool, answer } => {
            let mut pools = worker.pools.iter();
            let _ = answer.send(pools.any(|p| p.name == pool && p.table.has_ready()));
        }
    }
}

/// Has streams leave nodes that the routes say are down: one that hangs closes nothing, and a machine that vanished
/// cannot. Where a node's loss closes its clients, they stay as long as their connections last.
fn leave_down_nodes(worker: &Worker, pool: usize) {
    if worker.pools[pool].config().failover != Failover::Resume {
        return;
    }
    let states = worker.pools[pool].table.states();
    let down: HashSet<NodeId> = states
        .into_iter()
        .filter_map(|(id, state)| (state == NodeState::Down).then_some(id))
        .collect();
    if down.is_empty() {
        return;
    }
    for connection in worker.connections.all() {
        let node = connection.node.borrow().as_ref().map(|node| node.id.clone());
        if let Some(node) = node.filter(|node| down.contains(node))
            && connection.pool == pool
            && connection.is_stream()
        {
            connection.command(StreamCommand::NodeDown(node));
        }
    }
}

fn begin(worker: &Worker, pool: usize, session: SessionId, from: &NodeId) {
    worker.pools[pool].letters.drop_of(session);
    worker.pools[pool].table.begin(session, from);
    let members = worker.connections.of_session(pool, session);
    for connection in &members {
        connection.moving.set(true);
    }
    let streams = members
        .iter()
        .filter(|c| c.is_stream())
        .filter_map(|c| Some((c.id, c.node.borrow().as_ref()?.id.clone())))
        .collect();
    let longest = worker.connections.longest_request(pool, session, Instant::now());
    let count = worker.connections.requests_in_flight(pool, session);
    let requests = Requests {
        count,
        longest: longest.unwrap_or_default(),
    };
    worker.tell(ToMover::Members {
        pool,
        session,
        worker: worker.index,
        streams,
        requests,
    });
}

fn tell(worker: &Worker, pool: usize, session: SessionId, from: &NodeId) {
    worker.pools[pool].table.tell(session, from);
    let members = worker.connections.of_session(pool, session);
    let streams = members.iter().filter(|c| c.is_stream());
    let streams = streams
        .map(|connection| {
            // So that the mover hears when it ends.
            connection.moving.set(true);
            (connection.id, connection.instructable.get())
        })
        .collect();
    worker.tell(ToMover::Listening {
        pool,
        session,
        worker: worker.index,
        streams,
    });
}

fn close_all(worker: &Worker, code: u16, reason: &'static str) {
    for connection in worker.connections.all() {
        if connection.is_stream() || connection.kind.get() == ConnectionKind::Tcp {
            connection.command(StreamCommand::Close { code, reason });
        }
    }
}

/// As [`close_all`], spread, so that their clients do not come back together.
async fn close_over(worker: Rc<Worker>, within: Duration, code: u16, reason: &'static str) {
    let start = Instant::now();
    let ends = |c: &Connection| c.is_stream() || c.kind.get() == ConnectionKind::Tcp;
    let all = worker.connections.all();
    let ids: Vec<_> = all.into_iter().filter(|c| ends(c)).map(|c| c.id).collect();
    for (index, id) in ids.iter().enumerate() {
        let at = start + closing_turn(index, ids.len(), within);
        tokio::time::sleep_until(at.into()).await;
        if let Some(connection) = worker.connections.get(*id) {
            connection.command(StreamCommand::Close { code, reason });
        }
    }
}

/// Those whose clients speak `foreshift.v1` and that no hand-over has: each is told of once.
fn returnable(worker: &Worker) -> Vec<Returnable> {
    let all = worker.connections.all();
    let can = |c: &&Rc<Connection>| c.is_stream() && c.instructable.get() && !c.moving.get();
    let returnable = all.iter().filter(can).filter_map(|connection| {
        let node = connection.node.borrow().as_ref()?.id.clone();
        // From now on it is not told to move, either.
        connection.instructable.set(false);
        let config = worker.pools[connection.pool].config();
        Some(Returnable {
            worker: worker.index,
            connection: connection.id,
            to: (connection.pool, node),
            per_second: config.reconnects_per_second,
            within: config.migration_within.get(),
        })
    });
    returnable.collect()
}

/// Closes a session's streams; its other connections end with their next answer.
fn end_session(worker: &Worker, session: SessionId) {
    for pool in 0..worker.pools.len() {
        for connection in worker.connections.of_session(pool, session) {
            connection.ends.set(true);
            if connection.is_stream() || connection.kind.get() == ConnectionKind::Tcp {
                connection.command(StreamCommand::Close {
                    code: 1008,
                    reason: SESSION_ENDED,
                });
            }
        }
    }
}

/// Ends streams as an operator asked; a request that is being answered is left to end by itself.
fn close_streams(worker: &Worker, filter: &ConnectionFilter) -> u64 {
    let mut closed = 0;
    for connection in worker.connections.all() {
        let ends = connection.is_stream() || connection.kind.get() == ConnectionKind::Tcp;
        if ends && wants(worker, filter, &connection) {
            connection.command(StreamCommand::Close {
                code: 1012,
                reason: "ended by the operator",
            });
            closed += 1;
        }
    }
    closed
}

fn list(worker: &Worker, filter: &ConnectionFilter) -> Vec<ConnectionInfo> {
    let wanted = |c: &Connection| wants(worker, filter, c);
    worker.connections.list(
        |pool| worker.pools[pool].name.clone(),
        wanted,
        filter.limit.unwrap_or(LISTED),
    )
}

fn wants(worker: &Worker, filter: &ConnectionFilter, c: &Connection) -> bool {
    filter.id.is_none_or(|id| c.id == id)
        && filter.session.is_none_or(|s| c.session.get() == Some(s))
        && filter
            .pool
            .as_ref()
            .is_none_or(|p| worker.pools[c.pool].name == *p)
        && filter
            .key
            .as_ref()
            .is_none_or(|k| c.key.borrow().as_slice() == k.as_bytes())
        && filter
            .node
            .as_ref()
            .is_none_or(|n| c.node.borrow().as_ref().is_some_and(|node| node.id == *n))
}

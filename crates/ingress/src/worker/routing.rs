//! Which node serves a request, and what the mover must know of requests that come and go.

use std::{rc::Rc, time::Instant};

use foreshift_wire::{ConnectionKind, Epoch, NodeId, SessionId};
use tokio::{sync::oneshot, time};

use super::{Pool, Worker};
use crate::{
    connections::Connection,
    http1::Reject,
    message::{SESSION_ENDED, StreamCommand, StreamEvent, Taken, ToMover},
    node::Node,
    reigns::{Carried, Reign, Revoked},
    table::{Route, WAIT_GRACE},
};

/// Where a request goes, and the session's own node where that does not answer.
type Place = (Rc<Node>, Option<Rc<Node>>);

impl Worker {
    /// Where a request of a session goes; waits while the session is handed over. `stream`: it may open a stream
    /// that outlives it.
    pub(crate) async fn route(&self, pool: &Pool, session: SessionId, stream: bool) -> Option<Place> {
        if pool.table.any_ejected()
            && let Some(node) = self.connections.node_of_streams(self.index_of(pool), session)
            && !node.is_suspect(Instant::now())
            && !pool.table.in_transit(session)
        {
            // A key's connections belong together, and open ones stay with a node that is left out.
            return Some((node, None));
        }
        match pool.table.route(session, stream, Instant::now()) {
            Route::To(node) => Some((node, None)),
            Route::Instead(node, own) => Some((node, Some(own))),
            Route::Nowhere => None,
            Route::Wait(wait, ask) => self.route_later(pool, session, stream, wait, ask).await,
        }
    }

    async fn route_later(
        &self,
        pool: &Pool,
        session: SessionId,
        stream: bool,
        mut wait: oneshot::Receiver<()>,
        mut ask: bool,
    ) -> Option<Place> {
        let until = time::Instant::now() + pool.config().migration_deadline.get() + WAIT_GRACE;
        loop {
            if ask {
                self.tell(ToMover::Wanted {
                    pool: self.index_of(pool),
                    session,
                });
            }
            // An error is as good as an answer: either says that the gate moved on.
            if time::timeout_at(until, wait).await.is_err() {
                return None;
            }
            match pool.table.route(session, stream, Instant::now()) {
                Route::To(node) => return Some((node, None)),
                Route::Instead(node, own) => return Some((node, Some(own))),
                Route::Nowhere => return None,
                Route::Wait(again, asks) => (wait, ask) = (again, asks),
            }
        }
    }

    fn index_of(&self, pool: &Pool) -> usize {
        self.pools.iter().position(|p| std::ptr::eq(p, pool)).unwrap_or(0)
    }

    /// Has a node made ready to go on with a session of a dead one, where its state is kept and has to follow it.
    pub(crate) async fn take_over(
        &self,
        pool: usize,
        session: SessionId,
        dead: &NodeId,
        to: &NodeId,
    ) -> Taken {
        let (reigns, state) = (&self.shared.reigns, &self.pools[pool]);
        if !state.table.carries() {
            let reign = reigns.of(None, &state.name, session, to);
            let epoch = reign
                .map_err(|Revoked| "the session was revoked")?
                .map(Reign::epoch);
            return Ok(Carried {
                epoch,
                ..Carried::default()
            });
        }
        let (answer, taken) = oneshot::channel();
        self.tell(ToMover::TakeOver {
            pool,
            session,
            dead: dead.clone(),
            to: to.clone(),
            answer,
        });
        taken.await.unwrap_or_else(|_| Err("the data plane ends".into()))
    }

    /// The connection is served by `node` from now on.
    #[inline]
    pub(crate) fn serve_by(&self, connection: &Connection, node: &Rc<Node>) {
        let mut current = connection.node.borrow_mut();
        if current.as_ref().is_some_and(|c| Rc::ptr_eq(c, node)) {
            return;
        }
        connection.reign.set(None);
        let streams = connection.is_stream();
        if let Some(old) = current.replace(node.clone()) {
            old.detach();
            if streams {
                old.room.close_stream();
            }
        }
        node.attach();
        if streams {
            node.room.open_stream();
        }
    }

    /// Since when the connection's node serves its session. `None` where no state is kept.
    #[inline]
    pub(crate) fn reign(&self, pool: &Pool, connection: &Connection) -> Result<Option<Epoch>, Reject> {
        match self.shared.reigns.are_kept() {
            true => self.reign_of(pool, connection),
            false => Ok(None),
        }
    }

    fn reign_of(&self, pool: &Pool, connection: &Connection) -> Result<Option<Epoch>, Reject> {
        let node = connection.node.borrow();
        let (Some(session), Some(node)) = (connection.session.get(), &*node) else {
            return Ok(None);
        };
        let (reigns, said) = (&self.shared.reigns, connection.reign.get());
        let reign = reigns.of(said, &pool.name, session, &node.id);
        let reign = reign.map_err(|Revoked| Reject::REVOKED)?;
        connection.reign.set(reign);
        Ok(reign.map(Reign::epoch))
    }

    /// A request of the connection was answered.
    #[inline]
    pub(crate) fn request_done(&self, pool: &Pool, connection: &Rc<Connection>, session: SessionId) {
        connection.busy_since.set(None);
        if pool.table.is_held(session) && !connection.is_stream() {
            self.tell_if_quiet(connection.pool, session);
        }
    }

    /// A request became a stream.
    pub(crate) fn became_stream(&self, pool: &Pool, connection: &Rc<Connection>, kind: ConnectionKind) {
        self.connections.set_kind(connection, kind);
        let Some(session) = connection.session.get() else {
            return;
        };
        if connection.ends.get() {
            connection.command(StreamCommand::Close {
                code: 1008,
                reason: SESSION_ENDED,
            });
        }
        if pool.table.in_transit(session) {
            connection.moving.set(true);
            let (pool, worker) = (connection.pool, self.index);
            self.tell(ToMover::Joined {
                pool,
                session,
                worker,
                connection: connection.id,
            });
        }
        if pool.table.is_held(session) {
            self.tell_if_quiet(connection.pool, session);
        }
    }

    /// A stream ended; where it is being handed over, the mover must not wait for it.
    pub(crate) fn stream_left(&self, connection: &Connection) {
        if connection.moving.get() {
            self.tell_stream(connection, StreamEvent::Left);
        }
    }

    /// Tells the mover where no request of a session is being answered.
    pub(crate) fn tell_if_quiet(&self, pool: usize, session: SessionId) {
        if self.connections.requests_in_flight(pool, session) == 0 {
            self.tell(ToMover::Quiet {
                pool,
                session,
                worker: self.index,
            });
        }
    }
}

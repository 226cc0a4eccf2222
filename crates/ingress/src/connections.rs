//! The open client connections of one worker, by id and by session.
//!
//! A connection's cell holds what others may ask or tell it: the API lists cells, the mover commands them. A
//! connection that keeps its key costs the index nothing per request; only a change of key touches it.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::SocketAddr,
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use foreshift_wire::{BucketReport, ConnectionId, ConnectionInfo, ConnectionKind, KeyReport, SessionId};
use smallvec::SmallVec;

use crate::{
    key::Key,
    loads::Loads,
    message::StreamCommand,
    node::{Node, Own},
    reigns::Reign,
};

/// What a report takes from a connection, and starts anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) requests: u32,
    pub(crate) bytes: u64,
    pub(crate) busy_us: u64,
}

/// One client connection, or one HTTP/2 stream.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    /// Where the client connected to; known where the nodes are told.
    pub(crate) local: Cell<Option<SocketAddr>>,
    /// A node's connection that only this client may use, until its next request.
    pub(crate) own: Own,
    pub(crate) since_ms: u64,
    /// Index of the pool among the worker's pools.
    pub(crate) pool: usize,
    pub(crate) kind: Cell<ConnectionKind>,
    pub(crate) session: Cell<Option<SessionId>>,
    pub(crate) key: RefCell<Key>,
    pub(crate) node: RefCell<Option<Rc<Node>>>,
    /// Since when a request is being answered.
    pub(crate) busy_since: Cell<Option<Instant>>,
    pub(crate) requests: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
    pub(crate) switches: Cell<u32>,
    pub(crate) moving: Cell<bool>,
    /// It ends with its next answer.
    pub(crate) ends: Cell<bool>,
    /// Since when its node serves its session, where that was asked.
    pub(crate) reign: Cell<Option<Reign>>,
    /// Its client can be told to move by itself.
    pub(crate) instructable: Cell<bool>,
    delta: Cell<Delta>,
    touched: Cell<bool>,
    inbox: RefCell<VecDeque<StreamCommand>>,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    /// Whether it holds a stream that outlives a request, and so takes part in hand-overs by itself.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(
            self.kind.get(),
            ConnectionKind::Websocket | ConnectionKind::EventStream | ConnectionKind::TcpFramed
        )
    }

    fn with_node(&self, tell: impl FnOnce(&Node)) {
        if let Some(node) = &*self.node.borrow() {
            tell(node);
        }
    }

    /// Leaves a command for the connection's task.
    pub(crate) fn command(&self, command: StreamCommand) {
        self.inbox.borrow_mut().push_back(command);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The next command.
    pub(crate) fn next_command(&self) -> Option<StreamCommand> {
        self.inbox.borrow_mut().pop_front()
    }

    /// Has `waker` woken by the next command.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        if slot.as_ref().is_none_or(|old| !old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn info(&self, pool: foreshift_wire::PoolName) -> Option<ConnectionInfo> {
        Some(ConnectionInfo {
            id: self.id,
            pool,
            node: self.node.borrow().as_ref()?.id.clone(),
            session: self.session.get()?,
            key: key_text(&self.key.borrow()),
            kind: self.kind.get(),
            client: self.peer.to_string(),
            since_ms: self.since_ms,
            requests: self.requests.get(),
            bytes: self.bytes.get(),
            switches: self.switches.get(),
            moving: self.moving.get(),
        })
    }
}

/// A key as people see it: at most 64 characters.
pub(crate) fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().take(64).collect()
}

type Members = SmallVec<[Rc<Connection>; 1]>;

/// All connections of one worker.
pub(crate) struct Connections {
    by_id: RefCell<HashMap<u64, Rc<Connection>>>,
    by_session: RefCell<HashMap<(usize, SessionId), Members>>,
    /// Those that counted something since the last report.
    touched: RefCell<HashMap<u64, Rc<Connection>>>,
    /// By pool.
    loads: RefCell<Vec<Loads>>,
    /// Open streams by pool and bucket.
    streams: RefCell<HashMap<(usize, u16), u32>>,
}

impl Connections {
    pub(crate) fn new(pools: usize) -> Self {
        Self {
            by_id: RefCell::default(),
            by_session: RefCell::default(),
            touched: RefCell::default(),
            loads: RefCell::new(std::iter::repeat_with(Loads::default).take(pools).collect()),
            streams: RefCell::default(),
        }
    }

    /// There is one pool more.
    pub(crate) fn add_pool(&self) {
        self.loads.borrow_mut().push(Loads::default());
    }

    /// Enters a new connection that has no key yet.
    pub(crate) fn add(
        &self,
        id: ConnectionId,
        peer: SocketAddr,
        pool: usize,
        kind: ConnectionKind,
    ) -> Rc<Connection> {
        let connection = Rc::new(Connection {
            id,
            peer,
            local: Cell::new(None),
            own: Own::default(),
            since_ms: crate::clock::unix_ms(),
            pool,
            kind: Cell::new(kind),
            session: Cell::new(None),
            key: RefCell::default(),
            node: RefCell::default(),
            busy_since: Cell::new(None),
            requests: Cell::new(0),
            bytes: Cell::new(0),
            switches: Cell::new(0),
            moving: Cell::new(false),
            ends: Cell::new(false),
            reign: Cell::new(None),
            instructable: Cell::new(false),
            delta: Cell::default(),
            touched: Cell::new(false),
            inbox: RefCell::default(),
            waker: RefCell::default(),
        });
        self.by_id.borrow_mut().insert(id.0, connection.clone());
        connection
    }

    /// Tells under which session a connection is from now on. Free where that did not change.
    #[inline]
    pub(crate) fn assign(&self, connection: &Rc<Connection>, session: SessionId, key: &Key) {
        if connection.session.get() == Some(session) {
            return;
        }
        self.leave_session(connection);
        connection.session.set(Some(session));
        connection.reign.set(None);
        connection.key.borrow_mut().clone_from(key);
        self.by_session
            .borrow_mut()
            .entry((connection.pool, session))
            .or_default()
            .push(connection.clone());
    }

    /// Tells what is spoken on a connection from now on.
    pub(crate) fn set_kind(&self, connection: &Connection, kind: ConnectionKind) {
        let was_stream = connection.is_stream();
        connection.kind.set(kind);
        let Some(session) = connection.session.get() else {
            return;
        };
        let place = (connection.pool, session.bucket());
        let mut streams = self.streams.borrow_mut();
        match (was_stream, connection.is_stream()) {
            (false, true) => {
                *streams.entry(place).or_default() += 1;
                connection.with_node(|node| node.room.open_stream());
            }
            (true, false) => {
                connection.with_node(|node| node.room.close_stream());
                if let Entry::Occupied(mut entry) = streams.entry(place) {
                    *entry.get_mut() -= 1;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
            }
            _ => {}
        }
    }

    /// Open streams of a session.
    pub(crate) fn streams_of(&self, pool: usize, session: SessionId) -> u32 {
        let sessions = self.by_session.borrow();
        sessions
            .get(&(pool, session))
            .map_or(0, |m| m.iter().filter(|c| c.is_stream()).count() as u32)
    }

    /// The node that serves a session's open streams.
    pub(crate) fn node_of_streams(&self, pool: usize, session: SessionId) -> Option<Rc<Node>> {
        let sessions = self.by_session.borrow();
        let stream = sessions.get(&(pool, session))?.iter().find(|c| c.is_stream())?;
        stream.node.borrow().clone()
    }

    /// Forgets a connection that ended.
    pub(crate) fn remove(&self, connection: &Rc<Connection>) {
        self.set_kind(connection, ConnectionKind::Http1);
        self.leave_session(connection);
        self.by_id.borrow_mut().remove(&connection.id.0);
    }

    fn leave_session(&self, connection: &Rc<Connection>) {
        let Some(session) = connection.session.get() else {
            return;
        };
        self.settle(connection, session);
        self.touched.borrow_mut().remove(&connection.id.0);
        connection.touched.set(false);
        let mut sessions = self.by_session.borrow_mut();
        if let Entry::Occupied(mut entry) = sessions.entry((connection.pool, session)) {
            entry.get_mut().retain(|other| other.id != connection.id);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// Counts a request or message, for the API and the next report.
    #[inline]
    pub(crate) fn count(&self, connection: &Rc<Connection>, counted: Delta) {
        connection
            .requests
            .set(connection.requests.get() + u64::from(counted.requests));
        connection.bytes.set(connection.bytes.get() + counted.bytes);
        let mut delta = connection.delta.get();
        delta.requests = delta.requests.saturating_add(counted.requests);
        delta.bytes += counted.bytes;
        delta.busy_us += counted.busy_us;
        connection.delta.set(delta);
        if !connection.touched.replace(true) {
            self.touched
                .borrow_mut()
                .insert(connection.id.0, connection.clone());
        }
    }

    /// Adds what a connection counted to its session's load.
    fn settle(&self, connection: &Connection, session: SessionId) {
        let delta = connection.delta.take();
        if delta == Delta::default() {
            return;
        }
        self.loads.borrow_mut()[connection.pool].add(session, delta, || {
            let node = connection.node.borrow().as_ref()?.id.clone();
            Some((key_text(&connection.key.borrow()), node))
        });
    }

    /// The loads of a pool's buckets and heavy keys since the last call.
    pub(crate) fn take_loads(&self, pool: usize) -> (Vec<BucketReport>, Vec<KeyReport>) {
        for connection in std::mem::take(&mut *self.touched.borrow_mut()).into_values() {
            connection.touched.set(false);
            if let Some(session) = connection.session.get() {
                self.settle(&connection, session);
            }
        }
        let loads = &mut self.loads.borrow_mut()[pool];
        let streams = self.streams.borrow();
        let open = streams
            .iter()
            .filter(|((p, _), _)| *p == pool)
            .map(|((_, bucket), n)| (*bucket, *n));
        (
            loads.take_buckets(open),
            loads.take_keys(|session| self.streams_of(pool, session)),
        )
    }

    /// The connection with an id.
    pub(crate) fn get(&self, id: ConnectionId) -> Option<Rc<Connection>> {
        self.by_id.borrow().get(&id.0).cloned()
    }

    /// All connections of a session.
    pub(crate) fn of_session(&self, pool: usize, session: SessionId) -> Members {
        self.by_session
            .borrow()
            .get(&(pool, session))
            .cloned()
            .unwrap_or_default()
    }

    /// Requests of a session that are being answered.
    pub(crate) fn requests_in_flight(&self, pool: usize, session: SessionId) -> usize {
        let sessions = self.by_session.borrow();
        let members = sessions.get(&(pool, session)).map_or(&[][..], |m| m.as_slice());
        members
            .iter()
            .filter(|c| c.busy_since.get().is_some() && !c.is_stream())
            .count()
    }

    /// How long the longest request of a session has been answered for.
    pub(crate) fn longest_request(&self, pool: usize, session: SessionId, now: Instant) -> Option<Duration> {
        let sessions = self.by_session.borrow();
        let requests = sessions.get(&(pool, session))?.iter().filter(|c| !c.is_stream());
        requests
            .filter_map(|c| c.busy_since.get())
            .map(|since| now.saturating_duration_since(since))
            .max()
    }

    /// Sessions of a pool with open connections that `wanted` picks.
    pub(crate) fn sessions(&self, pool: usize, wanted: impl Fn(SessionId) -> bool) -> Vec<SessionId> {
        let sessions = self.by_session.borrow();
        sessions
            .keys()
            .filter(|(p, s)| *p == pool && wanted(*s))
            .map(|(_, s)| *s)
            .collect()
    }

    /// Connections that `wanted` picks, as the API shows them, at most `limit`.
    pub(crate) fn list(
        &self,
        name: impl Fn(usize) -> foreshift_wire::PoolName,
        wanted: impl Fn(&Connection) -> bool,
        limit: usize,
    ) -> Vec<ConnectionInfo> {
        let all = self.by_id.borrow();
        all.values()
            .filter(|c| wanted(c))
            .filter_map(|c| c.info(name(c.pool)))
            .take(limit)
            .collect()
    }

    /// Every connection.
    pub(crate) fn all(&self) -> Vec<Rc<Connection>> {
        self.by_id.borrow().values().cloned().collect()
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.by_id.borrow().len()
    }
}

/// Microseconds since `then`.
pub(crate) fn micros_since(then: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(then).as_micros() as u64
}

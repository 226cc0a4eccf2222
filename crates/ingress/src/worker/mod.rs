//! One worker: a thread with a runtime, listeners, connections and counters of its own.
//!
//! Workers share nothing that is written per request. They hear from the mover and the API through a mailbox,
//! and the kernel spreads new connections over their listeners (`SO_REUSEPORT`).

mod accept;
mod introduce;
mod mailbox;
mod report;
mod routing;

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use foreshift_placement::Keyed;
use foreshift_wire::{ConnectionId, IngressEvent, Limits, PoolName, SessionId};
use std::collections::HashMap;
use tokio::{
    sync::{Notify, mpsc},
    task::LocalSet,
};

pub(crate) use self::{accept::Place, mailbox::LISTED};
use crate::{
    access::{AccessLog, Entry},
    alive,
    connections::{Connection, Connections},
    instruct::{Board, Issued, Tokens, token::Refusal},
    io::{BUFFER, Buffers, Deadline, LARGE_BUFFER},
    key::Key,
    letters::Letters,
    live::{Grown, Live},
    marking::{Mark, Marking},
    message::{StreamEvent, ToMover, ToWorker},
    node::Node,
    proxy_protocol::{self, Header},
    reigns::Reigns,
    spans::Spans,
    state::SessionState,
    stream::Stream,
    table::Table,
    tls::{self, Certificates, ListenerTls, PoolTls},
    upstream,
};

/// What all workers share. Nothing in it is touched per request.
#[derive(Default)]
pub(crate) struct Shared {
    /// Nobody new is taken in, and each connection ends with its next answer.
    draining: AtomicBool,
    /// Those that idle end as well.
    ends_idle: AtomicBool,
    open: AtomicUsize,
    per_source: Mutex<HashMap<IpAddr, u32>>,
    certificates: Arc<Certificates>,
    /// Since when nodes serve sessions.
    pub(crate) reigns: Reigns,
}

impl Shared {
    pub(crate) fn new(certificates: Arc<Certificates>, state: Option<Arc<dyn SessionState>>) -> Self {
        Self {
            certificates,
            reigns: Reigns::over(state),
            ..Self::default()
        }
    }
}

impl Shared {
    /// Clients that are connected, to all workers.
    pub(crate) fn clients(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// One listener as a worker sees it.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) config: Arc<foreshift_wire::Listener>,
    /// Index of its pool among the worker's pools.
    pub(crate) pool: usize,
    pub(crate) marking: Arc<Marking>,
    /// Its certificates, where it speaks TLS.
    pub(crate) tls: Option<Arc<ListenerTls>>,
}

impl Listener {
    /// Whether the pool's nodes speak HTTP/2, so that requests have to be translated.
    pub(crate) fn http2_upstream(&self, worker: &Worker) -> bool {
        worker.pools[self.pool].config().upstream_protocol.is_http2()
    }
}

/// One pool as a worker sees it.
pub(crate) struct Pool {
    pub(crate) name: PoolName,
    config: Live<foreshift_wire::Pool>,
    /// TLS towards its nodes.
    tls: Live<Option<Arc<PoolTls>>>,
    pub(crate) keyed: Keyed,
    pub(crate) table: Table,
    /// Whose client the next answer tells to move.
    pub(crate) board: Board,
    /// What the next request of a session tells its node.
    pub(crate) letters: Letters,
    pub(crate) http2: crate::http2::Upstreams,
    pub(crate) resending: crate::upstream::Resending,
    refusals: introduce::Refusals,
}

impl Pool {
    /// Whether a connection to a node may serve several clients, one after the other or at once.
    #[inline]
    pub(crate) fn shares_connections(&self) -> bool {
        self.config().send_proxy_protocol.is_none()
    }

    /// Tells a node at the beginning of a connection whom it is for, where the pool wants that.
    fn announce(&self, stream: Stream, client: &Connection) -> io::Result<Stream> {
        let Some(version) = self.config().send_proxy_protocol else {
            return Ok(stream);
        };
        let header = client
            .local
            .get()
            .map_or(Header::Own, |local| Header::client(client.peer, local));
        let mut bytes = Vec::with_capacity(proxy_protocol::V1_MAX);
        proxy_protocol::write(version, &header, &mut bytes);
        // The buffer of a new connection is empty, so this fits at once.
        match stream.try_write(&bytes)? {
            written if written == bytes.len() => Ok(stream),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

impl Pool {
    fn new(config: &foreshift_wire::Pool, keyed: Keyed, workers: u16, certificates: &Certificates) -> Self {
        Self {
            name: config.name.clone(),
            config: Live::new(config.clone()),
            tls: Live::new(certificates.pool(&config.name)),
            keyed,
            table: Table::new(),
            board: Board::default(),
            letters: Letters::default(),
            http2: Default::default(),
            refusals: Default::default(),
            resending: crate::upstream::Resending::new(&config.retry, workers),
        }
    }

    /// Takes new settings.
    fn take(&self, config: &foreshift_wire::Pool, workers: u16, certificates: &Certificates) {
        self.resending.renew(&config.retry, workers);
        let former = self.config();
        if (config.send_proxy_protocol, &config.tls) != (former.send_proxy_protocol, &former.tls) {
            // What is open began otherwise.
            let nodes = self.table.nodes();
            nodes.iter().for_each(|node| node.forget_idle());
            self.http2.forget(&nodes);
        }
        self.tls.set(certificates.pool(&config.name));
        self.config.set(config.clone());
    }

    /// The key to issue to a client that has none, given one that was drawn.
    pub(crate) fn key_to_issue(&self, first: Key) -> Key {
        let preference = self.config().zone_preference;
        upstream::key_to_issue(&self.table, &self.keyed, first, preference, Instant::now())
    }

    /// Its settings as they are now; they stay so for whoever took them.
    #[inline]
    pub(crate) fn config(&self) -> Rc<foreshift_wire::Pool> {
        self.config.get()
    }
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) index: u16,
    workers: u16,
    limits: Live<Limits>,
    pub(crate) pools: Grown<Pool>,
    pub(crate) connections: Connections,
    pub(crate) buffers: Buffers,
    pub(crate) large_buffers: Buffers,
    /// Where streams read into before they pass it on in the same poll.
    pub(crate) scratch: RefCell<Vec<u8>>,
    /// What bulk transfers are spliced through.
    pub(crate) pipes: crate::tcp::Pipes,
    pub(crate) access: Live<Option<AccessLog>>,
    /// By name.
    listeners: RefCell<HashMap<String, Rc<accept::Door>>>,
    spans: Option<Spans>,
    shared: Arc<Shared>,
    drained: Notify,
    idle_ends: Notify,
    /// New routes came.
    routed: Notify,
    mover: mpsc::UnboundedSender<ToMover>,
    tokens: Arc<Tokens>,
    next_id: Cell<u64>,
}

/// What a worker is made from; crosses to its thread.
pub(crate) struct Options {
    pub(crate) index: u16,
    pub(crate) workers: u16,
    pub(crate) first_id: u64,
    pub(crate) limits: Limits,
    pub(crate) pools: Vec<(Arc<foreshift_wire::Pool>, Keyed)>,
    pub(crate) access: Option<AccessLog>,
    pub(crate) spans: Option<Spans>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) mover: mpsc::UnboundedSender<ToMover>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) mailbox: mpsc::UnboundedReceiver<ToWorker>,
}

/// Runs a worker on the calling thread until its mailbox is closed.
pub(crate) fn run(options: Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let Options {
            index,
            workers,
            first_id,
            limits,
            pools,
            access,
            spans,
            shared,
            mover,
            tokens,
            mailbox,
        } = options;
        let connections = Connections::new(pools.len());
        let grown = Grown::new();
        for (config, keyed) in pools {
            grown.push(Pool::new(&config, keyed, workers, &shared.certificates));
        }
        let worker = Rc::new(Worker {
            index,
            workers,
            limits: Live::new(limits),
            pools: grown,
            connections,
            buffers: Buffers::new(BUFFER),
            large_buffers: Buffers::new(LARGE_BUFFER),
            scratch: RefCell::new(vec![0; LARGE_BUFFER]),
            pipes: Default::default(),
            access: Live::new(access),
            listeners: RefCell::default(),
            spans,
            shared,
            drained: Notify::new(),
            idle_ends: Notify::new(),
            routed: Notify::new(),
            mover,
            tokens,
            next_id: Cell::new(first_id + u64::from(index) + 1),
        });
        tokio::task::spawn_local(sweep(worker.clone()));
        mailbox::run(worker, mailbox).await;
        Ok(())
    })
}

async fn sweep(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        let now = Instant::now();
        for node in worker.pools.iter().flat_map(|p| p.table.nodes().to_vec()) {
            node.sweep_idle(now);
        }
        worker.pools.iter().for_each(|pool| pool.letters.sweep(now));
    }
}

impl Worker {
    /// A connection id that no other worker gives.
    pub(crate) fn next_id(&self) -> ConnectionId {
        let id = self.next_id.get();
        self.next_id.set(id + u64::from(self.workers));
        ConnectionId(id)
    }

    /// What clients may ask for at most, as it is now.
    #[inline]
    pub(crate) fn limits(&self) -> Rc<Limits> {
        self.limits.get()
    }

    /// Takes a pool's new settings, or a new pool. One that has no key yet is not known, and is left out.
    fn take_pool(&self, index: usize, config: &foreshift_wire::Pool, keyed: Option<Keyed>) {
        match (self.pools.get(index), keyed) {
            (Some(pool), _) => pool.take(config, self.workers, &self.shared.certificates),
            (None, Some(keyed)) => {
                self.connections.add_pool();
                let pool = Pool::new(config, keyed, self.workers, &self.shared.certificates);
                self.pools.push(pool);
            }
            (None, None) => {}
        }
    }

    /// A graceful end is under way: answers close their connections.
    #[inline]
    pub(crate) fn draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// A connection that idles is to end now.
    #[inline]
    pub(crate) fn ends_idle(&self) -> bool {
        self.shared.ends_idle.load(Ordering::Relaxed)
    }

    /// Closes the doors; wakes idle connections where they are to end.
    fn start_draining(&self, idle: bool) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.drained.notify_waiters();
        if idle {
            self.shared.ends_idle.store(true, Ordering::Relaxed);
            self.idle_ends.notify_waiters();
        }
    }

    /// Ready once it is known where a pool's sessions live: before that, every answer would be a refusal.
    async fn until_routed(&self, pool: usize) {
        while !self.pools[pool].table.is_routed() {
            self.routed.notified().await;
        }
    }

    /// Ready once idle connections are to end.
    pub(crate) async fn until_idle_ends(&self) {
        let ends = self.idle_ends.notified();
        if !self.ends_idle() {
            ends.await;
        }
    }

    /// Ready once the worker drains.
    pub(crate) async fn until_drained(&self) {
        let drained = self.drained.notified();
        if !self.draining() {
            drained.await;
        }
    }

    /// Waits for the client's next request. An error where the deadline passes or idle connections end.
    pub(crate) async fn next_request(&self, stream: &Stream, deadline: &mut Deadline) -> io::Result<()> {
        let mut ends = std::pin::pin!(self.idle_ends.notified());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(ready) = stream.poll_read_ready(cx) {
                return Poll::Ready(ready);
            }
            if ends.as_mut().poll(cx).is_ready() || self.ends_idle() || deadline.poll_passed(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending
        })
        .await
    }

    /// Whether anything is written down of any request.
    #[inline]
    pub(crate) fn may_record(&self) -> bool {
        self.access.get().is_some() || self.spans.is_some()
    }

    /// Whether anything is written down of a request with these marks.
    #[inline]
    pub(crate) fn records(&self, mark: Option<&Mark>) -> bool {
        let sampled = |mark: &Mark| mark.trace.is_some_and(|trace| trace.sampled);
        self.access.get().is_some() || (self.spans.is_some() && mark.is_some_and(sampled))
    }

    /// Writes down a request that was answered or refused.
    pub(crate) fn record(&self, entry: &Entry<'_>) {
        if let Some(log) = &*self.access.get() {
            log.write(entry);
        }
        if let Some(spans) = &self.spans {
            spans.take(entry);
        }
    }

    /// A connection ended.
    pub(crate) fn ended(&self, connection: &Rc<Connection>) {
        self.connections.remove(connection);
        if let Some(node) = connection.node.borrow_mut().take() {
            node.detach();
        }
    }

    /// Takes the token that a request of `session` brings: once.
    pub(crate) fn take_token(&self, pool: usize, token: &str, session: SessionId) -> Result<Issued, Refusal> {
        let place = (pool, &self.pools[pool].name);
        let issued = self.tokens.take(token, place, session, crate::clock::unix_ms())?;
        if issued.connection.is_none() {
            self.tell(ToMover::Came { pool, session });
        }
        Ok(issued)
    }

    /// Takes the token with which a client comes from the process before this one: once.
    pub(crate) fn take_return(&self, pool: usize, token: &str, session: SessionId) -> Result<(), Refusal> {
        if self.draining() {
            return Err(Refusal::Unknown); // it would be sent away again at once
        }
        let name = &self.pools[pool].name;
        self.tokens
            .take_return(token, name, session, crate::clock::unix_ms())
    }

    /// A token with which a stream's client may go on with the next process, good for so long.
    pub(crate) fn return_token(&self, connection: &Connection, good_for: Duration) -> Option<String> {
        let session = connection.session.get()?;
        let node = connection.node.borrow().as_ref()?.id.clone();
        let expires_ms = crate::clock::unix_ms() + good_for.as_millis() as u64;
        let pool = &self.pools[connection.pool].name;
        self.tokens.issue_return(pool, &node, session, expires_ms)
    }

    /// Tells the mover something. It ends only after the workers.
    pub(crate) fn tell(&self, message: ToMover) {
        let _ = self.mover.send(message);
    }

    /// Tells the mover what happened to a stream in a hand-over.
    pub(crate) fn tell_stream(&self, connection: &Connection, event: StreamEvent) {
        if let Some(session) = connection.session.get() {
            self.tell(ToMover::Stream {
                pool: connection.pool,
                session,
                connection: connection.id,
                event,
            });
        }
    }

    /// Connects to a node, for HTTP/1.1, within the pool's `connect_timeout`. A failure makes the node suspect.
    pub(crate) async fn connect(
        &self,
        pool: &Pool,
        node: &Rc<Node>,
        client: &Connection,
    ) -> io::Result<Stream> {
        self.connect_for(pool, node, client, false).await
    }

    /// As [`Self::connect`]. `http2`: a node under TLS must agree to HTTP/2.
    pub(crate) async fn connect_for(
        &self,
        pool: &Pool,
        node: &Rc<Node>,
        client: &Connection,
        http2: bool,
    ) -> io::Result<Stream> {
        let within = pool.config().connect_timeout.get();
        let connected = connect(node.address, within)
            .await
            .and_then(|stream| pool.announce(stream, client));
        let connected = match (connected, &*pool.tls.get()) {
            (Ok(stream), Some(tls)) => {
                let settings = tls.settings();
                // On the heap, as a request in the clear need not make room for it.
                let shaken =
                    Box::pin(tls::connect(stream, &settings, node.address.ip(), http2, within)).await;
                shaken.inspect_err(|error| {
                    if !node.is_suspect(Instant::now()) {
                        tracing::warn!(pool = %pool.name, node = %node.id, address = %node.address, %error, "a node cannot be used");
                    }
                })
            }
            (connected, _) => connected,
        };
        if let Err(error) = &connected {
            self.suspect(pool, node, &format!("connect to {}: {error}", node.address));
        }
        connected
    }

    /// A node refused or dropped a connection: others are preferred for a while, and control looks at it.
    pub(crate) fn suspect(&self, pool: &Pool, node: &Rc<Node>, detail: &str) {
        node.fail();
        let now = Instant::now();
        if !node.is_suspect(now) {
            node.suspect(now);
            self.tell(ToMover::Tell(IngressEvent::NodeSuspect {
                pool: pool.name.clone(),
                node: node.id.clone(),
                detail: detail.into(),
            }));
        }
    }
}

/// Connects within `timeout`.
pub(crate) async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Stream> {
    let stream = tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address))
        .await
        .map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection within {timeout:?}"),
            )
        })??;
    stream.set_nodelay(true)?;
    alive::watch_node(&stream)?;
    Ok(stream.into())
}

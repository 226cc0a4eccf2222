//! What the mover and the workers tell each other.

use std::{net::TcpListener, sync::Arc, time::Duration};

use foreshift_placement::Keyed;
use foreshift_wire::{
    ConnectionFilter, ConnectionId, ConnectionInfo, Limits, NodeId, PoolName, PoolReport, SessionId,
};
use tokio::sync::oneshot;

use crate::{
    access::AccessLog, instruct::Notice, letters::Letter, reigns::Carried, sse::Resumed, table::Snapshot,
    worker::Listener,
};

/// From the mover, or the handle, to one worker.
pub(crate) enum ToWorker {
    /// The routes of a pool changed.
    Routes { pool: usize, snapshot: Arc<Snapshot> },
    /// A hand-over of a session begins: requests still go to `from`, new streams wait.
    Begin {
        pool: usize,
        session: SessionId,
        from: NodeId,
    },
    /// To one stream of the worker.
    Stream {
        connection: ConnectionId,
        command: StreamCommand,
    },
    /// A session's clients may be told to move: all of it is still served by `from`. Answered with
    /// [`ToMover::Listening`].
    Tell {
        pool: usize,
        session: SessionId,
        from: NodeId,
    },
    /// The session's next answer tells its client to move.
    Announce {
        pool: usize,
        session: SessionId,
        notice: Arc<Notice>,
    },
    /// It does not any more.
    TakeDown { pool: usize, session: SessionId },
    /// Hold new requests of a session, and tell when none is being answered any more.
    Hold { pool: usize, session: SessionId },
    /// A hand-over ended.
    Finish {
        pool: usize,
        session: SessionId,
        ended: Ended,
    },
    /// Which sessions have open connections, among those whose bucket is in `buckets` (sorted)?
    Live {
        pool: usize,
        buckets: Arc<[u16]>,
        answer: oneshot::Sender<Vec<SessionId>>,
    },
    /// What was measured since the last time?
    Report {
        answer: oneshot::Sender<Vec<PoolReport>>,
    },
    /// Which connections are open?
    Connections {
        filter: Arc<ConnectionFilter>,
        answer: oneshot::Sender<Vec<ConnectionInfo>>,
    },
    /// What clients may ask for at most is this from now on.
    Limits(Arc<Limits>),
    /// Requests are logged there from now on, or not at all.
    Access(Option<AccessLog>),
    /// A pool's settings are these from now on; a pool that is new comes with its key.
    Pool {
        index: usize,
        config: Arc<foreshift_wire::Pool>,
        keyed: Option<Keyed>,
    },
    /// Take in connections from new sockets; where there are none, from those that are open already, as a changed listener
    /// says.
    Listen {
        sockets: Vec<TcpListener>,
        listener: Listener,
    },
    /// Take in no more connections for a listener, by its name.
    Unlisten(String),
    /// Take no new connections; end each with its next answer, and those that idle at once where `idle` says so.
    Drain { idle: bool },
    /// End all streams.
    Close { code: u16, reason: &'static str },
    /// End all streams, one after the other, within this time.
    CloseOver {
        within: Duration,
        code: u16,
        reason: &'static str,
    },
    /// Which streams' clients can be told to go on with another process, and were not asked for yet?
    Returnable {
        answer: oneshot::Sender<Vec<Returnable>>,
    },
    /// Above which number is no connection?
    LastId { answer: oneshot::Sender<u64> },
    /// End the streams that match; how many?
    CloseStreams {
        filter: Arc<ConnectionFilter>,
        answer: oneshot::Sender<u64>,
    },
    /// What a session's next request is to tell its node.
    Letter {
        pool: usize,
        session: SessionId,
        letter: Arc<Letter>,
    },
    /// A session went to a node other than the routes say, as that one died: it stays there until it is moved.
    Settle {
        pool: usize,
        session: SessionId,
        node: NodeId,
    },
    /// Let go of a session's connections, whatever their pool.
    EndSession(SessionId),
    /// How many connections are open?
    Open { answer: oneshot::Sender<usize> },
    /// Has the pool a node that is ready?
    Serves {
        pool: PoolName,
        answer: oneshot::Sender<bool>,
    },
}

/// Why the streams of a session that ended are closed.
pub(crate) const SESSION_ENDED: &str = "the session ended";

/// A stream whose client can be told to go on with another process.
#[derive(Debug)]
pub(crate) struct Returnable {
    pub(crate) worker: u16,
    pub(crate) connection: ConnectionId,
    /// Where it will connect again, as far as it is known.
    pub(crate) to: (usize, NodeId),
    pub(crate) per_second: u32,
    pub(crate) within: Duration,
}

/// How a hand-over ended, for what waits at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The session is where the map says.
    Switched,
    /// It stays where it was, until the routes agree.
    Stayed,
    /// There was nothing to hand over yet; the session's next request asks for it.
    Released,
}

/// To the task of one stream.
#[derive(Debug)]
pub(crate) enum StreamCommand {
    /// Connect to the new node, go on serving.
    Connect { to: NodeId },
    /// Hold the client's input from the next boundary on.
    Pause,
    /// Have the old node answer a ping behind everything it was sent.
    Barrier,
    /// Shake hands with the new node, which is told this.
    Open(Carried),
    /// The new node serves from now on.
    Switch,
    /// The old node serves on.
    Stay,
    /// The routes say that a node is down: where it serves the stream, go on with another one.
    NodeDown(NodeId),
    /// Tell the client to move by itself.
    Instruct {
        token: String,
        within_ms: u64,
        delay_ms: u64,
    },
    /// Tell the client to go on with the next process.
    Return { within: Duration, delay: Duration },
    /// The instruction does not hold any more.
    Withdraw,
    /// The client has come with its new connection.
    Arrive(Box<Arrival>),
    /// Say goodbye and end.
    Close { code: u16, reason: &'static str },
    /// The answer of a task that the stream itself started; with the number of its attempt, since it can be late.
    Reached(u32, Reached),
}

/// A told client's new connection, on its way to the worker that has its old one.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: crate::stream::Portable,
    pub(crate) peer: std::net::IpAddr,
    /// What it offers.
    pub(crate) offer: Offer,
    /// What it sent behind its handshake.
    pub(crate) behind: Vec<u8>,
}

/// A WebSocket handshake with `foreshift.v1` among its subprotocols.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Offer {
    /// The other subprotocols, separated by commas.
    pub(crate) protocols: Vec<u8>,
    /// `Sec-WebSocket-Key`
    pub(crate) key: Vec<u8>,
}

/// What a stream's own helper tasks come back with.
#[derive(Debug)]
pub(crate) enum Reached {
    /// Connected to the new node, or not.
    Connected(Result<crate::stream::Stream, String>),
    /// Shook hands, with the bytes that came behind the handshake.
    Opened(Result<(crate::stream::Stream, Vec<u8>), String>),
    /// Another node took over a WebSocket, or none did.
    FailedOver(Option<(NodeId, crate::stream::Stream, Vec<u8>)>),
    /// The new node goes on with an event stream, or not.
    Resumed(Result<(crate::stream::Stream, Resumed), String>),
    /// Another node took over an event stream, or none did.
    TakenOver(Option<(NodeId, crate::stream::Stream, Resumed)>),
}

/// From a worker to the mover.
#[derive(Debug)]
pub(crate) enum ToMover {
    /// The streams of a session on a worker, and its requests in flight, in answer to [`ToWorker::Begin`].
    Members {
        pool: usize,
        session: SessionId,
        worker: u16,
        /// With the node that serves each.
        streams: Vec<(ConnectionId, NodeId)>,
        requests: Requests,
    },
    /// The streams of a session on a worker, in answer to [`ToWorker::Tell`], and whether each can be told to move.
    Listening {
        pool: usize,
        session: SessionId,
        worker: u16,
        streams: Vec<(ConnectionId, bool)>,
    },
    /// A request brought the token that an answer of its session had told.
    Came { pool: usize, session: SessionId },
    /// A told client came to some worker, with the token of one of its streams.
    Arrived {
        pool: usize,
        session: SessionId,
        connection: ConnectionId,
        arrival: Box<Arrival>,
    },
    /// A request that was under way became a stream meanwhile.
    Joined {
        pool: usize,
        session: SessionId,
        worker: u16,
        connection: ConnectionId,
    },
    /// No request of the session is being answered on a worker.
    Quiet {
        pool: usize,
        session: SessionId,
        worker: u16,
    },
    /// From one stream.
    Stream {
        pool: usize,
        session: SessionId,
        connection: ConnectionId,
        event: StreamEvent,
    },
    /// A node is to go on with a session whose own node died: what does it have to know?
    TakeOver {
        pool: usize,
        session: SessionId,
        dead: NodeId,
        to: NodeId,
        answer: oneshot::Sender<Taken>,
    },
    /// A request waits for its session, which still has to be handed over.
    Wanted { pool: usize, session: SessionId },
    /// A session ended: nodes are to delete their copies.
    Over(Box<crate::mover::Over>),
    /// A pool's settings are these from now on; the workers know already. It may be a new one.
    Pool {
        index: usize,
        config: Arc<foreshift_wire::Pool>,
        /// Told, or dropped, once the workers were sent its routes.
        routed: oneshot::Sender<()>,
    },
    /// The metadata was closed, and opened again.
    Meta(foreshift_meta::Meta),
    /// Something for control.
    Tell(foreshift_wire::IngressEvent),
}

/// What a node that goes on in place of a dead one has to know; or why it cannot.
pub(crate) type Taken = Result<Carried, String>;

/// A session's requests in flight on a worker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Requests {
    pub(crate) count: usize,
    /// For how long the oldest is being answered.
    pub(crate) longest: std::time::Duration,
}

/// What a stream in a hand-over reports.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    Connected,
    ConnectFailed(String),
    /// Its input is held; the node was sent so many data messages.
    Paused {
        messages: u64,
    },
    Opened,
    OpenFailed(String),
    /// Everything that the old node had to say before the barrier has arrived.
    Drained,
    /// The client's input flows to the new node, after a pause of so many microseconds.
    Switched {
        pause_us: u64,
        /// The client had moved by itself.
        by_client: bool,
    },
    /// Its client has opened a new connection, as it was told.
    Arrived,
    /// Its client does not move by itself.
    Refused(String),
    /// The client left.
    Left,
    /// The old node is gone.
    OldNodeLost,
    /// No other node can go on with it.
    Unmovable(String),
}

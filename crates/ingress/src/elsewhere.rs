//! Going on with another node: what WebSockets, event streams and framed TCP have in common.
//!
//! A request that opened a stream is sent again, to the node that a plan names or, where the old one died, to
//! the next one that is ready.

use std::{
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use foreshift_wire::{IngressEvent, NodeId, SessionId};

use crate::{
    connections::Connection,
    http1::{Method, ResponseHead, translate_response},
    io::{Deadline, Input, write_all},
    message::{Reached, StreamCommand, StreamEvent, ToMover},
    node::Node,
    reigns::{Carried, EPOCH, FAILOVER, TOKEN},
    stream::Stream,
    worker::{Worker, connect},
};

/// Largest head of an answer.
const HEAD_MAX: usize = 64 * 1024;
/// How many nodes are tried where one died.
const NODES_TRIED: usize = 3;
/// How long a process may take to close all that it had open.
const DYING: Duration = Duration::from_millis(100);

/// Header fields that tell a node why it is asked.
pub(crate) type Fields<'a> = [(&'a str, &'a str)];

/// What it takes to ask a node to go on with one kind of stream.
pub(crate) trait Resume {
    /// What the stream needs of the answer.
    type Resumed;

    /// Asks the node at the other end of `node` to go on.
    async fn resume(
        &self,
        node: &Stream,
        fields: &Fields<'_>,
        within: Duration,
    ) -> Result<Self::Resumed, String>;
}

impl Carried {
    /// As header fields beside those that name the session and the node before. `epoch`: its own, as text.
    fn fields<'a>(&'a self, epoch: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let epoch = epoch.map(|epoch| (EPOCH, epoch));
        epoch
            .into_iter()
            .chain(self.token.as_deref().map(|token| (TOKEN, token)))
    }
}

/// A request's head as a node got it, without the empty line, and without what only that node was told.
pub(crate) fn as_asked(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 192);
    for field in head.split_inclusive(|b| *b == b'\n') {
        let told = |name: &&str| {
            let begun = field.get(..name.len() + 1).unwrap_or_default();
            begun
                .strip_suffix(b":")
                .is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
        };
        if field != b"\r\n" && ![EPOCH, FAILOVER, TOKEN].iter().any(told) {
            out.extend_from_slice(field);
        }
    }
    out
}

/// A hand-over under way, as the stream sees it. `T`: what it needs of the new node's answer.
pub(crate) struct Moving<T> {
    pub(crate) to: Rc<Node>,
    pub(crate) socket: Option<Stream>,
    pub(crate) opened: Option<(Stream, T)>,
}

impl<T> Moving<T> {
    pub(crate) fn new(to: Rc<Node>) -> Self {
        Self {
            to,
            socket: None,
            opened: None,
        }
    }
}

/// What is to be done where a stream is told to move to a node.
pub(crate) enum Begun {
    Connect(Rc<Node>),
    Tell(StreamEvent),
}

/// Looks whether a stream can set out for a node.
pub(crate) fn set_out(worker: &Worker, connection: &Connection, node_dead: bool, to: &NodeId) -> Begun {
    if node_dead {
        return Begun::Tell(StreamEvent::OldNodeLost);
    }
    if connection.node.borrow().as_ref().is_some_and(|now| now.id == *to) {
        return Begun::Tell(StreamEvent::Left); // a failover was faster
    }
    match worker.pools[connection.pool].table.node(to) {
        Some(to) => Begun::Connect(to),
        None => Begun::Tell(StreamEvent::ConnectFailed(format!("node {to} is not known"))),
    }
}

/// A connection to a node that goes on, and what the stream needs of its answer; or why it does not.
type Opened<T> = Result<(Stream, T), String>;

/// Asks the node that a stream is connected to to go on; the stream hears of it by a command that `reached` makes.
pub(crate) fn open_later<R: Resume + 'static>(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    socket: Stream,
    stream: R,
    (attempt, carried): (u32, Carried),
    reached: fn(Opened<R::Resumed>) -> Reached,
) {
    let (worker, connection) = (worker.clone(), connection.clone());
    tokio::task::spawn_local(async move {
        let Some(session) = connection.session.get() else {
            return;
        };
        let session = session.to_string();
        let from = connection.node.borrow().as_ref().map(|n| n.id.to_string());
        let epoch = carried.epoch.map(|epoch| epoch.to_string());
        let mut fields = vec![
            ("Foreshift-Resume", &*session),
            ("Foreshift-Migrated-From", from.as_deref().unwrap_or_default()),
        ];
        fields.extend(carried.fields(epoch.as_deref()));
        let within = worker.pools[connection.pool].config().migration_deadline.get();
        let resumed = stream.resume(&socket, &fields, within).await;
        let opened = resumed.map(|resumed| (socket, resumed));
        connection.command(StreamCommand::Reached(attempt, reached(opened)));
    });
}

/// Connects to the node that a stream is to move to; the stream hears of it by a command.
pub(crate) fn connect_later(worker: &Rc<Worker>, connection: &Rc<Connection>, to: Rc<Node>, attempt: u32) {
    let (worker, connection) = (worker.clone(), connection.clone());
    tokio::task::spawn_local(async move {
        let pool = &worker.pools[connection.pool];
        let connected = worker
            .connect(pool, &to, &connection)
            .await
            .map_err(|e| e.to_string());
        connection.command(StreamCommand::Reached(attempt, Reached::Connected(connected)));
    });
}

/// Sends a request and reads the head of its final answer, and what came behind it.
pub(crate) async fn ask(
    node: &Stream,
    request: &[u8],
    within: Duration,
) -> Result<(ResponseHead, Vec<u8>), String> {
    let mut deadline = Deadline::default();
    deadline.after(within);
    write_all(node, request, &mut deadline)
        .await
        .map_err(|e| e.to_string())?;
    let mut input = Input::default();
    loop {
        match input.read_more(node, HEAD_MAX, &mut deadline).await {
            Ok(0) => return Err("the node closed the connection".into()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                return Err(format!("no answer within {within:?}"));
            }
            Err(e) => return Err(e.to_string()),
        }
        while let Some(answer) = translate_response(input.filled(), Method::Idempotent, &mut Vec::new())
            .map_err(|e| e.to_string())?
        {
            input.consume(answer.len);
            if !answer.is_interim() {
                return Ok((answer, input.into_bytes()));
            }
        }
    }
}

/// Finds a node that goes on where a dead one stopped. `None` where none does, or where the node is not dead: one
/// that still takes connections has dropped this one on purpose.
pub(crate) async fn take_over<R: Resume>(
    worker: &Worker,
    connection: &Connection,
    session: SessionId,
    dead: &Rc<Node>,
    stream: &R,
) -> Option<(NodeId, Stream, R::Resumed)> {
    let pool = &worker.pools[connection.pool];
    // What health checks found counts more than a kernel that still takes connections for a process that hangs.
    if !pool.table.is_down(&dead.id) && still_listens(dead, pool.config().connect_timeout.get()).await {
        return None;
    }
    worker.suspect(pool, dead, "connections broke and new ones are refused");
    let text = session.to_string();
    let within = pool.config().migration_deadline.get();
    let mut tried = vec![dead.id.clone()];
    for _ in 0..NODES_TRIED {
        let node = pool.table.none_of(session, &tried, Instant::now())?;
        tried.push(node.id.clone());
        let Ok(socket) = worker.connect(pool, &node, connection).await else {
            continue;
        };
        let carried = match worker
            .take_over(connection.pool, session, &dead.id, &node.id)
            .await
        {
            Ok(carried) => carried,
            Err(error) => {
                tracing::warn!(node = %node.id, dead = %dead.id, %error, "a session's state could not go on to a node");
                continue;
            }
        };
        let epoch = carried.epoch.map(|epoch| epoch.to_string());
        let mut fields = vec![("Foreshift-Resume", &*text), (FAILOVER, dead.id.as_str())];
        fields.extend(carried.fields(epoch.as_deref()));
        match stream.resume(&socket, &fields, within).await {
            Ok(resumed) => return Some((node.id.clone(), socket, resumed)),
            Err(error) => {
                tracing::warn!(node = %node.id, dead = %dead.id, %error, "a node did not take over a stream");
            }
        }
    }
    None
}

/// Whether a stream should leave the node that serves it, of which the routes say that it is down: not where there is
/// no other, since what is open may still work.
pub(crate) fn should_leave(worker: &Worker, connection: &Connection, down: &NodeId) -> bool {
    let is_there = connection
        .node
        .borrow()
        .as_ref()
        .is_some_and(|node| node.id == *down);
    let table = &worker.pools[connection.pool].table;
    let another = |session| {
        table
            .none_of(session, std::slice::from_ref(down), Instant::now())
            .is_some()
    };
    is_there && table.is_down(down) && connection.session.get().is_some_and(another)
}

/// Whether a node that dropped a connection takes new ones.
///
/// The kernel closes what a dead process had open in no certain order, so the listener may outlive the
/// connections by a moment. What it then still takes is reset when it goes, without ever having been accepted.
async fn still_listens(node: &Node, within: Duration) -> bool {
    let Ok(probe) = connect(node.address, within).await else {
        return false;
    };
    if tokio::time::timeout(DYING, probe.readable()).await.is_err() {
        return true;
    }
    match probe.try_read(&mut [0]) {
        Ok(read) => read > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// The node that took a stream over from the dead one that still counts as its node, and control is told of it. `None`
/// where none did, or where it is not known any more.
pub(crate) fn taken_over<R>(
    worker: &Worker,
    connection: &Connection,
    taken: Option<(NodeId, Stream, R)>,
) -> Option<(Rc<Node>, Stream, R)> {
    let table = &worker.pools[connection.pool].table;
    let taken = taken.and_then(|(id, stream, resumed)| Some((table.node(&id)?, stream, resumed)));
    let dead = connection.node.borrow().as_ref().map(|node| node.id.clone());
    if let Some(dead) = dead {
        let to = taken.as_ref().map(|(node, ..)| node.id.clone());
        tell_failed_over(worker, connection, &dead, to);
    }
    taken
}

/// Tells control where a stream of a dead node went.
pub(crate) fn tell_failed_over(worker: &Worker, connection: &Connection, from: &NodeId, to: Option<NodeId>) {
    let Some(session) = connection.session.get() else {
        return;
    };
    let pool = worker.pools[connection.pool].name.clone();
    let (from, connection) = (from.clone(), connection.id);
    worker.tell(ToMover::Tell(IngressEvent::FailedOver {
        pool,
        session,
        connection,
        from,
        to,
    }));
}

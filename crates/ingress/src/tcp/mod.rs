//! TCP listeners: what is said is the client's and the node's own.
//!
//! Opaque connections are relayed without a look at them and stay with their node; `max_connection_age` ends them so
//! that the client's next one goes to the node of now. Where the listener knows the frames of what is spoken, an open
//! connection is moved between two exchanges. Who a client is can only be told by where it comes from, or by its certificate.

mod framed;
pub(crate) mod frames;
mod half;
mod ledger;
mod moving;
mod opaque;
mod pipe;
mod replay;

use std::{net::SocketAddr, rc::Rc, time::Instant};

use foreshift_wire::{ConnectionKind, SessionId};

use crate::{
    access::Entry,
    connections::{Connection, Delta, micros_since},
    key::{RequestParts, Source, select},
    node::Node,
    stream::Stream,
    upstream::{Streaming, Tries},
    worker::{Listener, Place, Worker},
};

pub(crate) use self::pipe::Pipes;

/// There is no request, so only where it comes from and its certificate tell clients apart.
struct NoParts;

impl RequestParts for NoParts {
    fn target(&self) -> &str {
        ""
    }
    fn header(&self, _name: &str) -> Option<&[u8]> {
        None
    }
    fn any_header(&self, _name: &str, _found: &mut dyn FnMut(&[u8]) -> bool) {}
}

/// Serves a client until one side ends it.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    client: Stream,
    peer: SocketAddr,
    place: Place,
) {
    let started = Instant::now();
    let id = worker.next_id();
    let connection = worker
        .connections
        .add(id, peer, listener.pool, ConnectionKind::Tcp);
    connection.local.set(place.local());
    let source = Source {
        address: peer.ip(),
        identity: client.identity().map(|identity| &**identity),
    };
    let key = select(&listener.config.affinity, &NoParts, source).key;
    let session = worker.pools[listener.pool].keyed.session(&key);
    worker.connections.assign(&connection, session, &key);
    let reached = reach(&worker, &connection, session).await;
    connection.busy_since.set(None);
    if let Some((node, counted)) = reached {
        if listener.config.framing.is_none() {
            count(&worker, &connection, 1, 0);
        }
        let age = listener.config.max_connection_age;
        match listener.config.framing {
            None => {
                opaque::relay(&worker, &connection, client, node, age.map(|age| age.get())).await;
                drop(counted);
            }
            Some(framing) => {
                let pool = &worker.pools[connection.pool];
                worker.became_stream(pool, &connection, ConnectionKind::TcpFramed);
                // As a stream it counts towards the node that serves it, wherever it goes.
                drop(counted);
                framed::relay(&worker, &connection, client, node, framing).await;
            }
        }
    }
    record(&worker, &connection, started);
    worker.ended(&connection);
}

/// Connects to the node of the client's session, or to another one where that cannot be reached.
async fn reach(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    session: SessionId,
) -> Option<(Stream, Streaming)> {
    let pool = &worker.pools[connection.pool];
    let mut tries = Tries::begin(worker, pool, connection, session, true).await.ok()?;
    let connect = async |node: &Rc<Node>| worker.connect(pool, node, connection).await;
    let connected = tries.connect(connect).await.ok()?;
    worker.reign(pool, connection).ok()?;
    Some((connected, tries.into_stream()))
}

/// Counts what passed, for the node, the bucket and the key.
fn count(worker: &Worker, connection: &Rc<Connection>, requests: u32, bytes: u64) {
    if let Some(node) = &*connection.node.borrow() {
        node.pass(requests.into(), bytes);
    }
    let delta = Delta {
        requests,
        bytes,
        busy_us: 0,
    };
    worker.connections.count(connection, delta);
}

fn record(worker: &Worker, connection: &Connection, started: Instant) {
    if !worker.may_record() {
        return;
    }
    let node = connection.node.borrow();
    worker.record(&Entry {
        at_ms: crate::clock::unix_ms(),
        client: connection.peer.ip(),
        pool: &worker.pools[connection.pool].name,
        request: "TCP",
        status: 0,
        bytes: connection.bytes.get(),
        took_us: micros_since(started, Instant::now()),
        node: node.as_ref().map(|node| &node.id),
        session: connection.session.get(),
        mark: None,
    });
}

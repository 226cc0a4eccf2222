//! Connections to nodes for translated requests: HTTP/2 ones shared by all streams, HTTP/1.1 ones taken in turn.

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc};

use foreshift_wire::NodeId;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;

use super::{ClientConnection, LocalExecutor, body::RequestBody};
use crate::{connections::Connection, node::Node};

const IDLE_MAX: usize = 64;

/// Why a request was not answered by a node.
pub(super) enum Failure {
    /// It was not sent: the connection had ended.
    Unsent(Box<Request<RequestBody>>),
    /// It may have been sent.
    Request(hyper::Error),
}

/// A node's name alone is not enough: it may come back with another address.
type Address = (NodeId, SocketAddr);

fn address(node: &Node) -> Address {
    (node.id.clone(), node.address)
}

/// The connections of one worker, or of one client of it, to one pool's nodes.
#[derive(Default)]
pub(crate) struct Upstreams {
    shared: RefCell<HashMap<Address, http2::SendRequest<RequestBody>>>,
    idle: RefCell<HashMap<Address, Vec<http1::SendRequest<RequestBody>>>>,
}

/// Takes a connection back once an answer's body has ended.
pub(super) struct Return {
    node: Address,
    sender: http1::SendRequest<RequestBody>,
}

impl Return {
    pub(super) fn give_back(self, upstreams: &Upstreams) {
        let mut idle = upstreams.idle.borrow_mut();
        let idle = idle.entry(self.node).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(self.sender);
        }
    }
}

impl Upstreams {
    /// Forgets nodes that are gone.
    pub(crate) fn forget(&self, gone: &[Rc<Node>]) {
        for node in gone {
            self.shared.borrow_mut().remove(&address(node));
            self.idle.borrow_mut().remove(&address(node));
        }
    }
}

/// Connects, or takes a connection, so that a request can be sent.
pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

pub(super) async fn sender(
    client: &ClientConnection,
    stream: &Connection,
    node: &Rc<Node>,
    http2: bool,
) -> io::Result<Sender> {
    let (worker, pool, upstreams) = (&client.worker, client.pool(), client.upstreams());
    let connect = || worker.connect_for(pool, node, stream, http2);
    if http2 {
        let known = upstreams.shared.borrow().get(&address(node)).cloned();
        if let Some(mut sender) = known
            && !sender.is_closed()
            && sender.ready().await.is_ok()
        {
            return Ok(Sender::Http2(sender));
        }
        let stream = connect().await?;
        let handshake = http2::Builder::new(LocalExecutor)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        tokio::task::spawn_local(async move {
            // An error shows at the requests that it concerns.
            let _ = connection.await;
        });
        upstreams
            .shared
            .borrow_mut()
            .insert(address(node), sender.clone());
        return Ok(Sender::Http2(sender));
    }
    let idle = || {
        let mut idle = upstreams.idle.borrow_mut();
        idle.get_mut(&address(node)).and_then(Vec::pop)
    };
    while let Some(mut sender) = idle() {
        if !sender.is_closed() && sender.ready().await.is_ok() {
            return Ok(Sender::Http1(sender));
        }
    }
    let stream = connect().await?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(Sender::Http1(sender))
}

fn failure(mut error: TrySendError<Request<RequestBody>>) -> Failure {
    match error.take_message() {
        Some(request) => Failure::Unsent(Box::new(request)),
        None => Failure::Request(error.into_error()),
    }
}

impl Sender {
    /// Sends a request. With HTTP/1.1, the connection comes back with the answer.
    pub(super) async fn send(
        self,
        node: &Node,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Option<Return>), Failure> {
        match self {
            Self::Http2(mut sender) => {
                let response = sender.try_send_request(request).await.map_err(failure)?;
                Ok((response, None))
            }
            Self::Http1(mut sender) => {
                let response = sender.try_send_request(request).await.map_err(failure)?;
                Ok((
                    response,
                    Some(Return {
                        node: address(node),
                        sender,
                    }),
                ))
            }
        }
    }
}

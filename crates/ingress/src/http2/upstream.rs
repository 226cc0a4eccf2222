//! Connections to nodes for translated requests: HTTP/2 ones shared by all streams, HTTP/1.1 ones taken in turn.

use std::{cell::RefCell, rc::Rc};

use foreshift_wire::NodeId;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;

use super::{LocalExecutor, body::RequestBody};
use crate::{
    node::Node,
    worker::{Pool, Worker},
};

const IDLE_MAX: usize = 64;

/// Why a request was not answered by a node.
pub(super) enum Failure {
    /// It was not sent: another node can be tried.
    Connect,
    /// It may have been sent.
    Request(hyper::Error),
}

/// The connections of one worker to one pool's nodes.
#[derive(Default)]
pub(crate) struct Upstreams {
    shared: RefCell<HashMap<NodeId, http2::SendRequest<RequestBody>>>,
    idle: RefCell<HashMap<NodeId, Vec<http1::SendRequest<RequestBody>>>>,
}

/// Takes a connection back once an answer's body has ended.
pub(super) struct Return {
    pool: usize,
    node: NodeId,
    sender: http1::SendRequest<RequestBody>,
}

impl Return {
    pub(super) fn give_back(self, worker: &Worker) {
        let mut idle = worker.pools[self.pool].http2.idle.borrow_mut();
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
            self.shared.borrow_mut().remove(&node.id);
            self.idle.borrow_mut().remove(&node.id);
        }
    }
}

/// Connects, or takes a connection, so that a request can be sent.
pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

pub(super) async fn sender(
    worker: &Worker,
    pool: &Pool,
    node: &Rc<Node>,
    http2: bool,
) -> Result<Sender, Failure> {
    if http2 {
        let known = pool.http2.shared.borrow().get(&node.id).cloned();
        if let Some(mut sender) = known
            && !sender.is_closed()
            && sender.ready().await.is_ok()
        {
            return Ok(Sender::Http2(sender));
        }
        let stream = worker.connect(pool, node).await.map_err(|_| Failure::Connect)?;
        let handshake = http2::Builder::new(LocalExecutor)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
        tokio::task::spawn_local(async move {
            // An error shows at the requests that it concerns.
            let _ = connection.await;
        });
        pool.http2
            .shared
            .borrow_mut()
            .insert(node.id.clone(), sender.clone());
        return Ok(Sender::Http2(sender));
    }
    let idle = || pool.http2.idle.borrow_mut().get_mut(&node.id).and_then(Vec::pop);
    while let Some(mut sender) = idle() {
        if !sender.is_closed() && sender.ready().await.is_ok() {
            return Ok(Sender::Http1(sender));
        }
    }
    let stream = worker.connect(pool, node).await.map_err(|_| Failure::Connect)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(Sender::Http1(sender))
}

impl Sender {
    /// Sends a request. With HTTP/1.1, the connection comes back with the answer.
    pub(super) async fn send(
        self,
        pool: usize,
        node: &NodeId,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Option<Return>), Failure> {
        match self {
            Self::Http2(mut sender) => {
                let response = sender.send_request(request).await.map_err(Failure::Request)?;
                Ok((response, None))
            }
            Self::Http1(mut sender) => {
                let response = sender.send_request(request).await.map_err(Failure::Request)?;
                Ok((
                    response,
                    Some(Return {
                        pool,
                        node: node.clone(),
                        sender,
                    }),
                ))
            }
        }
    }
}

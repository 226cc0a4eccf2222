//! One event stream on its way to the client.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use foreshift_wire::Failover;

use super::{events::Events, resume::Resumed};
use crate::{
    connections::{Connection, Delta},
    elsewhere::Moving,
    http1::{Chunked, Framing},
    node::Node,
    stream::Stream,
    worker::{Pool, Worker},
};

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The node ended it.
    Whole {
        bytes: u64,
    },
    Broken {
        by_node: bool,
    },
}

/// Undoes the framing of the node's answer.
enum Unframed {
    Chunked(Chunked),
    Length(u64),
    UntilClose,
}

impl Unframed {
    fn new(framing: Framing) -> Self {
        match framing {
            Framing::Chunked => Self::Chunked(Chunked::new(true)),
            Framing::Length(n) => Self::Length(n),
            Framing::Empty => Self::Length(0),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// The content in `bytes`, and whether it is the last.
    fn take(&mut self, bytes: &[u8]) -> Result<(Vec<u8>, bool), ()> {
        match self {
            Self::Chunked(chunked) => {
                let mut content = Vec::with_capacity(bytes.len());
                let followed = chunked
                    .decode(bytes, |c| content.extend_from_slice(c))
                    .map_err(drop)?;
                Ok((content, followed.done))
            }
            Self::Length(left) => {
                let used = (*left).min(bytes.len() as u64) as usize;
                *left -= used as u64;
                Ok((bytes[..used].to_vec(), *left == 0))
            }
            Self::UntilClose => Ok((bytes.to_vec(), false)),
        }
    }
}

/// Ends the head of the answer: the client gets chunks, whatever the node sends, so that nodes can change.
pub(crate) fn chunked_head(reply: &mut Vec<u8>, head: &[u8]) {
    for field in head.split_inclusive(|b| *b == b'\n') {
        let named = |name: &[u8]| {
            field
                .get(..name.len())
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        if !named(b"transfer-encoding:") && !named(b"content-length:") {
            reply.extend_from_slice(field);
        }
    }
    reply.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
}

pub(crate) struct EventStream<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) connection: &'a Rc<Connection>,
    pub(super) client: &'a Stream,
    pub(super) node: Stream,
    /// The connection to the node is broken.
    pub(super) node_dead: bool,
    /// The request as the node got it.
    pub(super) request: Rc<[u8]>,
    unframed: Unframed,
    pub(super) events: Events,
    unsent: Vec<u8>,
    sent: usize,
    bytes: u64,
    client_speaks: bool,
    pub(super) moving: Option<Moving<Resumed>>,
    /// The node is not read, because another one is being asked to go on.
    pub(super) paused: Option<Instant>,
    pub(super) attempt: u32,
}

impl<'a> EventStream<'a> {
    pub(crate) fn new(
        worker: &'a Rc<Worker>,
        connection: &'a Rc<Connection>,
        client: &'a Stream,
        node: Stream,
        request: &[u8],
        framing: Framing,
    ) -> Self {
        Self {
            worker,
            connection,
            client,
            node,
            node_dead: false,
            request: request.into(),
            unframed: Unframed::new(framing),
            events: Events::default(),
            unsent: Vec::new(),
            sent: 0,
            bytes: 0,
            client_speaks: false,
            moving: None,
            paused: None,
            attempt: 0,
        }
    }

    /// Relays until one side ends it. `first`: what came behind the node's head.
    pub(crate) async fn run(mut self, first: &[u8]) -> Ended {
        let ended = match self.node_sent(first) {
            Ok(()) => poll_fn(|cx| self.poll(cx)).await,
            Err(ended) => ended,
        };
        self.worker.stream_left(self.connection);
        if let Ended::Whole { .. } = ended {
            self.unsent.extend_from_slice(b"0\r\n\r\n");
            let _ = poll_fn(|cx| self.poll_flush(cx)).await;
        }
        ended
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.worker.pools[self.connection.pool]
    }

    pub(super) fn node_of_now(&self) -> Option<Rc<Node>> {
        self.connection.node.borrow().clone()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.connection.listen(cx.waker());
        while let Some(command) = self.connection.next_command() {
            if let Err(ended) = self.obey(command) {
                return Poll::Ready(ended);
            }
        }
        if self.poll_client_left(cx).is_ready() {
            return Poll::Ready(Ended::Broken { by_node: false });
        }
        loop {
            if ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(Ended::Broken { by_node: false });
            }
            if self.node_dead || self.paused.is_some() {
                return Poll::Pending;
            }
            let readable = ready!(self.node.poll_read_ready(cx));
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            let result = match readable.and_then(|()| self.node.try_read(&mut scratch)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Ok(0) if matches!(self.unframed, Unframed::UntilClose) => {
                    Err(Ended::Whole { bytes: self.bytes })
                }
                Ok(0) | Err(_) => self.node_lost(),
                Ok(n) => self.node_sent(&scratch[..n]),
            };
            if let Err(ended) = result {
                return Poll::Ready(ended);
            }
        }
    }

    fn poll_client_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.client_speaks {
            if ready!(self.client.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.client.try_read(&mut [0; 1]) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // It asks for more while the stream runs; that is not answered, and the connection ends with it.
                Ok(1..) => self.client_speaks = true,
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            match self.client.try_write(&self.unsent[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.client.poll_write_ready(cx))?,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        self.unsent.clear();
        self.sent = 0;
        self.client.poll_flush(cx)
    }

    pub(super) fn node_sent(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let broken = Ended::Broken { by_node: true };
        let Ok((content, last)) = self.unframed.take(bytes) else {
            return Err(broken);
        };
        let Ok(events) = self.events.take(&content) else {
            return Err(broken);
        };
        if !events.is_empty() {
            self.unsent
                .extend_from_slice(format!("{:x}\r\n", events.len()).as_bytes());
            self.unsent.extend_from_slice(&events);
            self.unsent.extend_from_slice(b"\r\n");
            self.bytes += events.len() as u64;
            if let Some(node) = &*self.connection.node.borrow() {
                node.pass(0, events.len() as u64);
            }
            let delta = Delta {
                requests: 0,
                bytes: events.len() as u64,
                busy_us: 0,
            };
            self.worker.connections.count(self.connection, delta);
        }
        if last {
            Err(Ended::Whole { bytes: self.bytes })
        } else {
            Ok(())
        }
    }

    pub(super) fn node_lost(&mut self) -> Result<(), Ended> {
        self.node_dead = true;
        if self.moving.is_some() {
            self.tell(crate::message::StreamEvent::OldNodeLost);
            return Ok(());
        }
        self.fail_over()
    }

    pub(super) fn may_fail_over(&self) -> bool {
        self.pool().config().failover == Failover::Resume && !self.worker.draining()
    }

    /// Another node goes on.
    pub(super) fn go_on(&mut self, node: &Rc<Node>, stream: Stream, framing: Framing) {
        self.worker.serve_by(self.connection, node);
        self.connection.switches.set(self.connection.switches.get() + 1);
        self.node = stream;
        self.node_dead = false;
        self.paused = None;
        self.unframed = Unframed::new(framing);
        self.events.restart();
    }
}

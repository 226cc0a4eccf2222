//! A connection in frames, of which each from the client is answered by one from the node.
//!
//! Frames are followed, not kept: bytes pass on as they come. What is known of them is where the connection is between
//! two exchanges, so that another node can go on there (`moving`), and how long each answer took.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use foreshift_wire::Framing;
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    frames::{Command, Frames, LOOKED_AT, Step, Violation},
    ledger::Ledger,
    replay::Replay,
};
use crate::{
    connections::{Connection, Delta, micros_since},
    elsewhere::Moving,
    flow::Flow,
    io::{Deadline, linger, write_all},
    node::Node,
    stream::Stream,
    worker::{Pool, Worker},
};

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// As both sides wished, or as a node did: what it said still goes to the client.
    Whole,
    /// The client is gone.
    ClientGone,
    /// Nobody can go on.
    Broken(&'static str),
}

/// How the client's input is treated.
pub(super) enum Input {
    Flowing,
    /// Until the next frame's end.
    Pausing,
    Held {
        bytes: Vec<u8>,
        since: Instant,
    },
}

/// One connection.
pub(super) struct Framed {
    pub(super) worker: Rc<Worker>,
    pub(super) connection: Rc<Connection>,
    framing: Framing,
    client: Stream,
    pub(super) node: Stream,
    /// The connection to the node is broken.
    pub(super) node_dead: bool,
    up: Flow<Frames>,
    pub(super) down: Flow<Frames>,
    pub(super) ledger: Ledger,
    /// The command under way, as far as it is looked at.
    command: Vec<u8>,
    pub(super) input: Input,
    client_ended: bool,
    /// The node was told that the client has ended.
    pub(super) node_told: bool,
    pub(super) moving: Option<Moving<Vec<u8>>>,
    /// The mover waits for the last answer.
    pub(super) barrier: bool,
    pub(super) attempt: u32,
    /// Input flows again, so there may be something to do.
    pub(super) released: bool,
}

/// Relays until one side ends it.
pub(super) async fn relay(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    client: Stream,
    node: Stream,
    framing: Framing,
) {
    let max = worker.limits().message_bytes;
    let mut framed = Box::new(Framed {
        worker: worker.clone(),
        connection: connection.clone(),
        framing,
        client,
        node,
        node_dead: false,
        up: Flow::new(Frames::new(framing, max)),
        down: Flow::new(Frames::new(framing, max)),
        ledger: Ledger::default(),
        command: Vec::new(),
        input: Input::Flowing,
        client_ended: false,
        node_told: false,
        moving: None,
        barrier: false,
        attempt: 0,
        released: false,
    });
    let end = poll_fn(|cx| framed.poll(cx)).await;
    framed.finish(end).await;
}

impl Framed {
    pub(super) fn pool(&self) -> &Pool {
        &self.worker.pools[self.connection.pool]
    }

    pub(super) fn node_of_now(&self) -> Option<Rc<Node>> {
        self.connection.node.borrow().clone()
    }

    /// What the next node is told first.
    pub(super) fn replay(&self) -> Replay {
        Replay {
            commands: self.ledger.set_up(),
        }
    }

    /// The client is between two requests.
    pub(super) fn is_at_request_boundary(&self) -> bool {
        self.up.tracker.at_boundary()
    }

    /// Nothing is under way in either direction.
    pub(super) fn is_between_exchanges(&self) -> bool {
        self.ledger.outstanding() == 0
            && !self.ledger.is_within()
            && self.up.tracker.at_boundary()
            && self.down.tracker.at_boundary()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.connection.listen(cx.waker());
        while let Some(command) = self.connection.next_command() {
            if let Err(end) = self.obey(command) {
                return Poll::Ready(end);
            }
        }
        loop {
            self.released = false;
            let passed = self.poll_up(cx).and_then(|()| self.poll_down(cx));
            if let Err(end) = passed {
                return Poll::Ready(end);
            }
            if !self.released {
                return Poll::Pending;
            }
        }
    }

    /// Whether more is read from the client: not while the node is slow, nor while enough is held.
    fn takes_input(&self) -> bool {
        match &self.input {
            _ if self.client_ended => false,
            Input::Held { bytes, .. } => bytes.len() < self.worker.limits().pause_buffer_bytes as usize,
            Input::Flowing | Input::Pausing => self.up.is_flushed(),
        }
    }

    /// Client to node, as far as it goes now.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            if !self.node_dead && !flushed(&mut self.up, &self.node, cx) {
                return Ok(());
            }
            if self.client_ended && !self.node_told && matches!(self.input, Input::Flowing) && !self.node_dead
            {
                // An error is one of the connection, and shows when it is read.
                self.node_told = self.node.poll_shutdown_write(cx).is_ready();
            }
            if !self.takes_input() {
                return Ok(());
            }
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            match read(&mut self.client, &mut scratch, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(End::ClientGone),
                Poll::Ready(Ok(0)) => self.client_ended = true,
                Poll::Ready(Ok(n)) => self.client_sent(&scratch[..n])?,
            }
        }
    }

    /// Node to client, as far as it goes now.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            if !flushed(&mut self.down, &self.client, cx) || self.node_dead {
                return Ok(());
            }
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            match read(&mut self.node, &mut scratch, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(n)) if n > 0 => self.node_sent(&scratch[..n])?,
                Poll::Ready(_) => self.node_ended()?,
            }
        }
    }

    fn node_ended(&mut self) -> Result<(), End> {
        match self.client_ended && self.node_told {
            true => Err(End::Whole),
            false => self.node_lost(),
        }
    }

    pub(super) fn client_sent(&mut self, bytes: &[u8]) -> Result<(), End> {
        if let Input::Held { bytes: held, .. } = &mut self.input {
            held.extend_from_slice(bytes);
            return Ok(());
        }
        let now = Instant::now();
        let (mut at, mut requests) = (0, 0);
        while at < bytes.len() {
            let (used, step) = self.up.tracker.next(&bytes[at..]).map_err(refused)?;
            let frame = &bytes[at..at + used];
            at += used;
            self.look_at(frame);
            if step != Step::Inside {
                requests += self.asked(now);
                if self.pauses_here() {
                    break;
                }
            }
        }
        self.pass_up(&bytes[..at], requests);
        if at < bytes.len() || (matches!(self.input, Input::Pausing) && self.pauses_here()) {
            self.hold();
            return self.client_sent(&bytes[at..]);
        }
        Ok(())
    }

    /// Keeps as much of a command as is looked at.
    fn look_at(&mut self, part: &[u8]) {
        if self.framing == Framing::Resp {
            let room = LOOKED_AT - self.command.len();
            self.command.extend_from_slice(&part[..part.len().min(room)]);
        }
    }

    /// A request of the client has ended. Returns 1 where it is one that is counted.
    fn asked(&mut self, now: Instant) -> u32 {
        let command = match self.framing {
            Framing::Resp => Command::of(&self.command),
            Framing::Line | Framing::LengthPrefix(_) => Command::Plain,
        };
        let answered = self.ledger.asked(command, &self.command, now);
        self.command.clear();
        if answered && let Some(node) = &*self.connection.node.borrow() {
            node.begin(now);
        }
        self.settle_pinned();
        u32::from(command != Command::Unanswered)
    }

    /// From now on answers are not told apart: nothing may be waited for.
    fn settle_pinned(&mut self) {
        if let Some(why) = self.ledger.pinned() {
            self.end_all(false);
            self.cannot_move(why);
        }
    }

    /// Ends all requests that have no answer, as far as the node's figures go.
    pub(super) fn end_all(&mut self, failed: bool) {
        let lost = self.ledger.give_up();
        if let Some(node) = &*self.connection.node.borrow() {
            let now = Instant::now();
            (0..lost).for_each(|_| node.end(now, 0, failed, 0));
        }
    }

    fn pass_up(&mut self, bytes: &[u8], requests: u32) {
        if !bytes.is_empty() {
            self.up.send(&self.node, bytes);
            self.count(requests, bytes.len());
        }
    }

    fn count(&self, requests: u32, bytes: usize) {
        if let Some(node) = &*self.connection.node.borrow() {
            // Requests are counted when they are answered.
            let unpaired = if self.ledger.pinned().is_some() {
                requests
            } else {
                0
            };
            node.pass(unpaired.into(), bytes as u64);
        }
        let delta = Delta {
            requests,
            bytes: bytes as u64,
            busy_us: 0,
        };
        self.worker.connections.count(&self.connection, delta);
    }

    pub(super) fn node_sent(&mut self, bytes: &[u8]) -> Result<(), End> {
        let now = Instant::now();
        let mut at = 0;
        while at < bytes.len() {
            let Ok((used, step)) = self.down.tracker.next(&bytes[at..]) else {
                self.down.send(&self.client, &bytes[..at]);
                return Err(End::Broken("the node sent what is no frame of this protocol"));
            };
            at += used;
            if let Step::End(kind) = step {
                self.answered(kind, now);
            }
        }
        self.down.send(&self.client, bytes);
        self.count(0, bytes.len());
        self.tell_if_drained();
        Ok(())
    }

    /// A frame of the node has ended.
    fn answered(&mut self, kind: u8, now: Instant) {
        let resp = self.framing == Framing::Resp;
        if resp && kind == b'>' {
            return; // says something that nobody asked for, and is meant to
        }
        let error = resp && matches!(kind, b'-' | b'!');
        if let Some(asked) = self.ledger.answered(error)
            && let Some(node) = &*self.connection.node.borrow()
        {
            node.end(now, micros_since(asked, now), false, 0);
        }
        self.settle_pinned();
    }

    async fn finish(mut self: Box<Self>, end: End) {
        self.worker.stream_left(&self.connection);
        self.end_all(matches!(end, End::Broken(_)));
        let mut deadline = Deadline::default();
        deadline.after(Duration::from_secs(5));
        match end {
            End::ClientGone => return,
            End::Whole => {}
            End::Broken(why) => {
                let client = self.connection.peer;
                tracing::debug!(%client, why, "closing a TCP connection");
            }
        }
        let Self {
            client, node, down, ..
        } = *self;
        drop(node);
        if write_all(&client, down.unsent(), &mut deadline).await.is_ok() {
            linger(client).await;
        }
    }
}

fn refused(violation: Violation) -> End {
    End::Broken(match violation {
        Violation::TooLong(_) => "a frame is longer than limits.message_bytes",
        Violation::Malformed(_) => "the client sent what is no frame of this protocol",
    })
}

/// Writes what is kept. False where the other side takes no more now; its waker is set then. Errors show when it is read.
fn flushed(flow: &mut Flow<Frames>, to: &Stream, cx: &mut Context<'_>) -> bool {
    while !flow.is_flushed() {
        match flow.flush(to) {
            Ok(true) => {}
            Ok(false) => {
                if to.poll_write_ready(cx).is_pending() {
                    return false;
                }
            }
            Err(_) => {
                flow.discard();
                flow.mute();
            }
        }
    }
    true
}

fn read(from: &mut Stream, into: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(into);
    Pin::new(from)
        .poll_read(cx, &mut buffer)
        .map_ok(|()| buffer.filled().len())
}

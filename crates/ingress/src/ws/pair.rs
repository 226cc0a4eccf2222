//! A client's WebSocket and the node's, with frames passing between them.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    frame::{CLOSE, FrameTracker, Opcode, Sender, Step, Violation, close_payload, write_control},
    handshake::{Handshake, Handshaken},
    instructed::Instructed,
    moving::{Input, Moving, Retiring},
    returning::{Departing, MOVED},
    sieve::{Piece, Sieve},
};
use crate::{
    connections::{Connection, Delta},
    flow::Flow,
    io::{Deadline, linger, write_all},
    node::Node,
    stream::Stream,
    worker::{Place, Pool, Worker},
};

/// How a pair ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone; what it sent still goes to the node.
    ClientGone,
    /// The node closed as it should; what it sent still goes to the client.
    NodeClosed,
    /// One side broke the protocol, or the node is lost: the client is told with a close frame.
    Close { code: u16, reason: &'static str },
}

/// One WebSocket.
pub(crate) struct Pair {
    pub(super) worker: Rc<Worker>,
    pub(super) connection: Rc<Connection>,
    pub(super) handshake: Handshake,
    pub(super) client: Stream,
    pub(super) node: Stream,
    /// The connection to the node is broken; nothing is read from or written to it.
    pub(super) node_dead: bool,
    /// The node sent a close frame.
    closed: bool,
    /// The client took leave while its input was held; a node still has to be given what is held.
    pub(super) leaving: bool,
    pub(super) up: Flow<FrameTracker>,
    pub(super) down: Flow<FrameTracker>,
    pub(super) input: Input,
    /// Data messages that the client had sent when the node of now took over.
    pub(super) messages_before: u64,
    /// Takes barrier pongs and farewells out of what a node sends, while one is expected.
    pub(super) sieve: Option<Box<Sieve>>,
    /// A barrier whose hand-over failed: its pong may still come.
    pub(super) late_pong: bool,
    /// Frames of our own for the client, to be put in at the next frame boundary.
    pub(super) aside: Vec<u8>,
    pub(super) moving: Option<Box<Moving>>,
    pub(super) retiring: Option<Box<Retiring>>,
    pub(super) attempt: u32,
    /// Where the client was told to move by itself.
    pub(super) instructed: Option<Box<Instructed>>,
    /// Where the client goes on with another process.
    pub(super) departing: Option<Departing>,
    /// A message of our own for the client, to be put in at the next message boundary.
    pub(super) notice: Vec<u8>,
    /// Held for the client's connection.
    pub(super) place: Place,
}

impl Pair {
    /// Relays between a client and the node that accepted its handshake, in a task of its own. `from_client`: what
    /// the client sent behind its handshake.
    pub(crate) fn start(
        worker: Rc<Worker>,
        client: Stream,
        connection: Rc<Connection>,
        from_client: &[u8],
        handshaken: Handshaken,
        place: Place,
    ) {
        let Handshaken {
            handshake,
            behind,
            stream,
        } = handshaken;
        let Some(node) = stream else {
            return worker.ended(&connection);
        };
        let compressed = handshake.extensions.is_some();
        let message_max = worker.limits().message_bytes;
        let mut pair = Box::new(Self {
            worker,
            connection,
            handshake,
            client,
            node,
            node_dead: false,
            closed: false,
            leaving: false,
            up: Flow::new(FrameTracker::new(Sender::Client, compressed, message_max)),
            down: Flow::new(FrameTracker::new(Sender::Node, compressed, 0)),
            input: Input::Flowing,
            messages_before: 0,
            sieve: None,
            late_pong: false,
            aside: Vec::new(),
            moving: None,
            retiring: None,
            attempt: 0,
            instructed: None,
            departing: None,
            notice: Vec::new(),
            place,
        });
        let begun = pair
            .client_sent(from_client)
            .and_then(|()| pair.node_sent(&behind));
        tokio::task::spawn_local(async move {
            let end = match begun {
                Ok(()) => poll_fn(|cx| pair.poll(cx)).await,
                Err(end) => end,
            };
            pair.finish(end).await;
        });
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.worker.pools[self.connection.pool]
    }

    pub(super) fn node_of_now(&self) -> Option<Rc<Node>> {
        self.connection.node.borrow().clone()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.connection.listen(cx.waker());
        while let Some(command) = self.connection.next_command() {
            if let Err(end) = self.obey(command) {
                return Poll::Ready(end);
            }
        }
        self.poll_new_client(cx);
        loop {
            self.depart();
            if self.poll_departing(cx).is_ready() {
                return Poll::Ready(MOVED);
            }
            if self.leaving && !self.is_between_nodes() {
                return Poll::Ready(End::ClientGone);
            }
            if let Poll::Ready(end) = self.poll_up(cx) {
                return Poll::Ready(end);
            }
            let held_back = !self.takes_input();
            if let Poll::Ready(end) = self.poll_down(cx) {
                return Poll::Ready(end);
            }
            let goes_on = self.depart() || (held_back && self.takes_input());
            if !goes_on {
                return Poll::Pending;
            }
        }
    }

    /// Which node gets what the client sends is open.
    fn is_between_nodes(&self) -> bool {
        matches!(self.input, Input::Held(_)) && (self.moving.is_some() || self.node_dead)
    }

    /// The client is gone. True where the pair ends with it, as no input is held for the next node.
    fn ends_with_client(&mut self) -> bool {
        self.leaving = true;
        self.down.discard();
        self.down.mute();
        !self.is_between_nodes()
    }

    /// Client to node.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            while !self.node_dead && !self.up.is_flushed() {
                match self.up.flush(&self.node) {
                    Ok(true) => break,
                    Ok(false) => {
                        // Pending: the node is slow, so the client waits too.
                        let _ = ready!(self.node.poll_write_ready(cx));
                    }
                    Err(_) => {
                        if let Err(end) = self.node_lost() {
                            return Poll::Ready(end);
                        }
                    }
                }
            }
            if !self.takes_input() {
                return Poll::Pending;
            }
            if ready!(self.source().poll_read_ready(cx)).is_err() {
                return Poll::Ready(End::ClientGone);
            }
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            match self.source().try_read(&mut scratch) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) if self.ends_with_client() => return Poll::Ready(End::ClientGone),
                Ok(0) | Err(_) => return Poll::Pending,
                Ok(n) => {
                    if let Err(end) = self.client_sent(&scratch[..n]) {
                        return Poll::Ready(end);
                    }
                }
            }
        }
    }

    /// Node to client.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            while !self.down.is_flushed() {
                match self.down.flush(&self.client) {
                    Ok(true) => break,
                    Ok(false) => {
                        if ready!(self.client.poll_write_ready(cx)).is_err() {
                            return Poll::Ready(End::ClientGone);
                        }
                    }
                    Err(_) if self.client_has_moved() => self.old_client_lost(),
                    Err(_) if self.ends_with_client() => return Poll::Ready(End::ClientGone),
                    Err(_) => {}
                }
            }
            if let Some(retiring) = &mut self.retiring
                && retiring.deadline.poll_passed(cx).is_ready()
                && let Err(end) = self.retire()
            {
                return Poll::Ready(end);
            }
            let source = match &self.retiring {
                Some(retiring) => &retiring.node,
                None if self.node_dead => return Poll::Pending,
                None => &self.node,
            };
            let readable = ready!(source.poll_read_ready(cx));
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            match readable.and_then(|()| source.try_read(&mut scratch)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Ok(n) if n > 0 => {
                    if let Err(end) = self.node_sent(&scratch[..n]) {
                        return Poll::Ready(end);
                    }
                }
                _ => {
                    drop(scratch);
                    if let Err(end) = self.node_ended() {
                        return Poll::Ready(end);
                    }
                }
            }
        }
    }

    fn node_ended(&mut self) -> Result<(), End> {
        if self.retiring.is_some() {
            return self.retire();
        }
        if self.has_taken_leave() {
            return Err(MOVED);
        }
        if self.closed {
            return Err(End::NodeClosed);
        }
        self.node_lost()
    }

    /// Whether more is read from the client: not while the node is slow, nor while enough is held.
    fn takes_input(&self) -> bool {
        match &self.input {
            _ if self.leaving => false,
            Input::Held(held) => {
                // What answers the client's pings counts too: it must not be able to make us keep more.
                let kept = held.bytes.len()
                    + self.up.unsent().len()
                    + self.down.unsent().len()
                    + self.aside.len()
                    + self.waiting_for_new_client();
                kept < self.worker.limits().pause_buffer_bytes as usize
            }
            Input::Flowing | Input::Pausing => self.up.is_flushed(),
        }
    }

    pub(super) fn client_sent(&mut self, bytes: &[u8]) -> Result<(), End> {
        if self.listens() {
            return self.listen(bytes);
        }
        self.take_in(bytes)
    }

    /// Takes in what is the application's.
    pub(super) fn take_in(&mut self, bytes: &[u8]) -> Result<(), End> {
        if self.departing.is_some() {
            return Ok(()); // nothing but its leave is awaited here
        }
        match self.input {
            Input::Flowing => {
                let before = self.up.tracker.messages();
                let mut at = 0;
                let mut whole = self.up.tracker.at_frame_boundary().then_some(0);
                while at < bytes.len() {
                    match self.up.tracker.next(&bytes[at..]) {
                        Ok((used, step)) => {
                            at += used;
                            if step != Step::Inside {
                                whole = Some(at);
                            }
                        }
                        Err(violation) => {
                            if let Some(whole) = whole {
                                self.pass_up(&bytes[..whole], self.up.tracker.messages() - before);
                                self.up.tracker = self.up.tracker.anew();
                            }
                            return Err(violated(violation));
                        }
                    }
                }
                self.pass_up(bytes, self.up.tracker.messages() - before);
                Ok(())
            }
            Input::Pausing => self.until_boundary(bytes),
            Input::Held(_) => self.hold(bytes),
        }
    }

    pub(super) fn pass_up(&mut self, bytes: &[u8], messages: u64) {
        self.up.send(&self.node, bytes);
        self.count(messages, bytes.len());
    }

    pub(super) fn count(&self, messages: u64, bytes: usize) {
        if let Some(node) = &*self.connection.node.borrow() {
            node.pass(messages, bytes as u64);
        }
        let delta = Delta {
            requests: messages as u32,
            bytes: bytes as u64,
            busy_us: 0,
        };
        self.worker.connections.count(&self.connection, delta);
    }

    pub(super) fn node_sent(&mut self, bytes: &[u8]) -> Result<(), End> {
        let bytes = self.cross_within(bytes);
        if self.sieve.is_some() || !self.aside.is_empty() || !self.notice.is_empty() {
            self.sift(bytes)?;
            self.cross_at_boundary();
            return Ok(());
        }
        let mut at = 0;
        let mut whole = self.down.tracker.at_frame_boundary().then_some(0);
        while at < bytes.len() {
            match self.down.tracker.next(&bytes[at..]) {
                Ok((used, step)) => {
                    at += used;
                    if let Step::FrameEnd(opcode) = step {
                        whole = Some(at);
                        if opcode == Opcode::Close {
                            self.node_says_goodbye();
                        }
                    }
                }
                Err(_) => {
                    self.down.send(&self.client, &bytes[..whole.unwrap_or(0)]);
                    return Err(self.node_broke(whole.is_some()));
                }
            }
        }
        self.down.send(&self.client, bytes);
        self.count(0, bytes.len());
        Ok(())
    }

    /// As [`Self::node_sent`], frame by frame: takes out what is not meant for the client, puts in what we say.
    fn sift(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        self.count(0, bytes.len());
        while !bytes.is_empty() {
            let between_frames = self.down.tracker.at_frame_boundary();
            if between_frames {
                self.say_aside();
            }
            let Some(mut sieve) = self.sieve.take() else {
                // What was expected came; the rest passes as usual.
                match self.down.tracker.next(bytes) {
                    Ok((used, step)) => {
                        self.down.keep(&bytes[..used]);
                        bytes = &bytes[used..];
                        if step == Step::FrameEnd(Opcode::Close) {
                            self.node_says_goodbye();
                        }
                    }
                    Err(_) => return Err(self.node_broke(between_frames)),
                }
                continue;
            };
            let retiring = self.retiring.is_some();
            let departing = self.has_taken_leave();
            let farewell = retiring || departing;
            let wanted = |o| o == Opcode::Pong || (farewell && o == Opcode::Close);
            let Ok((used, piece)) = sieve.next(&mut self.down.tracker, bytes, wanted) else {
                return Err(self.node_broke(between_frames));
            };
            if self.moving.is_some() || self.late_pong || farewell || !self.down.tracker.at_frame_boundary() {
                self.sieve = Some(sieve);
            }
            bytes = &bytes[used..];
            match piece {
                Piece::Pass(part) => {
                    let ends_with_close = self.down.tracker.at_frame_boundary()
                        && self.down.tracker.last_opcode() == Opcode::Close;
                    self.down.keep(part);
                    if ends_with_close {
                        self.node_says_goodbye();
                    }
                }
                Piece::Taken => {}
                Piece::Frame(Opcode::Close, ..) if departing => return Err(MOVED),
                Piece::Frame(Opcode::Close, ..) => self.retire()?,
                Piece::Frame(_, payload, raw) => {
                    if !self.barrier_passed(&payload) {
                        self.down.keep(&raw);
                    }
                }
            }
        }
        if self.down.tracker.at_frame_boundary() {
            self.say_aside();
        }
        Ok(())
    }

    /// The node sent what is no frame; none of it is passed on. Only behind a whole frame can the client be told.
    fn node_broke(&mut self, behind_a_frame: bool) -> End {
        if behind_a_frame {
            self.down.tracker = self.down.tracker.anew();
        }
        BROKEN_NODE
    }

    fn node_says_goodbye(&mut self) {
        self.closed = true;
        self.stop_moving();
    }

    /// Puts our own frames for the client in; only between two frames.
    pub(super) fn say_aside(&mut self) {
        if self.client_has_moved() {
            self.say_to_new_client();
        } else if !self.aside.is_empty() {
            let aside = std::mem::take(&mut self.aside);
            self.down.keep(&aside);
        }
        if self.down.tracker.at_message_boundary() {
            let notice = std::mem::take(&mut self.notice);
            self.down.keep(&notice);
        }
        if self.leaving {
            self.down.mute(); // nothing follows a close frame
        }
    }

    async fn finish(mut self: Box<Self>, end: End) {
        self.worker.stream_left(&self.connection);
        self.worker.ended(&self.connection);
        let mut deadline = Deadline::default();
        deadline.after(Duration::from_secs(5));
        if matches!(end, End::Close { .. }) && self.down.tracker.at_message_boundary() {
            self.cross_over();
        }
        self.leave_new_client();
        match end {
            End::ClientGone => {
                drop(self.client);
                if let Input::Held(held) = std::mem::replace(&mut self.input, Input::Flowing) {
                    self.up.keep(&held.into_bytes());
                }
                if !self.node_dead
                    && write_all(&self.node, self.up.unsent(), &mut deadline)
                        .await
                        .is_ok()
                {
                    linger(self.node).await;
                }
            }
            End::NodeClosed => {
                if write_all(&self.client, self.down.unsent(), &mut deadline)
                    .await
                    .is_ok()
                {
                    linger(self.client).await;
                }
            }
            End::Close { code, reason } => {
                if self.down.tracker.at_frame_boundary() {
                    let mut frame = Vec::new();
                    write_control(&mut frame, Sender::Client, CLOSE, &close_payload(code, reason));
                    self.down.keep(&frame);
                }
                if !self.node_dead && self.departing.is_none() {
                    tokio::task::spawn_local(farewell(self.node, self.up));
                }
                if write_all(&self.client, self.down.unsent(), &mut deadline)
                    .await
                    .is_ok()
                {
                    linger(self.client).await;
                }
            }
        }
    }
}

/// Tells a node that its client is gone, in a task of its own: a node that reads nothing must not keep the client.
async fn farewell(node: Stream, mut up: Flow<FrameTracker>) {
    let mut deadline = Deadline::default();
    deadline.after(Duration::from_secs(5));
    if up.tracker.at_frame_boundary() {
        let mut frame = Vec::new();
        let payload = close_payload(1001, "client is leaving");
        write_control(&mut frame, Sender::Node, CLOSE, &payload);
        up.keep(&frame);
    }
    if write_all(&node, up.unsent(), &mut deadline).await.is_ok() {
        linger(node).await;
    }
}

/// The node sent what is no WebSocket frame.
pub(super) const BROKEN_NODE: End = End::Close {
    code: 1014,
    reason: "bad gateway",
};

pub(super) fn violated(violation: Violation) -> End {
    let reason = match violation.close_code() {
        1009 => "message too big",
        _ => "protocol error",
    };
    End::Close {
        code: violation.close_code(),
        reason,
    }
}

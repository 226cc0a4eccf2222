//! A pair that is handed over to another node.
//!
//! The mover decides when (`foreshift_migration::Handover`); this carries it out for one WebSocket: hold the
//! client's input from a message boundary on, learn from a ping's pong that the old node has nothing left to
//! say, shake hands with the new node, let the input flow there. What the old node still says comes first.

use std::time::{Duration, Instant};

use foreshift_wire::NodeId;

use super::{
    frame::{CLOSE, FrameTracker, Opcode, PING, PONG, Sender, Step, close_payload, write_control},
    pair::{End, Pair, violated},
    returning::MOVED,
    sieve::{Piece, Sieve},
};
use crate::{
    connections::micros_since,
    elsewhere::{self, Begun, connect_later, open_later, set_out, should_leave},
    io::Deadline,
    message::{Reached, StreamCommand, StreamEvent},
    reigns::Carried,
    stream::Stream,
};

/// How the client's input is treated.
pub(super) enum Input {
    Flowing,
    /// Until the next message boundary.
    Pausing,
    Held(Box<Held>),
}

/// The client's input while it is held.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    sieve: Sieve,
    since: Instant,
    /// Data messages that the client had sent when the hold began.
    messages: u64,
    /// The message under way was cut by a node's death: its rest is dropped.
    skipping: bool,
    /// A hand-over waits for the end of that message.
    pause_wanted: bool,
}

impl Held {
    fn new(tracker: &FrameTracker) -> Self {
        Self {
            bytes: Vec::new(),
            sieve: Sieve::new(tracker),
            since: Instant::now(),
            messages: tracker.messages(),
            skipping: !tracker.at_message_boundary(),
            pause_wanted: false,
        }
    }

    /// Data messages that the client had sent when the hold began.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Everything held, in its order.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes.extend(self.sieve.into_partial());
        bytes
    }
}

/// A hand-over under way.
pub(super) struct Moving {
    /// With what the new node said behind its handshake.
    way: elsewhere::Moving<Vec<u8>>,
    /// Payload of the ping whose pong is awaited.
    barrier: Option<[u8; 12]>,
}

/// The old node's connection after the switch: it may have something left to say.
pub(super) struct Retiring {
    pub(super) node: Stream,
    pub(super) deadline: Deadline,
    /// What the new node said behind its handshake.
    behind: Vec<u8>,
    /// The next hand-over, which begins when this one has ended.
    next: Option<NodeId>,
}

/// How the payload of a barrier begins.
const BARRIER: &[u8; 4] = b"fs-b";

/// How long the old node may take to answer the farewell.
const FAREWELL: Duration = Duration::from_secs(1);

impl Pair {
    pub(super) fn obey(&mut self, command: StreamCommand) -> Result<(), End> {
        match command {
            StreamCommand::Connect { to } => self.begin_move(&to),
            StreamCommand::Pause => self.pause(),
            StreamCommand::Barrier => self.send_barrier(),
            StreamCommand::Open(carried) => self.open(carried),
            StreamCommand::Switch => return self.switch(),
            StreamCommand::Stay => return self.stay(),
            StreamCommand::NodeDown(node) => {
                if !self.node_dead && should_leave(&self.worker, &self.connection, &node) {
                    return self.node_lost();
                }
            }
            StreamCommand::Instruct {
                token,
                within_ms,
                delay_ms,
            } => self.instruct(token, within_ms, delay_ms),
            StreamCommand::Return { within, delay } => self.tell_to_return(within, delay),
            StreamCommand::Withdraw => self.withdraw(),
            StreamCommand::Arrive(arrival) => self.arrive(*arrival),
            StreamCommand::Close { code, reason } => return Err(End::Close { code, reason }),
            StreamCommand::Reached(attempt, reached) if attempt == self.attempt => {
                return self.reached(reached);
            }
            StreamCommand::Reached(..) => {}
        }
        Ok(())
    }

    pub(super) fn tell(&self, event: StreamEvent) {
        self.worker.tell_stream(&self.connection, event);
    }

    fn begin_move(&mut self, to: &NodeId) {
        if self.has_taken_leave() {
            return self.tell(StreamEvent::Left);
        }
        if let Some(retiring) = &mut self.retiring {
            retiring.next = Some(to.clone());
            return;
        }
        match set_out(&self.worker, &self.connection, self.node_dead, to) {
            Begun::Tell(event) => self.tell(event),
            Begun::Connect(to) => {
                self.attempt += 1;
                self.moving = Some(Box::new(Moving {
                    way: elsewhere::Moving::new(to.clone()),
                    barrier: None,
                }));
                connect_later(&self.worker, &self.connection, to, self.attempt);
            }
        }
    }

    fn reached(&mut self, reached: Reached) -> Result<(), End> {
        match (reached, &mut self.moving) {
            (Reached::Connected(Ok(socket)), Some(moving)) => {
                moving.way.socket = Some(socket);
                self.tell(StreamEvent::Connected);
            }
            (Reached::Connected(Err(why)), Some(_)) => self.tell(StreamEvent::ConnectFailed(why)),
            (Reached::Opened(Ok(opened)), Some(moving)) => {
                moving.way.opened = Some(opened);
                self.tell(StreamEvent::Opened);
            }
            (Reached::Opened(Err(why)), Some(_)) => self.tell(StreamEvent::OpenFailed(why)),
            (Reached::FailedOver(taken), _) => return self.failed_over(taken),
            (Reached::Connected(_) | Reached::Opened(_) | Reached::Resumed(_) | Reached::TakenOver(_), _) => {
            }
        }
        Ok(())
    }

    pub(super) fn pause(&mut self) {
        if self.moving.is_some() && !self.resume_client() {
            self.hold_from_boundary();
        }
    }

    /// Holds the client's input from the next message boundary on.
    pub(super) fn hold_from_boundary(&mut self) {
        match &mut self.input {
            Input::Flowing => {
                self.input = Input::Pausing;
                if self.up.tracker.at_message_boundary() {
                    self.paused();
                }
            }
            Input::Held(held) => held.pause_wanted = true,
            Input::Pausing => {}
        }
    }

    pub(super) fn paused(&mut self) {
        self.input = Input::Held(Box::new(Held::new(&self.up.tracker)));
        self.tell(StreamEvent::Paused {
            messages: self.up.tracker.messages() - self.messages_before,
        });
    }

    /// Holds the input from now on, wherever it stands; the rest of a message under way will be dropped.
    pub(super) fn hold_at_once(&mut self) {
        if !matches!(self.input, Input::Held(_)) {
            self.input = Input::Held(Box::new(Held::new(&self.up.tracker)));
        }
    }

    /// Passes input to the boundary, holds what is behind it.
    pub(super) fn until_boundary(&mut self, bytes: &[u8]) -> Result<(), End> {
        let before = self.up.tracker.messages();
        let mut at = 0;
        while at < bytes.len() {
            let (used, step) = self.up.tracker.next(&bytes[at..]).map_err(violated)?;
            at += used;
            if step != Step::Inside && self.up.tracker.at_message_boundary() {
                self.pass_up(&bytes[..at], self.up.tracker.messages() - before);
                self.paused();
                return self.hold(&bytes[at..]);
            }
        }
        self.pass_up(bytes, self.up.tracker.messages() - before);
        Ok(())
    }

    /// Keeps input back; answers pings and a close, passes pongs.
    pub(super) fn hold(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        let Input::Held(held) = &mut self.input else {
            return Ok(());
        };
        let was_skipping = held.skipping;
        while !bytes.is_empty() {
            let wanted = |o| matches!(o, Opcode::Ping | Opcode::Pong | Opcode::Close);
            let (used, piece) = held
                .sieve
                .next(&mut self.up.tracker, bytes, wanted)
                .map_err(violated)?;
            bytes = &bytes[used..];
            match piece {
                Piece::Pass(_) if held.skipping => {
                    held.skipping = !self.up.tracker.at_message_boundary();
                    held.messages = self.up.tracker.messages();
                }
                Piece::Pass(part) => held.bytes.extend_from_slice(part),
                Piece::Taken => {}
                Piece::Frame(Opcode::Ping, payload, _) => {
                    write_control(&mut self.aside, Sender::Client, PONG, &payload);
                }
                // The node learns of it behind the messages before it; the client need not wait for that.
                Piece::Frame(Opcode::Close, payload, raw) => {
                    held.bytes.extend_from_slice(&raw);
                    write_control(&mut self.aside, Sender::Client, CLOSE, &payload);
                    self.leaving = true;
                    break;
                }
                Piece::Frame(_, _, raw) if !self.node_dead => self.up.keep(&raw),
                Piece::Frame(..) => {}
            }
        }
        let skipped = was_skipping && !held.skipping;
        let (passed, pause_wanted) = (held.messages, held.pause_wanted);
        if self.down.tracker.at_frame_boundary() || self.client_has_moved() {
            self.say_aside();
        }
        if skipped && !self.node_dead {
            // What was dropped was never sent to the node of now.
            self.messages_before = passed;
            if self.moving.is_some() && pause_wanted {
                self.tell(StreamEvent::Paused { messages: 0 });
            } else {
                self.release();
            }
        }
        Ok(())
    }

    /// Lets what was held flow to the node of now. Returns for how many microseconds it was held.
    pub(super) fn release(&mut self) -> u64 {
        let Input::Held(held) = std::mem::replace(&mut self.input, Input::Flowing) else {
            return 0;
        };
        let pause_us = micros_since(held.since, Instant::now());
        if held.skipping {
            // The rest of a message that a node's death has cut is still to come; it is released behind that.
            self.input = Input::Held(held);
            return pause_us;
        }
        let messages = self.up.tracker.messages() - held.messages;
        let bytes = held.into_bytes();
        self.up.send(&self.node, &bytes);
        self.count(messages, bytes.len());
        pause_us
    }

    fn send_barrier(&mut self) {
        let Some(moving) = &mut self.moving else { return };
        let mut payload = [0; 12];
        payload[..4].copy_from_slice(BARRIER);
        payload[4..].copy_from_slice(&rand::random::<[u8; 8]>());
        moving.barrier = Some(payload);
        let mut ping = Vec::new();
        write_control(&mut ping, Sender::Node, PING, &payload);
        self.sieve
            .get_or_insert_with(|| Box::new(Sieve::new(&self.down.tracker)));
        self.up.send(&self.node, &ping);
    }

    /// Whether a pong from the node answers a ping of ours, and so is none of the client's business.
    pub(super) fn barrier_passed(&mut self, payload: &[u8]) -> bool {
        if let Some(moving) = &mut self.moving
            && moving.barrier.is_some_and(|barrier| barrier == payload)
        {
            moving.barrier = None;
            self.sieve = None;
            self.tell(StreamEvent::Drained);
            return true;
        }
        let late = self.late_pong && payload.len() == 12 && payload.starts_with(BARRIER);
        if late {
            self.late_pong = false;
        }
        late
    }

    fn open(&mut self, carried: Carried) {
        let Some(moving) = &mut self.moving else { return };
        let Some(socket) = moving.way.socket.take() else {
            return self.tell(StreamEvent::OpenFailed("not connected".into()));
        };
        open_later(
            &self.worker,
            &self.connection,
            socket,
            self.handshake.clone(),
            (self.attempt, carried),
            Reached::Opened,
        );
    }

    /// The new node serves from now on.
    fn switch(&mut self) -> Result<(), End> {
        let Some(mut moving) = self.moving.take() else {
            return Ok(());
        };
        let Some((socket, behind)) = moving.way.opened.take() else {
            self.moving = Some(moving);
            return self.stay();
        };
        let old = std::mem::replace(&mut self.node, socket);
        let old_is_dead = std::mem::replace(&mut self.node_dead, false);
        self.up.discard(); // pongs for the old node, at most
        self.worker.serve_by(&self.connection, &moving.way.to);
        self.connection.switches.set(self.connection.switches.get() + 1);
        if let Input::Held(held) = &self.input {
            self.messages_before = held.messages;
        }
        let pause_us = self.release();
        let by_client = self.client_has_moved();
        self.tell(StreamEvent::Switched { pause_us, by_client });
        let mut farewell = Vec::new();
        write_control(
            &mut farewell,
            Sender::Node,
            CLOSE,
            &close_payload(1000, "moved to another node"),
        );
        let _ = old.try_write(&farewell);
        let mut deadline = Deadline::default();
        deadline.after(FAREWELL);
        self.sieve
            .get_or_insert_with(|| Box::new(Sieve::new(&self.down.tracker)));
        self.retiring = Some(Box::new(Retiring {
            node: old,
            deadline,
            behind,
            next: None,
        }));
        if old_is_dead { self.retire() } else { Ok(()) }
    }

    /// The old node has said everything: the new one is heard from now on.
    pub(super) fn retire(&mut self) -> Result<(), End> {
        let Some(retiring) = self.retiring.take() else {
            return Ok(());
        };
        self.sieve = None;
        if !self.down.tracker.at_message_boundary() {
            // Half a message of the old node cannot be followed by a message of the new one.
            return Err(End::Close {
                code: 1012,
                reason: "node lost within a message",
            });
        }
        tokio::task::spawn_local(crate::io::linger(retiring.node));
        self.down.tracker = self.down.tracker.anew();
        self.cross_over();
        self.node_sent(&retiring.behind)?;
        if let Some(to) = retiring.next {
            self.begin_move(&to);
        }
        Ok(())
    }

    /// The old node serves on.
    fn stay(&mut self) -> Result<(), End> {
        if let Some(retiring) = &mut self.retiring {
            retiring.next = None;
        }
        let Some(moving) = self.moving.take() else {
            return Ok(());
        };
        self.attempt += 1;
        self.late_pong |= moving.barrier.is_some();
        if self.node_dead {
            return self.fail_over();
        }
        self.release();
        self.cross_at_boundary();
        Ok(())
    }

    /// Ends this pair's part in a hand-over, because it is about to end altogether.
    pub(super) fn stop_moving(&mut self) {
        if self.moving.take().is_some() {
            self.attempt += 1;
            self.tell(StreamEvent::Left);
            self.release();
        }
    }

    /// The connection to the node broke.
    pub(super) fn node_lost(&mut self) -> Result<(), End> {
        if self.has_taken_leave() {
            return Err(MOVED);
        }
        self.node_dead = true;
        self.late_pong = false;
        self.up.discard();
        self.hold_at_once();
        let awaited = self.retiring.take().is_some_and(|r| r.next.is_some());
        if awaited {
            self.tell(StreamEvent::OldNodeLost);
        }
        if self.moving.is_some() {
            self.tell(StreamEvent::OldNodeLost);
            return Ok(());
        }
        self.fail_over()
    }
}

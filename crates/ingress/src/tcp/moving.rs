//! A framed connection that is handed over, or fails over, to another node.
//!
//! The mover decides when (`foreshift_migration::Handover`). The client's input is held from a frame's end on; when the
//! last answer has come, nothing is under way, and the next node is told what the connection was set up with.

use std::time::Instant;

use foreshift_wire::{Failover, NodeId};

use super::framed::{End, Framed, Input};
use crate::{
    connections::micros_since,
    elsewhere::{
        Begun, Moving, connect_later, open_later, set_out, should_leave, take_over, taken_over,
        tell_failed_over,
    },
    message::{Reached, StreamCommand, StreamEvent},
    reigns::Carried,
    stream::Stream,
};

const LOST: End = End::Broken("its node is lost");

impl Framed {
    pub(super) fn obey(&mut self, command: StreamCommand) -> Result<(), End> {
        match command {
            StreamCommand::Connect { to } => self.begin_move(&to),
            StreamCommand::Pause => self.pause(),
            StreamCommand::Barrier => {
                self.barrier = true;
                self.tell_if_drained();
            }
            StreamCommand::Open(carried) => self.open(carried),
            StreamCommand::Switch => return self.switch(),
            StreamCommand::Stay => return self.stay(),
            // It offers no way to tell it, so it is not asked to.
            StreamCommand::Instruct { .. }
            | StreamCommand::Return { .. }
            | StreamCommand::Withdraw
            | StreamCommand::Arrive(_) => {}
            StreamCommand::NodeDown(node) => {
                if !self.node_dead && should_leave(&self.worker, &self.connection, &node) {
                    return self.node_lost();
                }
            }
            StreamCommand::Close { reason, .. } => return Err(End::Broken(reason)),
            StreamCommand::Reached(attempt, reached) if attempt == self.attempt => {
                return self.reached(reached);
            }
            StreamCommand::Reached(..) => {}
        }
        Ok(())
    }

    fn tell(&self, event: StreamEvent) {
        self.worker.tell_stream(&self.connection, event);
    }

    fn begin_move(&mut self, to: &NodeId) {
        if let Some(why) = self.ledger.pinned() {
            return self.tell(StreamEvent::Unmovable(why.into()));
        }
        match set_out(&self.worker, &self.connection, self.node_dead, to) {
            Begun::Tell(event) => self.tell(event),
            Begun::Connect(to) => {
                self.attempt += 1;
                self.moving = Some(Moving::new(to.clone()));
                connect_later(&self.worker, &self.connection, to, self.attempt);
            }
        }
    }

    /// It was found while it moved that it cannot.
    pub(super) fn cannot_move(&self, why: &str) {
        if self.moving.is_some() {
            self.tell(StreamEvent::Unmovable(why.into()));
        }
    }

    fn reached(&mut self, reached: Reached) -> Result<(), End> {
        match (reached, &mut self.moving) {
            (Reached::Connected(Ok(socket)), Some(moving)) => {
                moving.socket = Some(socket);
                self.tell(StreamEvent::Connected);
            }
            (Reached::Connected(Err(why)), Some(_)) => self.tell(StreamEvent::ConnectFailed(why)),
            (Reached::Opened(Ok(opened)), Some(moving)) => {
                moving.opened = Some(opened);
                self.tell(StreamEvent::Opened);
            }
            (Reached::Opened(Err(why)), Some(_)) => self.tell(StreamEvent::OpenFailed(why)),
            (Reached::FailedOver(taken), _) => return self.failed_over(taken),
            _ => {}
        }
        Ok(())
    }

    fn pause(&mut self) {
        if self.moving.is_some() && matches!(self.input, Input::Flowing) {
            self.input = Input::Pausing;
            if self.pauses_here() {
                self.hold();
            }
        }
    }

    /// Whether input is to be held from here on.
    pub(super) fn pauses_here(&self) -> bool {
        matches!(self.input, Input::Pausing)
            && self.is_at_request_boundary()
            && !self.ledger.is_within()
            && self.ledger.pinned().is_none()
    }

    pub(super) fn hold(&mut self) {
        self.hold_silently();
        self.tell(StreamEvent::Paused { messages: 0 });
    }

    fn hold_silently(&mut self) {
        if !matches!(self.input, Input::Held { .. }) {
            self.input = Input::Held {
                bytes: Vec::new(),
                since: Instant::now(),
            };
        }
    }

    pub(super) fn tell_if_drained(&mut self) {
        if self.barrier && self.is_between_exchanges() {
            self.barrier = false;
            self.tell(StreamEvent::Drained);
        }
    }

    fn open(&mut self, carried: Carried) {
        let Some(socket) = self.moving.as_mut().and_then(|moving| moving.socket.take()) else {
            return self.tell(StreamEvent::OpenFailed("not connected".into()));
        };
        open_later(
            &self.worker,
            &self.connection,
            socket,
            self.replay(),
            (self.attempt, carried),
            Reached::Opened,
        );
    }

    fn switch(&mut self) -> Result<(), End> {
        let Some(Moving {
            to,
            opened: Some((socket, behind)),
            ..
        }) = self.moving.take()
        else {
            return self.stay();
        };
        let old = std::mem::replace(&mut self.node, socket);
        tokio::task::spawn_local(crate::io::linger(old));
        self.worker.serve_by(&self.connection, &to);
        let pause_us = self.go_on(&behind)?;
        self.tell(StreamEvent::Switched {
            pause_us,
            by_client: false,
        });
        Ok(())
    }

    /// Another node serves: what was held goes there. Returns for how many microseconds it was held.
    fn go_on(&mut self, behind: &[u8]) -> Result<u64, End> {
        self.connection.switches.set(self.connection.switches.get() + 1);
        self.node_dead = false;
        self.node_told = false;
        self.barrier = false;
        self.down.tracker.restart();
        let pause_us = self.release()?;
        if !behind.is_empty() {
            self.node_sent(behind)?;
        }
        Ok(pause_us)
    }

    fn release(&mut self) -> Result<u64, End> {
        self.released = true;
        match std::mem::replace(&mut self.input, Input::Flowing) {
            Input::Held { bytes, since } => {
                self.client_sent(&bytes)?;
                Ok(micros_since(since, Instant::now()))
            }
            Input::Flowing | Input::Pausing => Ok(0),
        }
    }

    /// The old node serves on.
    fn stay(&mut self) -> Result<(), End> {
        self.barrier = false;
        if self.moving.take().is_none() {
            return Ok(());
        }
        self.attempt += 1;
        match self.node_dead {
            true => self.fail_over(),
            false => self.release().map(drop),
        }
    }

    /// The connection to the node broke.
    pub(super) fn node_lost(&mut self) -> Result<(), End> {
        let goes_on = self.is_between_exchanges()
            && self.ledger.pinned().is_none()
            && self.pool().config().failover == Failover::Resume
            && !self.worker.draining();
        if !goes_on {
            if let Some(dead) = self.node_of_now() {
                tell_failed_over(&self.worker, &self.connection, &dead.id, None);
            }
            return Err(LOST);
        }
        self.node_dead = true;
        self.hold_silently();
        if self.moving.is_some() {
            self.tell(StreamEvent::OldNodeLost);
            return Ok(());
        }
        self.fail_over()
    }

    fn fail_over(&mut self) -> Result<(), End> {
        let (Some(session), Some(dead)) = (self.connection.session.get(), self.node_of_now()) else {
            return Err(LOST);
        };
        self.attempt += 1;
        let (replay, attempt) = (self.replay(), self.attempt);
        let (worker, connection) = (self.worker.clone(), self.connection.clone());
        tokio::task::spawn_local(async move {
            let taken = take_over(&worker, &connection, session, &dead, &replay).await;
            connection.command(StreamCommand::Reached(attempt, Reached::FailedOver(taken)));
        });
        Ok(())
    }

    fn failed_over(&mut self, taken: Option<(NodeId, Stream, Vec<u8>)>) -> Result<(), End> {
        let Some((node, stream, behind)) = taken_over(&self.worker, &self.connection, taken) else {
            return Err(LOST);
        };
        self.worker.serve_by(&self.connection, &node);
        self.node = stream;
        self.go_on(&behind).map(drop)
    }
}

//! An event stream that is handed over, or fails over, to another node.

use std::time::Instant;

use foreshift_wire::NodeId;

use super::{
    resume::{Request, Resumed},
    stream::{Ended, EventStream},
};
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

impl EventStream<'_> {
    pub(super) fn obey(&mut self, command: StreamCommand) -> Result<(), Ended> {
        match command {
            StreamCommand::Connect { to } => self.begin_move(&to),
            // The client sends nothing, and events go on until the new node is asked for the next.
            StreamCommand::Pause => self.tell(StreamEvent::Paused { messages: 0 }),
            StreamCommand::Barrier => self.tell(StreamEvent::Drained),
            StreamCommand::Open(carried) => self.open(carried),
            StreamCommand::Switch => return self.switch(),
            StreamCommand::Stay => return self.stay(),
            StreamCommand::NodeDown(node) => {
                if !self.node_dead && should_leave(self.worker, self.connection, &node) {
                    return self.node_lost();
                }
            }
            // It offers no way to tell it, so it is not asked to.
            StreamCommand::Instruct { .. }
            | StreamCommand::Return { .. }
            | StreamCommand::Withdraw
            | StreamCommand::Arrive(_) => {}
            StreamCommand::Close { .. } => return Err(Ended::Broken { by_node: false }),
            StreamCommand::Reached(attempt, reached) if attempt == self.attempt => {
                return self.reached(reached);
            }
            StreamCommand::Reached(..) => {}
        }
        Ok(())
    }

    pub(super) fn tell(&self, event: StreamEvent) {
        self.worker.tell_stream(self.connection, event);
    }

    fn begin_move(&mut self, to: &NodeId) {
        match set_out(self.worker, self.connection, self.node_dead, to) {
            Begun::Tell(event) => self.tell(event),
            Begun::Connect(to) => {
                self.attempt += 1;
                self.moving = Some(Moving::new(to.clone()));
                connect_later(self.worker, self.connection, to, self.attempt);
            }
        }
    }

    fn reached(&mut self, reached: Reached) -> Result<(), Ended> {
        match (reached, &mut self.moving) {
            (Reached::Connected(Ok(socket)), Some(moving)) => {
                moving.socket = Some(socket);
                self.tell(StreamEvent::Connected);
            }
            (Reached::Connected(Err(why)), Some(_)) => self.tell(StreamEvent::ConnectFailed(why)),
            (Reached::Resumed(Ok(opened)), Some(moving)) => {
                moving.opened = Some(opened);
                self.tell(StreamEvent::Opened);
            }
            (Reached::Resumed(Err(why)), Some(_)) => self.tell(StreamEvent::OpenFailed(why)),
            (Reached::TakenOver(taken), _) => return self.failed_over(taken),
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, carried: Carried) {
        let Some(moving) = &mut self.moving else { return };
        let Some(socket) = moving.socket.take() else {
            return self.tell(StreamEvent::OpenFailed("not connected".into()));
        };
        self.paused = Some(Instant::now());
        let (request, attempt) = (self.request_for_rest(), self.attempt);
        open_later(
            self.worker,
            self.connection,
            socket,
            request,
            (attempt, carried),
            Reached::Resumed,
        );
    }

    fn request_for_rest(&self) -> Request {
        Request {
            head: self.request.clone(),
            last_id: self.events.last_id().map(<[u8]>::to_vec),
        }
    }

    fn switch(&mut self) -> Result<(), Ended> {
        let Some(Moving {
            to,
            opened: Some((stream, resumed)),
            ..
        }) = self.moving.take()
        else {
            return self.stay();
        };
        let pause_us = self.paused.map_or(0, |since| micros_since(since, Instant::now()));
        self.go_on(&to, stream, resumed.framing);
        self.tell(StreamEvent::Switched {
            pause_us,
            by_client: false,
        });
        self.node_sent(&resumed.behind)
    }

    fn stay(&mut self) -> Result<(), Ended> {
        self.attempt += 1;
        self.moving = None;
        self.paused = None;
        if self.node_dead { self.fail_over() } else { Ok(()) }
    }

    pub(super) fn fail_over(&mut self) -> Result<(), Ended> {
        let (Some(session), Some(dead)) = (self.connection.session.get(), self.node_of_now()) else {
            return Err(Ended::Broken { by_node: true });
        };
        if !self.may_fail_over() {
            tell_failed_over(self.worker, self.connection, &dead.id, None);
            return Err(Ended::Broken { by_node: true });
        }
        self.attempt += 1;
        let request = self.request_for_rest();
        let (worker, connection, attempt) = (self.worker.clone(), self.connection.clone(), self.attempt);
        tokio::task::spawn_local(async move {
            let taken = take_over(&worker, &connection, session, &dead, &request).await;
            connection.command(StreamCommand::Reached(attempt, Reached::TakenOver(taken)));
        });
        Ok(())
    }

    fn failed_over(&mut self, taken: Option<(NodeId, Stream, Resumed)>) -> Result<(), Ended> {
        let Some((node, stream, resumed)) = taken_over(self.worker, self.connection, taken) else {
            return Err(Ended::Broken { by_node: true });
        };
        self.go_on(&node, stream, resumed.framing);
        self.node_sent(&resumed.behind)
    }
}

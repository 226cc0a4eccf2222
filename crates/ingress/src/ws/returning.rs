//! A pair whose client is told to connect anew, since the process ends: the next one serves it.
//!
//! Unlike in a move, the new connection does not come here, and another connection to the node stands behind it. So all
//! that is left to do, once the client says that it has moved, is to take leave of the node behind the client's last message, to pass on
//! what the node still says, and to close.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{
    frame::{CLOSE, Sender, close_payload, write_control},
    moving::Input,
    pair::{End, Pair},
    sieve::Sieve,
};
use crate::{instruct::control::Migrate, io::Deadline};

/// How long the node may take to answer the farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// The end of a pair whose client has moved to the next process.
pub(super) const MOVED: End = End::Close {
    code: 1000,
    reason: "moved",
};

/// A client that has moved to the next process.
pub(super) enum Departing {
    /// What it sent waits for the end of a hand-over.
    Waiting,
    /// The node was told; it may have something left to say.
    Told(Deadline),
}

impl Pair {
    /// Tells the client to connect anew.
    pub(super) fn tell_to_return(&mut self, within: Duration, delay: Duration) {
        let busy = self.instructed.as_ref().is_some_and(|i| i.is_under_way());
        let (Some(instructable), false) = (&self.handshake.instructable, busy) else {
            return;
        };
        let Some(token) = self.worker.return_token(&self.connection, delay + within) else {
            return;
        };
        let migrate = Migrate {
            url: instructable.url.to_string(),
            token,
            within_ms: within.as_millis() as u64,
            delay_ms: delay.as_millis() as u64,
            reason: "restart",
        };
        self.say_instruction(migrate);
        if let Some(instructed) = &mut self.instructed {
            instructed.returning = true;
        }
    }

    /// The client speaks to the next process from now on, and here no more.
    pub(super) fn client_returned(&mut self) {
        self.departing = Some(Departing::Waiting);
        self.depart();
    }

    /// Takes leave of the node, once all that the client sent has gone to it. True where that was now.
    pub(super) fn depart(&mut self) -> bool {
        let settled = matches!(self.input, Input::Flowing)
            && self.moving.is_none()
            && self.retiring.is_none()
            && !self.node_dead;
        if !settled || !matches!(self.departing, Some(Departing::Waiting)) {
            return false;
        }
        let mut frame = Vec::new();
        write_control(&mut frame, Sender::Node, CLOSE, &close_payload(1000, "moved"));
        self.up.send(&self.node, &frame);
        // Its answer is for us.
        self.sieve
            .get_or_insert_with(|| Box::new(Sieve::new(&self.down.tracker)));
        let mut deadline = Deadline::default();
        deadline.after(FAREWELL);
        self.departing = Some(Departing::Told(deadline));
        true
    }

    /// The node was told that its client has moved.
    pub(super) fn has_taken_leave(&self) -> bool {
        matches!(self.departing, Some(Departing::Told(_)))
    }

    /// Whether the node has had its time.
    pub(super) fn poll_departing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.departing {
            Some(Departing::Told(deadline)) => deadline.poll_passed(cx).map(drop),
            _ => Poll::Pending,
        }
    }
}

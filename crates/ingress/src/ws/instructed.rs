//! A pair whose client is told to move by itself.
//!
//! The client comes back with a second connection. From the hand-over's pause on, it speaks there; what the old node has
//! still to say goes to its first one. Once that has been said, the second connection takes the first one's place. Whether
//! the client has moved and whether the node was switched are independent: where the node stays after all, the client's new
//! connection goes on with it.

use std::{task::Context, time::Duration};

use super::{
    frame::{CLOSE, Sender, Step, close_payload, write_control, write_text},
    moving::Input,
    pair::{End, Pair, violated},
    whisper::Whisper,
};
use crate::{
    flow::Flow,
    http1::{handed_over, refused},
    instruct::control::{Migrate, Said, resumed},
    io::{Deadline, linger, write_all},
    message::{Arrival, StreamEvent},
    stream::Stream,
    worker::Place,
};

/// How long a client may take from `resumed` to `moved`; then it is switched without its help.
const MOVED_WITHIN: Duration = Duration::from_secs(2);

/// What a pair keeps of an instruction.
pub(super) struct Instructed {
    /// Stays once there was an instruction: an answer may come late.
    whisper: Option<Whisper>,
    /// That of the instruction that holds.
    token: Option<String>,
    new: Option<NewClient>,
    /// The next instruction, which is said when this move is over: token, time and delay in milliseconds.
    next: Option<(String, u64, u64)>,
    /// The instruction is to go on with the next process.
    pub(super) returning: bool,
}

impl Instructed {
    /// The client has not answered yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.token.is_some() || self.new.is_some()
    }
}

/// The client's new connection.
struct NewClient {
    stream: Stream,
    unsent: Vec<u8>,
    /// What it sent behind its handshake.
    behind: Vec<u8>,
    standing: Standing,
    place: Option<Place>,
    moved_by: Deadline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Open, and not told to go on.
    Waiting,
    /// Told that the session goes on here.
    Resumed,
    /// The client speaks here, and only here.
    Moved,
}

impl Pair {
    /// The instruction for the client, put in at the next message boundary.
    pub(super) fn instruct(&mut self, token: String, within_ms: u64, delay_ms: u64) {
        let Some(instructable) = &self.handshake.instructable else {
            return self.tell(StreamEvent::Refused("the client cannot be told".into()));
        };
        if self.client_has_moved() {
            if let Some(instructed) = &mut self.instructed {
                instructed.next = Some((token, within_ms, delay_ms));
            }
            return;
        }
        let migrate = Migrate {
            url: instructable.url.to_string(),
            token,
            within_ms,
            delay_ms,
            reason: "rebalance",
        };
        self.say_instruction(migrate);
    }

    /// Puts an instruction in at the next message boundary, and listens to the answer.
    pub(super) fn say_instruction(&mut self, migrate: Migrate) {
        write_text(&mut self.notice, &migrate.text());
        let whisper = Whisper::new(&self.up.tracker);
        let instructed = self.instructed.get_or_insert_with(|| {
            Box::new(Instructed {
                whisper: Some(whisper),
                token: None,
                new: None,
                next: None,
                returning: false,
            })
        });
        instructed.token = Some(migrate.token);
        if self.down.tracker.at_frame_boundary() && self.sieve.is_none() {
            self.say_aside();
        }
    }

    /// The instruction does not hold any more.
    pub(super) fn withdraw(&mut self) {
        if let Some(instructed) = &mut self.instructed {
            instructed.token = None;
            instructed.next = None;
            if let Some(new) = instructed.new.take_if(|new| new.standing == Standing::Waiting) {
                new.dismiss(1013, "no longer wanted");
            }
        }
    }

    /// The client has come with its new connection.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Ok(stream) = arrival.stream.arrive() else {
            return self.tell(StreamEvent::Refused("its new connection broke".into()));
        };
        let awaited = self
            .instructed
            .as_mut()
            .filter(|i| i.token.is_some() && i.new.is_none() && !self.leaving);
        let (Some(instructed), Some(instructable)) = (awaited, &self.handshake.instructable) else {
            return dismiss_handshake(stream, "no move waits for the token");
        };
        let Some(answer) = handed_over(&arrival.offer, instructable.protocol.as_deref()) else {
            instructed.token = None;
            dismiss_handshake(stream, "the subprotocols are not those of the first connection");
            return self.tell(StreamEvent::Refused("it came with other subprotocols".into()));
        };
        let mut new = NewClient {
            stream,
            unsent: answer,
            behind: arrival.behind,
            standing: Standing::Waiting,
            place: Place::again(&self.worker, arrival.peer),
            moved_by: Deadline::default(),
        };
        new.flush();
        instructed.new = Some(new);
        self.tell(StreamEvent::Arrived);
    }

    /// Has the client go on with its new connection, where it has one. False where its input has to be held as usual.
    pub(super) fn resume_client(&mut self) -> bool {
        let Some(session) = self.connection.session.get() else {
            return false;
        };
        let Some(new) = self.new_client(Standing::Waiting) else {
            return false;
        };
        write_text(&mut new.unsent, &resumed(session));
        new.flush();
        new.standing = Standing::Resumed;
        new.moved_by.after(MOVED_WITHIN);
        true
    }

    fn new_client(&mut self, standing: Standing) -> Option<&mut NewClient> {
        let new = self.instructed.as_mut()?.new.as_mut()?;
        (new.standing == standing).then_some(new)
    }

    /// The client speaks on its new connection, and what the old node says goes to the old one.
    pub(super) fn client_has_moved(&self) -> bool {
        self.instructed
            .as_ref()
            .and_then(|i| i.new.as_ref())
            .is_some_and(|new| new.standing == Standing::Moved)
    }

    /// Where the client's input comes from.
    pub(super) fn source(&self) -> &Stream {
        match self.instructed.as_ref().and_then(|i| i.new.as_ref()) {
            Some(new) if new.standing == Standing::Moved => &new.stream,
            _ => &self.client,
        }
    }

    /// Whether what the client sends has to be listened to.
    pub(super) fn listens(&self) -> bool {
        self.instructed.as_ref().is_some_and(|i| i.whisper.is_some())
    }

    /// Takes the client's control messages out of its input.
    pub(super) fn listen(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() && !self.client_has_moved() {
            let Some(mut whisper) = self.instructed.as_mut().and_then(|i| i.whisper.take()) else {
                return self.take_in(bytes);
            };
            let mut passed = Vec::new();
            let heard = whisper.next(bytes, &mut passed);
            if let Some(instructed) = &mut self.instructed {
                instructed.whisper = Some(whisper);
            }
            if !passed.is_empty() {
                self.take_in(&passed)?;
            }
            let (used, said) = heard.map_err(violated)?;
            bytes = &bytes[used..];
            match said {
                Some(Said::Moved { token }) => self.client_moved(&token)?,
                Some(Said::Refused { reason }) => self.client_refused(reason),
                None => {}
            }
        }
        Ok(())
    }

    fn client_refused(&mut self, reason: String) {
        let Some(instructed) = &mut self.instructed else {
            return;
        };
        instructed.token = None;
        let new = instructed.new.take();
        let resumed = new.as_ref().is_some_and(|new| new.standing == Standing::Resumed);
        if let Some(new) = new {
            new.dismiss(1000, "refused");
        }
        self.tell(StreamEvent::Refused(reason));
        if resumed {
            // The hand-over waits for it.
            self.pause();
        }
    }

    fn client_moved(&mut self, token: &str) -> Result<(), End> {
        let at_boundary = self.up.tracker.at_message_boundary();
        let Some(instructed) = &mut self.instructed else {
            return Ok(());
        };
        if instructed.token.as_deref() != Some(token) || !at_boundary {
            return Ok(());
        }
        if instructed.returning {
            instructed.token = None;
            instructed.whisper = None;
            self.client_returned();
            return Ok(());
        }
        let Some(new) = instructed
            .new
            .as_mut()
            .filter(|n| n.standing == Standing::Resumed)
        else {
            return Ok(());
        };
        new.standing = Standing::Moved;
        new.moved_by = Deadline::default();
        let behind = std::mem::take(&mut new.behind);
        instructed.token = None;
        instructed.whisper = None;
        if self.moving.is_some() && !matches!(self.input, Input::Held(_)) {
            self.paused();
        }
        if self.moving.is_none() && self.retiring.is_none() {
            self.cross_at_boundary();
        }
        self.client_sent(&behind)
    }

    /// The node stays, and so what it says goes to the new connection from the next message on.
    pub(super) fn cross_at_boundary(&mut self) {
        let node_stays = self.moving.is_none() && self.retiring.is_none();
        if self.client_has_moved() && node_stays && self.down.tracker.at_message_boundary() {
            self.cross_over();
        }
    }

    /// As [`Self::cross_at_boundary`], within what the node sent: a node that sends without a pause has no boundary at
    /// the end of a read. Returns what is for the new connection.
    pub(super) fn cross_within<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let node_stays = self.moving.is_none() && self.retiring.is_none();
        if !self.client_has_moved() || !node_stays || self.sieve.is_some() || !self.aside.is_empty() {
            return bytes;
        }
        let mut probe = self.down.tracker.clone();
        let mut at = 0;
        while at < bytes.len() && !probe.at_message_boundary() {
            match probe.next(&bytes[at..]) {
                Ok((used, Step::FrameEnd(_) | Step::Inside)) => at += used,
                Err(_) => return bytes,
            }
        }
        if !probe.at_message_boundary() {
            return bytes;
        }
        self.down.send(&self.client, &bytes[..at]);
        self.count(0, at);
        self.down.tracker = probe;
        self.cross_over();
        &bytes[at..]
    }

    /// The new connection takes the old one's place: everything that the old node had to say was said. Nothing where the
    /// client has not moved.
    pub(super) fn cross_over(&mut self) {
        if !self.client_has_moved() {
            return;
        }
        let Some(instructed) = self.instructed.take() else {
            return;
        };
        let Instructed {
            new: Some(new), next, ..
        } = *instructed
        else {
            return;
        };
        let old = std::mem::replace(&mut self.client, new.stream);
        let fresh = Flow::new(self.down.tracker.anew());
        let mut said = std::mem::replace(&mut self.down, fresh);
        self.down.keep(&new.unsent);
        if let Some(place) = new.place {
            self.place = place;
        }
        let mut frame = Vec::new();
        write_control(&mut frame, Sender::Client, CLOSE, &close_payload(1000, "moved"));
        said.keep(&frame);
        let unsent = said.unsent().to_vec();
        tokio::task::spawn_local(part(old, unsent));
        if let Some((token, within_ms, delay_ms)) = next {
            self.instruct(token, within_ms, delay_ms);
        }
    }

    /// The client's old connection broke behind its switch: what is still said there is lost to it.
    pub(super) fn old_client_lost(&mut self) {
        self.down.discard();
        self.down.mute();
    }

    /// Puts our own frames in where the client reads.
    pub(super) fn say_to_new_client(&mut self) {
        let aside = std::mem::take(&mut self.aside);
        if let Some(new) = self.new_client(Standing::Moved) {
            new.unsent.extend(aside);
            new.flush();
        }
    }

    /// Bytes that wait for the client's new connection.
    pub(super) fn waiting_for_new_client(&self) -> usize {
        let new = self.instructed.as_ref().and_then(|i| i.new.as_ref());
        new.map_or(0, |new| new.unsent.len())
    }

    /// Deadlines, and what could not be written yet.
    pub(super) fn poll_new_client(&mut self, cx: &mut Context<'_>) {
        let Some(new) = self.instructed.as_mut().and_then(|i| i.new.as_mut()) else {
            return;
        };
        if !new.unsent.is_empty() && new.stream.poll_write_ready(cx).is_ready() {
            new.flush();
        }
        let _ = new.stream.poll_flush(cx);
        if new.standing == Standing::Resumed && new.moved_by.poll_passed(cx).is_ready() {
            // It may still move; the hand-over does not wait for it any longer.
            new.moved_by = Deadline::default();
            if self.moving.is_some() && matches!(self.input, Input::Flowing) {
                self.hold_from_boundary();
            }
        }
    }

    /// The pair ends: so does a new connection that has not taken the old one's place.
    pub(super) fn leave_new_client(&mut self) {
        if let Some(new) = self.instructed.take().and_then(|i| i.new) {
            new.dismiss(1012, "node lost");
        }
    }
}

impl NewClient {
    fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(written @ 1..) => drop(self.unsent.drain(..written)),
                // An error shows where it is read from.
                _ => return,
            }
        }
    }

    /// Closes it, in a task of its own.
    fn dismiss(mut self, code: u16, reason: &str) {
        let payload = close_payload(code, reason);
        write_control(&mut self.unsent, Sender::Client, CLOSE, &payload);
        let Self { stream, unsent, .. } = self;
        tokio::task::spawn_local(part(stream, unsent));
    }
}

/// Writes what is left to say, and ends the connection.
async fn part(stream: Stream, unsent: Vec<u8>) {
    let mut deadline = Deadline::default();
    deadline.after(Duration::from_secs(5));
    if write_all(&stream, &unsent, &mut deadline).await.is_ok() {
        linger(stream).await;
    }
}

fn dismiss_handshake(stream: Stream, why: &str) {
    tokio::task::spawn_local(part(stream, refused(why)));
}

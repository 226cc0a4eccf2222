//! Tells clients to move by themselves, before their session is handed over.
//!
//! While they are told everything is served by the old node. What the clients answer is
//! `foreshift_migration::Instruction`'s to judge; in the end the session is handed over like any other, and streams whose client
//! has come take the client's new connection along.

mod requests;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use foreshift_migration::{Ask, Heard, Instruction};
use foreshift_wire::{Answer, ConnectionId, MoveFailure, Strategy, Told};

use super::{
    Id, Mover,
    active::{Active, Journey, Phase},
    lanes::Lanes,
};
use crate::{
    instruct::{Issued, Tokens},
    message::{Arrival, Ended, StreamCommand, StreamEvent, ToWorker},
};

/// Sessions that are told at once.
const TELLING_MAX: usize = 100_000;
/// The longest delay; where more clients are to move, the proxy moves the rest.
const DELAY_MAX: Duration = Duration::from_secs(300);
/// Time beyond its own that a client's answer may be under way.
const GRACE: Duration = Duration::from_millis(500);

/// What was told, and how it is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) delay: Duration,
    /// Why not all clients come.
    pub(super) fell_back: Option<String>,
}

impl Telling {
    /// What is reported in the end. `by_proxy`: a stream was switched without its client's help.
    pub(super) fn told(self, by_proxy: bool, failed: bool) -> Told {
        let answer = match self.fell_back {
            Some(detail) => Answer::FellBack { detail },
            None if failed => Answer::FellBack {
                detail: "the hand-over failed".into(),
            },
            None if by_proxy => Answer::FellBack {
                detail: "the client came but did not go on".into(),
            },
            None => Answer::Instructed,
        };
        Told {
            delay_ms: self.delay.as_millis() as u64,
            answer,
        }
    }
}

/// A session whose clients are being told.
struct Session {
    journey: Journey,
    /// Workers whose streams are not known yet.
    missing: usize,
    streams: Vec<(ConnectionId, bool)>,
    worker_of: HashMap<ConnectionId, u16>,
    nonces: HashMap<ConnectionId, u64>,
    /// The token's nonce, where an answer tells the client.
    by_answer: Option<u64>,
    /// `None` until all streams are known.
    instruction: Option<Instruction>,
    delay: Duration,
    deadline: Option<Instant>,
}

/// Everything that the mover keeps of it.
pub(super) struct Tellings {
    tokens: Arc<Tokens>,
    sessions: HashMap<Id, Session>,
    /// Told, and waiting for their turn at the new node.
    lanes: Lanes<(Id, Telling)>,
}

impl Tellings {
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        Self {
            tokens,
            sessions: HashMap::new(),
            lanes: Lanes::default(),
        }
    }
}

impl Mover {
    /// Whether a session is being told, so that its hand-over comes by itself.
    pub(super) fn is_telling(&self, id: Id) -> bool {
        self.tellings.sessions.contains_key(&id)
    }

    /// Begins to tell a session's clients, where that is what its pool does. False: it is to be handed over at once.
    pub(super) fn tell_clients(&mut self, id: Id) -> bool {
        let (pool, session) = id;
        let state = &self.pools[pool];
        let tells = state.config.migration_strategy != Strategy::Proxy;
        if !tells || self.tellings.sessions.len() >= TELLING_MAX {
            return false;
        }
        // A dead node's connections fail over; there is no old connection to hold on to.
        let Some(journey) = state.journey(session).filter(|j| j.from_is_alive) else {
            return false;
        };
        for worker in &self.workers {
            let from = journey.from.clone();
            let _ = worker.send(ToWorker::Tell { pool, session, from });
        }
        let session = Session {
            journey,
            missing: self.workers.len(),
            streams: Vec::new(),
            worker_of: HashMap::new(),
            nonces: HashMap::new(),
            by_answer: None,
            instruction: None,
            delay: Duration::ZERO,
            deadline: None,
        };
        self.tellings.sessions.insert(id, session);
        true
    }

    /// A worker told its streams.
    pub(super) fn listening(&mut self, id: Id, worker: u16, streams: &[(ConnectionId, bool)]) {
        let Some(session) = self.tellings.sessions.get_mut(&id) else {
            return;
        };
        session
            .worker_of
            .extend(streams.iter().map(|(c, _)| (*c, worker)));
        session.streams.extend_from_slice(streams);
        session.missing = session.missing.saturating_sub(1);
        if session.missing == 0 && session.instruction.is_none() {
            self.judge(id);
        }
    }

    /// Knows all streams: tells them, or goes the other way.
    fn judge(&mut self, id: Id) {
        let Some(session) = self.tellings.sessions.get_mut(&id) else {
            return;
        };
        if session.streams.is_empty() {
            return self.tell_requests(id);
        }
        if session.streams.iter().all(|(_, can)| *can) {
            let streams: Vec<_> = session.streams.iter().map(|(stream, _)| *stream).collect();
            let (instruction, asks) = Instruction::start(streams);
            session.instruction = Some(instruction);
            return self.do_asks(id, asks);
        }
        match self.pools[id.0].config.migration_strategy {
            Strategy::Client => self.leave_in_place(id),
            Strategy::Auto | Strategy::Proxy => self.hand_over_untold(id),
        }
    }

    fn hand_over_untold(&mut self, id: Id) {
        self.tellings.sessions.remove(&id);
        self.begin(id, false, None);
    }

    /// The session stays: not all of its clients can be told.
    fn leave_in_place(&mut self, id: Id) {
        let Some(session) = self.tellings.sessions.remove(&id) else {
            return;
        };
        let detail = "a connection of the session cannot be told to move".into();
        self.active.insert(id, Active::over(session.journey));
        self.finish(id, Some(MoveFailure::Unmovable { detail }), Vec::new());
    }

    fn hear_answer(&mut self, id: Id, heard: Heard) {
        let Some(instruction) = self
            .tellings
            .sessions
            .get_mut(&id)
            .and_then(|s| s.instruction.as_mut())
        else {
            return;
        };
        let asks = instruction.on(heard);
        self.do_asks(id, asks);
    }

    /// Something happened to a stream: its client may have answered.
    pub(super) fn hear_told_stream(&mut self, id: Id, stream: ConnectionId, event: &StreamEvent) {
        match event {
            StreamEvent::Arrived => self.hear_answer(id, Heard::Arrived(stream)),
            StreamEvent::Refused(why) => {
                let why = format!("the client refused: {why}");
                self.hear_answer(id, Heard::Refused(stream, why));
            }
            StreamEvent::Left | StreamEvent::OldNodeLost => self.hear_answer(id, Heard::Left(stream)),
            _ => {}
        }
    }

    fn do_asks(&mut self, id: Id, asks: Vec<Ask>) {
        for ask in asks {
            match ask {
                Ask::Tell(stream) => self.tell_stream(id, stream),
                Ask::Withdraw(stream) => self.withdraw(id, stream),
                Ask::HandOver { fell_back } => self.queue_told(id, fell_back),
                Ask::Stop => {
                    self.tellings.sessions.remove(&id);
                    self.release(id, Ended::Released);
                }
            }
        }
    }

    fn tell_stream(&mut self, id: Id, stream: ConnectionId) {
        let Some(session) = self.tellings.sessions.get_mut(&id) else {
            return;
        };
        let (now, config) = (Instant::now(), &self.pools[id.0].config);
        let to = &session.journey.to;
        let at = self
            .tellings
            .lanes
            .arrival(id.0, to, config.reconnects_per_second, now);
        let (delay, within) = (at - now, config.migration_within.get());
        let deadline = at + within + GRACE;
        session.deadline = Some(session.deadline.map_or(deadline, |d| d.max(deadline)));
        session.delay = session.delay.max(delay);
        let now_ms = crate::clock::unix_ms();
        let issued = Issued {
            pool: id.0,
            session: id.1,
            connection: Some(stream),
            expires_ms: now_ms + (delay + within).as_millis() as u64,
        };
        let token = match delay <= DELAY_MAX {
            true => self.tellings.tokens.issue(&config.name, to, issued, now_ms),
            false => None,
        };
        let worker = session.worker_of.get(&stream).copied();
        let Some((token, worker)) = token.zip(worker) else {
            let why = "too many clients are told at once".into();
            return self.hear_answer(id, Heard::Refused(stream, why));
        };
        session.nonces.insert(stream, token.nonce);
        let command = StreamCommand::Instruct {
            token: token.text,
            within_ms: within.as_millis() as u64,
            delay_ms: delay.as_millis() as u64,
        };
        self.send_to_stream(worker, stream, command);
    }

    fn send_to_stream(&self, worker: u16, stream: ConnectionId, command: StreamCommand) {
        if let Some(worker) = self.workers.get(usize::from(worker)) {
            let _ = worker.send(ToWorker::Stream {
                connection: stream,
                command,
            });
        }
    }

    fn withdraw(&mut self, id: Id, stream: ConnectionId) {
        let Some(session) = self.tellings.sessions.get(&id) else {
            return;
        };
        if let Some(nonce) = session.nonces.get(&stream) {
            self.tellings.tokens.withdraw(*nonce);
        }
        if let Some(worker) = session.worker_of.get(&stream) {
            self.send_to_stream(*worker, stream, StreamCommand::Withdraw);
        }
    }

    /// The clients have answered: the session waits for its turn at the new node. It stays in `sessions` until then, so
    /// that a change of the routes finds it.
    fn queue_told(&mut self, id: Id, fell_back: Option<String>) {
        let Some(session) = self.tellings.sessions.get_mut(&id) else {
            return;
        };
        session.deadline = None;
        let telling = Telling {
            delay: session.delay,
            fell_back,
        };
        let per_second = self.pools[id.0].config.reconnects_per_second;
        let to = &session.journey.to;
        self.tellings.lanes.wait(id.0, to, per_second, (id, telling));
    }

    /// Begins the hand-over of told sessions whose turn it is, `room` of them at most. Returns when to look again.
    pub(super) fn start_told(&mut self, room: usize) -> Option<Instant> {
        for _ in 0..room {
            match self.tellings.lanes.next(Instant::now()) {
                Ok((id, telling)) => {
                    let told = self.tellings.sessions.remove(&id);
                    // Its client waits for it, though nothing of it may be open at this moment.
                    let by_answer = told.is_some_and(|told| told.instruction.is_none());
                    let wanted = by_answer && telling.fell_back.is_none();
                    self.begin(id, wanted, Some(telling));
                }
                Err(later) => return later,
            }
        }
        None
    }

    /// A told client came to some worker.
    pub(super) fn arrived(&self, id: Id, stream: ConnectionId, arrival: Box<Arrival>) {
        // Else it came too late, and its connection closes with this.
        if let Some(session) = self.tellings.sessions.get(&id)
            && let Some(worker) = session.worker_of.get(&stream)
        {
            self.send_to_stream(*worker, stream, StreamCommand::Arrive(arrival));
        }
    }

    /// Calls those off that are on their way to a node that the routes do not name any more, or from one that is gone.
    pub(super) fn call_off(&mut self, pool: usize) {
        let astray = |(id, session): (&Id, &Session)| {
            let journey = self.pools[pool].journey(id.1);
            let to = journey.as_ref().map(|j| &j.to);
            // Streams of a dead node fail over by themselves; requests are sent to it as long as they are told.
            let lost = session.by_answer.is_some() && journey.as_ref().is_some_and(|j| !j.from_is_alive);
            (id.0 == pool && (lost || to != Some(&session.journey.to))).then_some(*id)
        };
        let astray: Vec<Id> = self.tellings.sessions.iter().filter_map(astray).collect();
        for id in astray {
            self.tellings.lanes.withdraw(|(waiting, _)| *waiting == id);
            let streams: Vec<_> = match self.tellings.sessions.get(&id) {
                Some(session) => session.nonces.keys().copied().collect(),
                None => continue,
            };
            for stream in streams {
                self.withdraw(id, stream);
            }
            self.takes_back(id);
            self.tellings.sessions.remove(&id);
            self.release(id, Ended::Released);
            self.queue.push_back(id);
        }
    }

    /// Clients that did not answer in time.
    pub(super) fn sweep_told(&mut self, now: Instant) {
        let late = |(id, session): (&Id, &Session)| session.deadline.is_some_and(|d| d <= now).then_some(*id);
        let late: Vec<Id> = self.tellings.sessions.iter().filter_map(late).collect();
        for id in late {
            match self.takes_back(id) {
                true => self.queue_told(id, Some("the client did not come in time".into())),
                false => self.hear_answer(id, Heard::TimeUp),
            }
        }
    }
}

impl Active {
    /// One that is only there to be ended.
    fn over(journey: Journey) -> Self {
        Self {
            phase: Phase::Gathering {
                missing: 0,
                streams: Vec::new(),
                requests: Default::default(),
            },
            journey,
            worker_of: HashMap::new(),
            generation: 0,
            deadline: None,
            wanted: false,
            again: false,
            telling: None,
            epoch: None,
        }
    }
}

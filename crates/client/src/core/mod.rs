//! What a socket does, decided without one: events in, actions out.
//!
//! Time is an argument, in milliseconds of any clock that does not go back, and so are the random numbers; a shell performs
//! the actions. So every order of events can be tried in a test, and all client libraries can be held to the same scripts.

mod control;
mod moving;

use std::collections::VecDeque;

pub use self::control::Migrate;
use self::moving::{Draining, Moving};

/// A message of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Close code; 1005 where there was none, 1006 where the connection broke or was not opened.
    pub code: u16,
    /// What was said with it.
    pub reason: String,
    /// The status of an answer other than 101.
    pub status: Option<u16>,
}

/// Number of a connection, from 1 in the order in which they are opened.
pub type Conn = u64;

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The user wants a socket. The first event, and only once.
    Connect {
        /// `ws:` or `wss:`.
        url: String,
    },
    /// A connection is open.
    Opened(Conn),
    /// A message came.
    Received(Conn, Message),
    /// A connection ended, or could not be opened.
    Lost(Conn, Loss),
    /// The user sends.
    Send(Message),
    /// The user closes.
    Close {
        /// Close code.
        code: u16,
        /// To be said with it.
        reason: String,
    },
    /// Time went by.
    Time,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection.
    Open {
        /// Its number.
        conn: Conn,
        /// Where to.
        url: String,
        /// To be shown there.
        token: Option<String>,
    },
    /// Send on a connection.
    Transmit(Conn, Message),
    /// Close a connection.
    HangUp {
        /// Which.
        conn: Conn,
        /// Close code.
        code: u16,
        /// To be said with it.
        reason: String,
    },
    /// The user's socket is open. Once.
    Ready,
    /// The user gets a message.
    Deliver(Message),
    /// A move is complete.
    Migrated {
        /// The session, as the server named it.
        session: String,
        /// Where the socket is now.
        url: String,
    },
    /// The connection was lost, and is opened again.
    Reconnecting {
        /// In so many milliseconds.
        in_ms: u64,
    },
    /// The user's socket has closed. The last.
    Ended {
        /// Close code.
        code: u16,
        /// What was said with it.
        reason: String,
    },
}

/// How persistent a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persistence {
    /// Longest delay before the first attempt to reconnect; doubled with each one.
    pub backoff_min_ms: u64,
    /// It does not grow beyond this.
    pub backoff_max_ms: u64,
    /// Attempts in a row that may fail.
    pub attempts_max: u32,
    /// A connection that was open for so long makes the next attempt the first.
    pub stable_ms: u64,
    /// How long an old connection may go on after the switch.
    pub drain_ms: u64,
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            backoff_min_ms: 500,
            backoff_max_ms: 30_000,
            attempts_max: 10,
            stable_ms: 10_000,
            drain_ms: 5_000,
        }
    }
}

/// Close codes that tell of a server's trouble, not of an end.
const TROUBLE: [u16; 6] = [1001, 1006, 1011, 1012, 1013, 1014];

/// The connection that the user's messages go to.
#[derive(Debug, Clone, Copy)]
struct Current {
    conn: Conn,
    /// Since when it is open.
    open_since: Option<u64>,
}

/// One socket.
#[derive(Debug)]
pub struct Core {
    persistence: Persistence,
    url: String,
    opened: Conn,
    current: Option<Current>,
    moving: Option<Moving>,
    draining: Option<Draining>,
    attempts: u32,
    retry_at: Option<u64>,
    /// What was sent while there was no open connection.
    outbox: VecDeque<Message>,
    ready: bool,
    closing: Option<(u16, String)>,
    ended: bool,
    actions: Vec<Action>,
}

impl Core {
    /// One that has done nothing yet.
    pub fn new(persistence: Persistence) -> Self {
        Self {
            persistence,
            url: String::new(),
            opened: 0,
            current: None,
            moving: None,
            draining: None,
            attempts: 0,
            retry_at: None,
            outbox: VecDeque::new(),
            ready: false,
            closing: None,
            ended: false,
            actions: Vec::new(),
        }
    }

    /// Takes an event at `now_ms`; returns what to do. `random` gives numbers in [0, 1).
    pub fn on(&mut self, event: Event, now_ms: u64, random: &mut dyn FnMut() -> f64) -> Vec<Action> {
        if !self.ended {
            match event {
                Event::Connect { url } => {
                    self.url = url;
                    self.open_again();
                }
                Event::Opened(conn) => self.is_open(conn, now_ms),
                Event::Received(conn, message) => self.received(conn, message, now_ms),
                Event::Lost(conn, loss) => self.lost(conn, loss, now_ms, random),
                Event::Send(message) => self.send(message),
                Event::Close { code, reason } => self.close(code, reason),
                Event::Time => self.time(now_ms, random),
            }
        }
        std::mem::take(&mut self.actions)
    }

    /// When it next wants to be told the time.
    pub fn wakes(&self) -> Option<u64> {
        let moving = self.moving.as_ref().map(Moving::wakes);
        let draining = self.draining.as_ref().map(|d| d.until);
        [moving, draining, self.retry_at].into_iter().flatten().min()
    }

    /// Whether messages of a connection are wanted now: what comes on a new one is not, before the old one has ended.
    pub fn reads(&self, conn: Conn) -> bool {
        let is_current = self.current.is_some_and(|c| c.conn == conn);
        self.draining.is_none() || !is_current
    }

    /// Bytes that wait for a connection.
    pub fn waiting(&self) -> usize {
        self.outbox.iter().map(Message::len).sum()
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn open(&mut self, url: String, token: Option<String>) -> Conn {
        self.opened += 1;
        let conn = self.opened;
        self.act(Action::Open { conn, url, token });
        conn
    }

    fn open_again(&mut self) {
        let conn = self.open(self.url.clone(), None);
        let open_since = None;
        self.current = Some(Current { conn, open_since });
    }

    fn hang_up(&mut self, conn: Conn, code: u16, reason: &str) {
        let reason = reason.into();
        self.act(Action::HangUp { conn, code, reason });
    }

    fn is_open(&mut self, conn: Conn, now_ms: u64) {
        if let Some(moving) = &mut self.moving {
            moving.is_open(conn);
        }
        let Some(current) = self.current.as_mut().filter(|c| c.conn == conn) else {
            return;
        };
        current.open_since = Some(now_ms);
        if !std::mem::replace(&mut self.ready, true) {
            self.act(Action::Ready);
        }
        for message in std::mem::take(&mut self.outbox) {
            self.act(Action::Transmit(conn, message));
        }
    }

    fn send(&mut self, message: Message) {
        if self.closing.is_some() {
            return;
        }
        let lost = self.draining.as_ref().is_some_and(Draining::has_lost);
        match self.current {
            Some(Current {
                conn,
                open_since: Some(_),
            }) if !lost => self.act(Action::Transmit(conn, message)),
            _ => self.outbox.push_back(message),
        }
    }

    fn close(&mut self, code: u16, reason: String) {
        if self.closing.is_some() {
            return;
        }
        self.stop_moving();
        match self.current {
            Some(current) => self.hang_up(current.conn, code, &reason),
            None => self.end(code, reason.clone()),
        }
        self.closing = Some((code, reason));
    }

    fn end(&mut self, code: u16, reason: String) {
        self.retry_at = None;
        self.ended = true;
        self.act(Action::Ended { code, reason });
    }

    /// A message on the connection in use.
    fn received_here(&mut self, conn: Conn, message: Message, now_ms: u64) {
        let instruction = match &message {
            Message::Text(text) => Migrate::from_message(text),
            Message::Binary(_) => None,
        };
        match instruction {
            None => self.act(Action::Deliver(message)),
            Some(_) if self.closing.is_some() => {}
            Some(migrate) => self.instructed(conn, migrate, now_ms),
        }
    }

    /// The connection in use ended.
    fn lost_here(&mut self, was: Current, loss: Loss, now_ms: u64, random: &mut dyn FnMut() -> f64) {
        self.stop_moving();
        self.current = None;
        let trouble = was.open_since.is_none() || TROUBLE.contains(&loss.code);
        if self.closing.is_some() || !self.ready || !trouble {
            return self.end(loss.code, loss.reason);
        }
        let stable = self.persistence.stable_ms;
        if was.open_since.is_some_and(|since| now_ms - since >= stable) {
            self.attempts = 0;
        }
        if self.attempts >= self.persistence.attempts_max {
            let reason = format!("not reached in {} attempts", self.attempts);
            return self.end(1006, reason);
        }
        let grown = self
            .persistence
            .backoff_min_ms
            .saturating_mul(1_u64.checked_shl(self.attempts).unwrap_or(u64::MAX));
        let limit = grown.min(self.persistence.backoff_max_ms);
        let in_ms = (random() * limit as f64) as u64;
        self.attempts += 1;
        self.retry_at = Some(now_ms + in_ms);
        self.act(Action::Reconnecting { in_ms });
    }

    fn time(&mut self, now_ms: u64, random: &mut dyn FnMut() -> f64) {
        if self.retry_at.take_if(|at| *at <= now_ms).is_some() {
            self.open_again();
        }
        self.time_to_move(now_ms);
        self.time_to_part(now_ms, random);
    }
}

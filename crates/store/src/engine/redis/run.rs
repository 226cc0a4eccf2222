//! Runs a script on the server that has the session, however often that takes, and knows afterwards what may have been done.
//!
//! An attempt whose answer was lost is followed by another one that says so to its script, which then knows what it did. So trying
//! again never does anything twice, and what is left unknown is only what no server answered for until the time was up.

use std::time::Duration;

use foreshift_wire::SessionId;
use redis::{Cmd, Pipeline, Value};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout_at},
};

use super::{
    fault::Fault,
    layout,
    nodes::Nodes,
    routes::Routes,
    scripts::{self, Script},
    settings::Settings,
    slots::{self, Address},
};
use crate::Error;

/// What all operations under way may hold in memory, in KiB.
const ROOM_KIB: u32 = 64 * 1024;
/// What one operation takes of it beside what it writes: its answer is not known before.
const SHARE_KIB: u32 = 16;
/// Between attempts: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// Redirections that are followed at once.
const HOPS: u32 = 5;

/// Adds the arguments of a command or script; told whether values follow in commands of their own.
pub(super) type Arguments<'a> = &'a (dyn Fn(&mut Cmd, bool) + Sync);
/// Adds commands with the values of a write.
pub(super) type Values<'a> = &'a (dyn Fn(&mut Pipeline) + Sync);

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    /// A command that reads some fields: one moment is all that it sees.
    Command(&'static str),
    Script(&'static Script),
    /// A script that writes, with values that had better not pass through Lua.
    Write(&'static Script, Values<'a>),
}

impl Call<'_> {
    /// Servers must know them.
    pub(super) fn scripts(&self) -> Vec<&'static Script> {
        match self {
            Self::Command(_) => Vec::new(),
            Self::Script(script) => vec![script],
            Self::Write(script, _) => vec![script, &scripts::SETTLE],
        }
    }
}

/// Something that is asked of a session.
pub(super) struct Ask<'a> {
    pub(super) session: SessionId,
    pub(super) call: Call<'a>,
    /// It stores something, and answers `done` where it did.
    pub(super) writes: bool,
    /// Of its arguments.
    pub(super) bytes: usize,
    pub(super) arguments: Arguments<'a>,
}

pub(super) struct Runner {
    pub(super) settings: Settings,
    pub(super) nodes: Nodes,
    pub(super) routes: Routes,
    room: Semaphore,
}

/// What is known of an operation that is not over.
#[derive(Default)]
pub(super) struct Trace {
    /// Only what writes can leave something unknown.
    writes: bool,
    /// An attempt is under way that may change something.
    pub(super) is_sent: bool,
    /// The answer of one was lost.
    pub(super) is_lost: bool,
    /// What the last attempt ended with.
    last: Option<String>,
}

impl Trace {
    fn unavailable(&self, detail: String) -> Error {
        let unknown = self.writes && (self.is_sent || self.is_lost);
        Error::Unavailable { detail, unknown }
    }
}

impl Runner {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            routes: Routes::new(&settings),
            settings,
            nodes: Nodes::default(),
            room: Semaphore::new(ROOM_KIB as usize),
        }
    }

    /// What a script answered.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Value, Error> {
        let within = self.settings.all_attempts();
        let deadline = Instant::now() + within;
        let _room = self.room(ask.bytes, deadline).await?;
        let mut trace = Trace {
            writes: ask.writes,
            ..Trace::default()
        };
        if let Ok(answer) = timeout_at(deadline, self.attempts(&ask, &mut trace)).await {
            return answer;
        }
        let nobody = || "no Redis server answered".into();
        let why = trace.last.take().unwrap_or_else(nobody);
        Err(trace.unavailable(format!("{why} (tried for {within:?})")))
    }

    /// Waits until there is room for an operation: all together hold a bounded memory.
    async fn room(&self, bytes: usize, deadline: Instant) -> Result<SemaphorePermit<'_>, Error> {
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let kib = kib.saturating_add(SHARE_KIB).min(ROOM_KIB);
        match timeout_at(deadline, self.room.acquire_many(kib)).await {
            // Those before may have used up all the time.
            Ok(Ok(room)) if Instant::now() < deadline => Ok(room),
            _ => Err(Error::Unavailable {
                detail: "too many operations wait for Redis; it is too slow for them".into(),
                unknown: false,
            }),
        }
    }

    async fn attempts(&self, ask: &Ask<'_>, trace: &mut Trace) -> Result<Value, Error> {
        let key = layout::key(ask.session);
        // Where there is one server only, nobody asks for it.
        let slot = match self.settings.is_cluster {
            true => slots::slot(key.as_bytes()),
            false => 0,
        };
        let (mut pause, mut hops) = (PAUSES.0, 0);
        let mut redirect = None;
        loop {
            let aim = match redirect.take() {
                Some(address) => Ok((address, true)),
                None => self.primary(slot).await.map(|address| (address, false)),
            };
            let answer = match aim {
                Ok((address, asks)) => self.attempt(&address, asks, &key, ask, trace).await,
                Err(fault) => Err(fault),
            };
            let fault = match answer {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            hops += 1;
            let is_redirection = matches!(fault, Fault::Moved(_) | Fault::Ask(_) | Fault::Unloaded);
            redirect = self.heed(fault, slot, trace)?;
            if !is_redirection || hops > HOPS {
                sleep(pause.mul_f32(rand::random_range(0.5..1.0))).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }

    /// Draws the lesson of an attempt that did not succeed: whom to ask for a slot on its way, or that all is in vain.
    fn heed(&self, fault: Fault, slot: u16, trace: &mut Trace) -> Result<Option<Address>, Error> {
        let mut redirect = None;
        let detail = match fault {
            Fault::Moved(_) if !self.settings.is_cluster => {
                let why = "the server of session.urls is part of a cluster; set session.cluster = true";
                return Err(trace.unavailable(why.into()));
            }
            Fault::Moved(to) => {
                let detail = format!("the slot is said to be at {to}");
                self.routes.moved(slot, to);
                detail
            }
            Fault::Ask(to) => {
                let detail = format!("the slot is on its way to {to}");
                redirect = Some(to);
                detail
            }
            // It is loaded now.
            Fault::Unloaded => "the script was just loaded".into(),
            Fault::Final { detail, unknown } => {
                trace.is_lost |= unknown;
                return Err(trace.unavailable(detail));
            }
            Fault::Later(detail) | Fault::Unreachable(detail) | Fault::Lost(detail) => {
                self.routes.is_stale();
                detail
            }
        };
        trace.last = Some(detail);
        Ok(redirect)
    }

    /// Who has a slot, as far as is known or can be found out.
    async fn primary(&self, slot: u16) -> Result<Address, Fault> {
        self.routes.primary(slot, &self.settings, &self.nodes).await
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::Session;

    use super::*;

    fn runner() -> Runner {
        let session = Session {
            urls: vec!["redis://127.0.0.1:1".into()],
            ..Session::default()
        };
        Runner::new(Settings::of(&session).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_holds_a_bounded_memory() {
        let runner = runner();
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut rooms = Vec::new();
        while let Ok(room) = runner.room(1 << 20, deadline).await {
            rooms.push(room);
        }
        assert_eq!(rooms.len(), 63, "of 1 MiB each, in 64 MiB");
        assert_eq!(
            Instant::now(),
            deadline,
            "the last one waited until its time was up"
        );
        let later = deadline + Duration::from_secs(1);
        assert!(
            runner.room(0, deadline).await.is_err(),
            "even a small one that came too late"
        );
        rooms.clear();
        assert!(
            runner.room(usize::MAX, later).await.is_ok(),
            "one that is larger than all takes all"
        );
    }
}

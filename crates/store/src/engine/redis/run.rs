//! Runs a script on the server that has the session, however often that takes, and knows afterwards what may have been done.
//!
//! An attempt whose answer was lost is followed by another one that says so to its script, which then knows what it did. So trying
//! again never does anything twice, and what is left unknown is only what no server answered for until the time was up.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    fault::Fault,
    layout,
    nodes::{Nodes, Use},
    routes::Routes,
    scripts::Script,
    settings::Settings,
    slots::{self, Address},
};
use crate::Error;
use foreshift_wire::SessionId;

/// What all operations under way may hold in memory, in KiB.
const ROOM_KIB: u32 = 64 * 1024;
/// What one operation takes of it beside what it writes: its answer is not known before.
const SHARE_KIB: u32 = 16;
/// Between attempts: first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// Redirections that are followed at once.
const HOPS: u32 = 5;

/// Adds the arguments of a script to its command.
pub(super) type Arguments<'a> = &'a (dyn Fn(&mut Cmd) + Sync);

/// A script for a session.
pub(super) struct Ask<'a> {
    pub(super) session: SessionId,
    pub(super) script: &'static Script,
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
struct Trace {
    /// An attempt is under way that may change something.
    is_sent: bool,
    /// The answer of one was lost.
    is_lost: bool,
    /// What the last attempt ended with.
    last: Option<String>,
}

impl Trace {
    fn unavailable(&self, detail: String) -> Error {
        let unknown = self.is_sent || self.is_lost;
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
        let mut trace = Trace::default();
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
        let slot = slots::slot(layout::key(ask.session).as_bytes());
        let (mut pause, mut hops) = (PAUSES.0, 0);
        let mut redirect = None;
        loop {
            let aim = match redirect.take() {
                Some(address) => Ok((address, true)),
                None => self.primary(slot).await.map(|address| (address, false)),
            };
            let fault = match aim {
                Ok((address, asks)) => match self.attempt(&address, asks, ask, trace).await {
                    Ok(answer) => return Ok(answer),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            hops += 1;
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
                    trace.is_lost |= unknown && ask.writes;
                    return Err(trace.unavailable(detail));
                }
                Fault::Later(detail) | Fault::Unreachable(detail) | Fault::Lost(detail) => {
                    self.routes.is_stale();
                    hops = HOPS;
                    detail
                }
            };
            trace.last = Some(detail);
            if hops >= HOPS {
                sleep(pause.mul_f32(rand::random_range(0.5..1.0))).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }

    /// Who has a slot, as far as is known or can be found out.
    async fn primary(&self, slot: u16) -> Result<Address, Fault> {
        self.routes.primary(slot, &self.settings, &self.nodes).await
    }

    async fn attempt(
        &self,
        to: &Address,
        asks: bool,
        ask: &Ask<'_>,
        trace: &mut Trace,
    ) -> Result<Value, Fault> {
        let mut held = self.nodes.connection(&self.settings, to, ask.writes).await?;
        let pipe = self.commands(asks, ask, trace.is_lost);
        trace.is_sent = ask.writes;
        let answer = self.send(to, &mut held, &pipe).await;
        trace.is_sent = false;
        let judged = answer.and_then(|answer| self.judge(to, asks, answer));
        match &judged {
            Err(Fault::Lost(_)) => trace.is_lost |= ask.writes,
            Err(Fault::Unloaded) => self.load(to, &mut held, ask.script).await?,
            // The name may lead to another server now.
            Err(Fault::Final { .. }) => held.is_broken().await,
            _ => {}
        }
        judged
    }

    fn commands(&self, asks: bool, ask: &Ask<'_>, is_retry: bool) -> Pipeline {
        let mut pipe = Pipeline::with_capacity(3);
        if asks {
            pipe.add_command(redis::cmd("ASKING"));
        }
        let mut run = Cmd::with_capacity(16, ask.bytes + 256);
        run.arg("EVALSHA")
            .arg(ask.script.hash())
            .arg(1)
            .arg(layout::key(ask.session));
        run.arg(u8::from(is_retry));
        (ask.arguments)(&mut run);
        pipe.add_command(run);
        if ask.writes && self.settings.wait_replicas > 0 {
            let mut wait = redis::cmd("WAIT");
            wait.arg(self.settings.wait_replicas);
            wait.arg(self.settings.wait_timeout.as_millis() as u64);
            pipe.add_command(wait);
        }
        pipe
    }

    /// Sends commands at once, and takes their answers.
    pub(super) async fn send(
        &self,
        to: &Address,
        held: &mut Use,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Fault> {
        let within = self.settings.attempt();
        let lost = match timeout(within, held.connection.send_packed_commands(pipe, 0, pipe.len())).await {
            Ok(Ok(answers)) if answers.len() == pipe.len() => return Ok(answers),
            Ok(_) => Fault::Lost(format!("{to} broke the connection off")),
            Err(_) => Fault::Lost(format!("{to} did not answer within {within:?}")),
        };
        held.is_broken().await;
        Err(lost)
    }

    /// What the answers to an attempt's commands mean.
    fn judge(&self, to: &Address, asks: bool, answers: Vec<Value>) -> Result<Value, Fault> {
        let mut answers = answers.into_iter().skip(usize::from(asks));
        let (answer, waited) = (answers.next(), answers.next());
        let answer = match answer {
            Some(Value::ServerError(error)) => return Err(Fault::answered(to, &error)),
            Some(answer) => answer,
            None => return Err(Fault::Lost(format!("{to} did not answer"))),
        };
        let Some(waited) = waited.filter(|_| is_done(&answer)) else {
            return Ok(answer);
        };
        let wanted = self.settings.wait_replicas;
        match waited {
            Value::Int(had) if had >= wanted.into() => Ok(answer),
            Value::Int(had) => Err(Fault::Final {
                detail: format!(
                    "{} has stored the write, but only {had} of {wanted} replicas had it within {:?}: it is lost if {} fails now; see to the replicas, and ask for the write again",
                    to, self.settings.wait_timeout, to
                ),
                unknown: true,
            }),
            // It became a replica meanwhile.
            _ => Err(Fault::Lost(format!("{to} is no primary any more"))),
        }
    }

    async fn load(&self, to: &Address, held: &mut Use, script: &Script) -> Result<(), Fault> {
        let mut pipe = Pipeline::with_capacity(1);
        pipe.add_command(redis::cmd("SCRIPT"))
            .arg("LOAD")
            .arg(script.text);
        // To load it changes nothing that matters.
        let answers = match self.send(to, held, &pipe).await {
            Err(Fault::Lost(detail)) => return Err(Fault::Unreachable(detail)),
            answers => answers?,
        };
        match answers.into_iter().next() {
            Some(Value::ServerError(error)) => Err(Fault::answered(to, &error)),
            _ => Ok(()),
        }
    }
}

/// A script says that it stored something.
fn is_done(answer: &Value) -> bool {
    match answer {
        Value::Array(answer) => matches!(answer.first(), Some(Value::BulkString(word)) if word == b"done"),
        _ => false,
    }
}

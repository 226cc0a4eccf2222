//! The pool's task: one thing at a time, and none that goes wrong ends it.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use foreshift_wire::IngressEvent;
use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

use super::{
    configure::NewSettings,
    handle::{Command, PoolHandle},
    reports::{Observed, Reports},
    state::{Parts, Pool},
};
use crate::{
    Error,
    collect::{Collector, Heard},
    health::{Checker, HealthChange, open_tls},
    metrics::count,
    stop::stopped,
};

/// Requests that wait for their turn; more wait before they are sent.
const COMMANDS: usize = 256;
/// Events of the ingress that wait for their turn.
const EVENTS: usize = 4_096;
/// Events settled in one transaction.
const EVENTS_AT_ONCE: usize = 1_024;
/// Time for the ingress to report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a pool and starts its task, which ends when `stop` turns true.
pub(crate) async fn start(
    settings: foreshift_wire::Pool,
    parts: Parts,
    reports: Arc<Reports>,
    stop: watch::Receiver<bool>,
) -> Result<(PoolHandle, JoinHandle<()>), Error> {
    let (checker, health) = match &settings.health {
        Some(check) => {
            let tls = open_tls(&settings)?;
            let (checker, health) = Checker::new(check.clone(), &settings, tls);
            (Some(checker), Some(health))
        }
        None => (None, None),
    };
    let (commands, commands_in) = mpsc::channel(COMMANDS);
    let (events, events_in) = mpsc::channel(EVENTS);
    let (ticks, ticks_in) = mpsc::channel(1);
    let name = settings.name.clone();
    let (interval, interval_in) = watch::channel(settings.check_interval.get());
    let (collector, heard) = Collector::new(&settings);
    let pool = Box::pin(Pool::open(settings, parts, checker, collector)).await?;
    let clock = tick(name, interval_in, reports, ticks);
    let inbox = Inbox {
        interval,
        commands: commands_in,
        events: events_in,
        ticks: ticks_in,
        health,
        heard,
        stop,
    };
    let task = tokio::spawn(async move {
        // The clock ends with the pool: neither waits for the other.
        tokio::select! {
            () = clock => {}
            () = run(pool, inbox) => {}
        }
    });
    Ok((PoolHandle { commands, events }, task))
}

/// What the checks say, where there are any.
pub(super) type HealthIn = Option<mpsc::UnboundedReceiver<HealthChange>>;

struct Inbox {
    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<IngressEvent>,
    ticks: mpsc::Receiver<Option<Observed>>,
    health: HealthIn,
    /// For the clock.
    interval: watch::Sender<Duration>,
    heard: mpsc::Receiver<Heard>,
    stop: watch::Receiver<bool>,
}

/// Asks for a report every `interval`; rounds that come too late are left out, not made up for.
async fn tick(
    pool: foreshift_wire::PoolName,
    mut interval: watch::Receiver<Duration>,
    reports: Arc<Reports>,
    ticks: mpsc::Sender<Option<Observed>>,
) {
    let mut timer = timer(*interval.borrow_and_update());
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            Ok(()) = interval.changed() => {
                timer = self::timer(*interval.borrow_and_update());
                continue;
            }
        }
        let report =
            AssertUnwindSafe(tokio::time::timeout(REPORT_TIMEOUT, reports.take(&pool))).catch_unwind();
        let observed = match report.await {
            Ok(Ok(observed)) => observed,
            Ok(Err(_)) => {
                tracing::error!(%pool, "the ingress did not report within {REPORT_TIMEOUT:?}");
                None
            }
            Err(_) => {
                tracing::error!(%pool, "the ingress panicked while it reported");
                None
            }
        };
        if ticks.send(observed).await.is_err() {
            return;
        }
    }
}

fn timer(interval: Duration) -> tokio::time::Interval {
    let mut timer = tokio::time::interval_at(Instant::now() + interval, interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
    timer
}

/// Takes new settings over, and says how that went.
async fn configure(
    pool: &mut Pool,
    inbox: &mut Inbox,
    new: NewSettings,
    reply: oneshot::Sender<Result<(), Error>>,
) {
    let interval = new.settings.check_interval.get();
    guarded("reload", pool, async |pool| {
        let answer = match pool.configure(new).await {
            Ok(health) => {
                inbox.health = health.unwrap_or_else(|| inbox.health.take());
                Ok(())
            }
            Err(error) => Err(error),
        };
        drop(reply.send(answer));
        Ok(())
    })
    .await;
    if *inbox.interval.borrow() != interval {
        inbox.interval.send_replace(interval);
    }
}

async fn run(mut pool: Pool, mut inbox: Inbox) {
    let mut events = Vec::new();
    loop {
        tokio::select! {
            () = stopped(&mut inbox.stop) => return,
            Some(observed) = inbox.ticks.recv() => {
                let began = std::time::Instant::now();
                let ok = guarded("tick", &mut pool, async |pool| pool.tick(observed).await).await;
                count(&mut pool.counters.ticks, if ok { "ok" } else { "error" });
                pool.counters.tick.add_us(began.elapsed().as_micros() as u64, 1);
            }
            _ = inbox.events.recv_many(&mut events, EVENTS_AT_ONCE) => {
                let events = std::mem::take(&mut events);
                guarded("settle", &mut pool, async |pool| pool.settle(events).await).await;
            }
            Some(change) = next_health(&mut inbox.health) => {
                guarded("health", &mut pool, async |pool| pool.on_health(change).await).await;
            }
            Some(heard) = inbox.heard.recv() => {
                guarded("report", &mut pool, async |pool| pool.on_heard(heard).await).await;
            }
            Some(command) = inbox.commands.recv() => {
                let command = match command {
                    Command::End => return,
                    Command::Configure(new, reply) => {
                        Box::pin(configure(&mut pool, &mut inbox, *new, reply)).await;
                        continue;
                    }
                    other => other,
                };
                guarded("request", &mut pool, async |pool| {
                    pool.answer(command).await;
                    Ok(())
                })
                .await;
            }
        }
    }
}

async fn next_health(health: &mut HealthIn) -> Option<HealthChange> {
    match health {
        Some(health) => health.recv().await,
        None => std::future::pending().await,
    }
}

/// Runs one step; an error or a panic is logged, and the pool goes on. True where it went well.
async fn guarded<F>(what: &str, pool: &mut Pool, step: F) -> bool
where
    F: AsyncFnOnce(&mut Pool) -> Result<(), foreshift_meta::Error>,
{
    let name = pool.settings.name.clone();
    match caught(step(pool)).await {
        Some(Ok(())) => return true,
        Some(Err(error)) => tracing::error!(pool = %name, %error, "{what} failed; the next one goes on"),
        None => {
            tracing::error!(pool = %name, "{what} panicked; this is a bug, the next one goes on");
            // Whatever was half done, what was committed is the truth.
            if let Err(error) = pool.routes.reload().await {
                tracing::error!(pool = %name, %error, "cannot read the routes again");
            }
        }
    }
    false
}

async fn caught<T>(step: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(step).catch_unwind().await.ok()
}

impl Pool {
    /// One round: observe, forecast, tidy, plan, act.
    async fn tick(&mut self, observed: Option<Observed>) -> Result<(), foreshift_meta::Error> {
        self.observe(observed.as_ref());
        self.sweep_moves().await?;
        self.expire().await?;
        self.judge_nodes().await?;
        let result = self.decide().await;
        self.tell_empty();
        let removed = self.remove_left().await;
        self.tell_tick();
        removed?;
        result
    }

    /// Answers one request. Whoever asked may have gone; that is no error.
    async fn answer(&mut self, command: Command) {
        match command {
            Command::View(reply) => drop(reply.send(self.view())),
            Command::Metrics(reply) => drop(reply.send(self.metrics())),
            Command::NotReady(reply) => drop(reply.send(self.not_ready())),
            Command::Moves(limit, reply) => drop(reply.send(self.log.newest(limit))),
            Command::Plan(reply) => drop(reply.send(self.plan_view())),
            Command::AddNode(spec, reply) => drop(reply.send(self.add_node(spec).await)),
            Command::RemoveNode { id, force, reply } => drop(reply.send(self.remove_node(&id, force).await)),
            Command::SetState { id, state, reply } => drop(reply.send(self.set_state(&id, state).await)),
            Command::Report { id, signals, reply } => drop(reply.send(self.report(&id, signals))),
            Command::AgentReport { id, report, reply } => drop(reply.send(self.agent_report(&id, report))),
            Command::Series { id, filter, reply } => drop(reply.send(self.series(&id, filter))),
            Command::Affinity(key, reply) => drop(reply.send(self.affinity(key))),
            Command::Pin { key, pin, reply } => drop(reply.send(self.pin(key, pin).await)),
            Command::Unpin(key, reply) => drop(reply.send(self.unpin(&key).await)),
            Command::Migrate {
                connection,
                target,
                reply,
            } => {
                drop(reply.send(self.migrate(*connection, &target).await));
            }
            Command::ChangeNode { id, change, reply } => {
                drop(reply.send(self.change_node(&id, change).await));
            }
            Command::ResetNode(id, reply) => drop(reply.send(self.reset_node(&id).await)),
            Command::Entries(filter, reply) => drop(reply.send(self.entries(&filter))),
            Command::Clear(filter, reply) => drop(reply.send(self.clear(&filter).await)),
            Command::PinSession { session, pin, reply } => {
                drop(reply.send(self.pin_session(session, pin).await));
            }
            Command::Info(reply) => drop(reply.send(self.info())),
            // The loop itself sees to these.
            Command::Configure(..) | Command::End => {}
        }
    }
}

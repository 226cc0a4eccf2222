//! Moves sessions: follows the routes in metadata and drives one hand-over for each session that lives elsewhere
//! than they say.
//!
//! One for the whole process, on a thread of its own, since a session's connections may be spread over all
//! workers. The decisions are `foreshift_migration`'s; this carries its actions to workers and nodes.

mod active;
mod carrying;
mod copies;
mod hooks;
mod lanes;
mod perform;
mod pool;
mod replay;
mod takeover;
mod telling;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use foreshift_meta::{
    Error, Meta,
    routes::{RouteChange, RouteTable, RouteWatch},
};
use foreshift_migration::{Event, Handover, Options};
use foreshift_wire::{ConnectionId, Epoch, IngressEvent, NodeId, SessionId};
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::copies::Over;
use self::{
    active::{Active, Ending, Phase},
    hooks::Hooks,
    pool::{PoolState, Task},
    takeover::TakeOvers,
    telling::{Telling, Tellings},
};
use crate::{
    instruct::Tokens,
    letters::Letter,
    message::{Ended, Requests, StreamEvent, ToMover, ToWorker},
    reigns::Carried,
    tls::Certificates,
    worker::Shared,
};

/// Hand-overs under way at once, except those that a request waits for. More would not end sooner, since the cores
/// are busy, but each would pause its client longer.
const ACTIVE_MAX: usize = 32;
/// How often deadlines and expiries are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How often the keys that sign tokens are read anew.
const RENEW_KEYS: Duration = Duration::from_secs(3_600);

/// How long a token for the session's next request is good.
const LETTER_FOR: Duration = Duration::from_secs(60);

/// What the mover is made from.
pub(crate) struct OptionsOfMover {
    pub(crate) meta: Meta,
    pub(crate) pools: Vec<Arc<foreshift_wire::Pool>>,
    /// In which zone this ingress is.
    pub(crate) zone: Option<Arc<str>>,
    pub(crate) workers: Vec<mpsc::UnboundedSender<ToWorker>>,
    pub(crate) inbox: mpsc::UnboundedReceiver<ToMover>,
    pub(crate) events: mpsc::UnboundedSender<IngressEvent>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) shared: Arc<Shared>,
    /// Told once the first routes are with the workers.
    pub(crate) ready: std::sync::mpsc::SyncSender<Result<(), Error>>,
}

type Id = (usize, SessionId);

/// What comes back from the mover's own tasks.
enum Note {
    /// Of a hook call.
    Handover(Id, u64, Event),
    /// Who owns a session's kept state changed.
    Owned(Id, u64, Option<Epoch>, Event),
    /// A node was made ready to go on where a dead one stopped, or not.
    TakenOver(Id, NodeId, Result<Epoch, String>),
    Routes(usize, RouteChange),
    /// The watch fell behind; the routes were read anew.
    Reloaded(usize, RouteTable),
    /// The routes of a new pool.
    Opened(usize, RouteTable, oneshot::Sender<()>),
    /// Sessions with open connections in buckets that changed owner.
    Live(usize, Arc<[u16]>, Vec<SessionId>),
}

struct Mover {
    meta: Meta,
    pools: Vec<PoolState>,
    zone: Option<Arc<str>>,
    workers: Vec<mpsc::UnboundedSender<ToWorker>>,
    events: mpsc::UnboundedSender<IngressEvent>,
    active: HashMap<Id, Active>,
    ending: HashMap<Id, Ending>,
    queue: VecDeque<Id>,
    tellings: Tellings,
    hooks: Hooks,
    certificates: Arc<Certificates>,
    shared: Arc<Shared>,
    takeovers: TakeOvers,
    copies: copies::Bounds,
    notes: mpsc::UnboundedSender<Note>,
    generation: u64,
}

/// Runs the mover on the calling thread until the workers are gone.
pub(crate) fn run(options: OptionsOfMover) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let OptionsOfMover {
            meta,
            pools,
            zone,
            workers,
            mut inbox,
            events,
            certificates,
            tokens,
            shared,
            ready,
        } = options;
        let (notes, mut noted) = mpsc::unbounded_channel();
        let keeps = shared.reigns.are_kept();
        let pool = |config| PoolState::new(config, zone.clone(), keeps);
        let mut mover = Mover {
            meta,
            pools: pools.into_iter().map(pool).collect(),
            zone,
            workers,
            events,
            active: HashMap::new(),
            ending: HashMap::new(),
            queue: VecDeque::new(),
            tellings: Tellings::new(tokens.clone()),
            hooks: Hooks::default(),
            certificates,
            shared,
            takeovers: TakeOvers::default(),
            copies: copies::Bounds::default(),
            notes,
            generation: 0,
        };
        let loaded = mover.load().await;
        let failed = loaded.is_err();
        let _ = ready.send(loaded);
        if failed {
            return;
        }
        tokio::task::spawn_local(renew_keys(mover.meta.clone(), tokens));
        let mut turn: Option<Instant> = None;
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => mover.hear(message),
                    None => return,
                },
                Some(note) = noted.recv() => mover.note(note),
                _ = sweep.tick() => mover.sweep(Instant::now()),
                () = until(turn) => {}
            }
            turn = mover.start_queued();
        }
    });
    Ok(())
}

/// Ready at an instant; never where there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Follows the keys that sign tokens.
async fn renew_keys(meta: Meta, tokens: Arc<Tokens>) {
    loop {
        tokio::time::sleep(RENEW_KEYS).await;
        let candidate = rand::random();
        match foreshift_meta::routes::signing_keys(&meta, candidate, crate::clock::unix_ms()).await {
            Ok(keys) => tokens.renew(&keys),
            Err(Error::Closed) => return,
            Err(error) => tracing::error!(%error, "cannot read the keys that sign what clients are told"),
        }
    }
}

/// Tells of each change of a pool's routes, until the metadata is closed.
async fn follow(
    index: usize,
    pool: foreshift_wire::PoolName,
    meta: Meta,
    mut watch: RouteWatch,
    notes: mpsc::UnboundedSender<Note>,
) {
    loop {
        let note = match watch.next().await {
            Ok(change) => Note::Routes(index, change),
            Err(Error::Closed) => return,
            Err(error) => {
                tracing::warn!(%pool, %error, "reading the routes anew");
                match RouteTable::load(&meta, &pool).await {
                    Ok(table) => {
                        watch = table.watch(&meta, &pool);
                        Note::Reloaded(index, table)
                    }
                    Err(error) => {
                        tracing::error!(%pool, %error, "cannot read the routes; trying again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        continue;
                    }
                }
            }
        };
        if notes.send(note).is_err() {
            return;
        }
    }
}

impl Mover {
    /// Reads the routes of all pools and follows them.
    async fn load(&mut self) -> Result<(), Error> {
        for index in 0..self.pools.len() {
            let name = self.pools[index].config.name.clone();
            let table = RouteTable::load(&self.meta, &name).await?;
            let watch = table.watch(&self.meta, &name);
            self.reload(index, table);
            self.follow(index, name, watch);
        }
        Ok(())
    }

    fn follow(&self, index: usize, name: foreshift_wire::PoolName, watch: RouteWatch) {
        let (meta, notes) = (self.meta.clone(), self.notes.clone());
        tokio::task::spawn_local(follow(index, name, meta, watch, notes));
    }

    /// Takes a pool's new settings. A pool that is new has no routes until they were read.
    fn take_pool(&mut self, index: usize, config: Arc<foreshift_wire::Pool>, routed: oneshot::Sender<()>) {
        if let Some(pool) = self.pools.get_mut(index) {
            if pool.configure(config) {
                self.apply(index, RouteChange::default());
            }
            let _ = routed.send(());
            return;
        }
        let keeps = self.shared.reigns.are_kept();
        self.pools.push(PoolState::new(config, self.zone.clone(), keeps));
        self.open(index, routed);
    }

    /// Reads the routes anew and follows them: the metadata was closed for a while.
    fn take_meta(&mut self, meta: Meta) {
        self.meta = meta;
        for index in 0..self.pools.len() {
            self.open(index, oneshot::channel().0);
        }
    }

    fn open(&self, index: usize, routed: oneshot::Sender<()>) {
        let name = self.pools[index].config.name.clone();
        let (meta, notes) = (self.meta.clone(), self.notes.clone());
        tokio::task::spawn_local(async move {
            match RouteTable::load(&meta, &name).await {
                Ok(table) => drop(notes.send(Note::Opened(index, table, routed))),
                Err(error) => tracing::error!(pool = %name, %error, "cannot read the routes of a pool"),
            }
        });
    }

    fn opened(&mut self, index: usize, table: RouteTable, routed: oneshot::Sender<()>) {
        let name = self.pools[index].config.name.clone();
        let watch = table.watch(&self.meta, &name);
        self.reload(index, table);
        self.follow(index, name, watch);
        let _ = routed.send(());
    }

    fn reload(&mut self, index: usize, table: RouteTable) {
        let change = self.pools[index].difference(table);
        self.apply(index, change);
    }

    /// New routes: tells the workers, and begins to move who lives elsewhere now.
    fn apply(&mut self, index: usize, change: RouteChange) {
        let tasks = self.pools[index].apply(change, Instant::now());
        let snapshot = self.pools[index].snapshot();
        for worker in &self.workers {
            let _ = worker.send(ToWorker::Routes {
                pool: index,
                snapshot: snapshot.clone(),
            });
        }
        self.turn_back(index);
        for task in tasks {
            match task {
                Task::Move(session) => self.queue.push_back((index, session)),
                Task::Settle(event) => self.tell(event),
                Task::MoveBuckets(buckets) => self.find_live(index, buckets),
            }
        }
    }

    /// Ends what is on its way to a node that the routes do not name any more: it stays where it is, and is handed
    /// over to the right one later.
    fn turn_back(&mut self, index: usize) {
        let pool = &self.pools[index];
        // What is still being gathered looks at the routes again before it sets out.
        let running = self
            .active
            .iter()
            .filter(|(id, a)| id.0 == index && matches!(a.phase, Phase::Running(_)));
        let astray: Vec<Id> = running
            .filter(|(id, active)| pool.place_of(id.1).as_ref() != Some(&active.journey.to))
            .map(|(id, _)| *id)
            .collect();
        for id in astray {
            self.feed(id, Event::Cancelled("the routes changed again".into()));
        }
        self.call_off(index);
    }

    /// Asks the workers which sessions have open connections in `buckets`.
    fn find_live(&self, pool: usize, buckets: Vec<u16>) {
        let buckets: Arc<[u16]> = buckets.into();
        let answers: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (answer, receiver) = oneshot::channel();
                let _ = worker.send(ToWorker::Live {
                    pool,
                    buckets: buckets.clone(),
                    answer,
                });
                receiver
            })
            .collect();
        let notes = self.notes.clone();
        tokio::task::spawn_local(async move {
            let mut sessions = Vec::new();
            for answer in answers {
                sessions.extend(answer.await.unwrap_or_default());
            }
            sessions.sort_unstable();
            sessions.dedup();
            let _ = notes.send(Note::Live(pool, buckets, sessions));
        });
    }

    fn tell(&self, event: IngressEvent) {
        let _ = self.events.send(event);
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Handover(id, generation, event) => {
                if self.active.get(&id).is_some_and(|a| a.generation == generation) {
                    self.feed(id, event);
                }
            }
            Note::Owned(id, generation, epoch, event) => {
                self.shared.reigns.changed();
                if let Some(active) = self.active.get_mut(&id).filter(|a| a.generation == generation) {
                    active.epoch = epoch.or(active.epoch);
                    self.feed(id, event);
                }
            }
            Note::TakenOver(id, to, taken) => self.taken_over(id, &to, &taken),
            Note::Routes(pool, change) => self.apply(pool, change),
            Note::Reloaded(pool, table) => self.reload(pool, table),
            Note::Opened(pool, table, routed) => self.opened(pool, table, routed),
            Note::Live(pool, buckets, sessions) => {
                let settled = self.pools[pool].live(&buckets, &sessions);
                self.queue.extend(sessions.into_iter().map(|s| (pool, s)));
                settled.into_iter().for_each(|event| self.tell(event));
            }
        }
    }

    fn hear(&mut self, message: ToMover) {
        match message {
            ToMover::Members {
                pool,
                session,
                worker,
                streams,
                requests,
            } => {
                self.gather((pool, session), worker, &streams, requests);
            }
            ToMover::Listening {
                pool,
                session,
                worker,
                streams,
            } => self.listening((pool, session), worker, &streams),
            ToMover::Arrived {
                pool,
                session,
                connection,
                arrival,
            } => self.arrived((pool, session), connection, arrival),
            ToMover::Came { pool, session } => self.came((pool, session)),
            ToMover::Joined {
                pool,
                session,
                worker,
                connection,
            } => {
                let id = (pool, session);
                let Some(active) = self.active.get_mut(&id) else {
                    return;
                };
                active.worker_of.insert(connection, worker);
                match &mut active.phase {
                    Phase::Gathering { streams, .. } => {
                        streams.push((connection, active.journey.from.clone()));
                    }
                    Phase::Running(_) => self.feed(id, Event::Joined(connection)),
                }
            }
            ToMover::Quiet {
                pool,
                session,
                worker,
            } => self.feed((pool, session), Event::Quiet(worker)),
            ToMover::Stream {
                pool,
                session,
                connection,
                event,
            } => {
                self.hear_stream((pool, session), connection, event);
            }
            ToMover::TakeOver {
                pool,
                session,
                dead,
                to,
                answer,
            } => self.take_over((pool, session), dead, to, answer),
            ToMover::Wanted { pool, session } => self.want((pool, session)),
            ToMover::Pool {
                index,
                config,
                routed,
            } => self.take_pool(index, config, routed),
            ToMover::Meta(meta) => self.take_meta(meta),
            ToMover::Over(over) => self.delete_copies(&over),
            ToMover::Tell(event) => {
                self.note_failover(&event);
                self.tell(event);
            }
        }
    }

    fn note_failover(&mut self, event: &IngressEvent) {
        if let IngressEvent::FailedOver {
            pool,
            session,
            to: Some(to),
            ..
        } = event
            && let Some(pool) = self.pools.iter_mut().find(|p| p.config.name == *pool)
        {
            pool.went(*session, to, Instant::now());
        }
    }

    fn hear_stream(&mut self, id: Id, connection: ConnectionId, event: StreamEvent) {
        self.hear_told_stream(id, connection, &event);
        let event = match event {
            StreamEvent::Arrived | StreamEvent::Refused(_) => return,
            StreamEvent::Connected => Event::Connected(connection),
            StreamEvent::ConnectFailed(detail) => Event::ConnectFailed(connection, detail),
            StreamEvent::Paused { messages } => Event::Paused(connection, messages),
            StreamEvent::Opened => Event::Opened(connection),
            StreamEvent::OpenFailed(detail) => Event::OpenFailed(connection, detail),
            StreamEvent::Drained => Event::Drained(connection),
            StreamEvent::OldNodeLost => Event::OldNodeLost,
            StreamEvent::Unmovable(detail) => Event::Unmovable(detail),
            StreamEvent::Switched { pause_us, by_client } => {
                return self.switched(id, connection, Some((pause_us, by_client)));
            }
            StreamEvent::Left if self.ending.contains_key(&id) => return self.switched(id, connection, None),
            StreamEvent::Left => Event::Left(connection),
        };
        self.feed(id, event);
    }

    /// A request waits for the session.
    fn want(&mut self, id: Id) {
        if let Some(active) = self.active.get_mut(&id) {
            active.wanted = true;
            return;
        }
        if !self.is_telling(id) {
            self.begin(id, true, None);
        }
    }

    /// Begins what may begin. Returns when there is more to begin.
    fn start_queued(&mut self) -> Option<Instant> {
        while self.active.len() < ACTIVE_MAX {
            let Some(id) = self.queue.pop_front() else { break };
            if let Some(active) = self.active.get_mut(&id) {
                active.again = true;
            } else if !self.is_telling(id) && !self.tell_clients(id) {
                self.begin(id, false, None);
            }
        }
        self.start_told(ACTIVE_MAX.saturating_sub(self.active.len()))
    }

    /// Begins a hand-over, where the session lives elsewhere than the map says.
    fn begin(&mut self, id: Id, wanted: bool, telling: Option<Telling>) {
        let (pool, session) = id;
        let Some(journey) = self.pools[pool].journey(session) else {
            let settled = self.pools[pool].settle(session);
            settled.into_iter().for_each(|event| self.tell(event));
            return self.release(id, Ended::Switched);
        };
        self.generation += 1;
        self.takeovers.forget(id);
        for worker in &self.workers {
            let from = journey.from.clone();
            let _ = worker.send(ToWorker::Begin { pool, session, from });
        }
        let deadline = Instant::now() + self.pools[pool].config.migration_deadline.get();
        self.active.insert(
            id,
            Active {
                phase: Phase::Gathering {
                    missing: self.workers.len(),
                    streams: Vec::new(),
                    requests: Requests::default(),
                },
                journey,
                worker_of: HashMap::new(),
                generation: self.generation,
                deadline: Some(deadline),
                wanted,
                again: false,
                telling,
                epoch: None,
            },
        );
    }

    fn release(&self, (pool, session): Id, ended: Ended) {
        for worker in &self.workers {
            let _ = worker.send(ToWorker::Finish { pool, session, ended });
        }
    }

    /// Has the session's next request carry what its new node is to know, on whichever worker it comes first.
    fn leave_letter(&self, (pool, session): Id, carried: Carried) {
        let letter = Arc::new(Letter::new(carried, Instant::now() + LETTER_FOR));
        for worker in &self.workers {
            let letter = letter.clone();
            let _ = worker.send(ToWorker::Letter {
                pool,
                session,
                letter,
            });
        }
    }

    /// A worker told its part of the session.
    fn gather(&mut self, id: Id, worker: u16, found: &[(ConnectionId, NodeId)], in_flight: Requests) {
        let Some(active) = self.active.get_mut(&id) else {
            return;
        };
        active.worker_of.extend(found.iter().map(|(c, _)| (*c, worker)));
        let Phase::Gathering {
            missing,
            streams,
            requests,
        } = &mut active.phase
        else {
            return;
        };
        streams.extend_from_slice(found);
        requests.count += in_flight.count;
        requests.longest = requests.longest.max(in_flight.longest);
        *missing -= 1;
        if *missing > 0 {
            return;
        }
        let (found, requests) = (std::mem::take(streams), *requests);
        // The routes may have changed since it began.
        let Some(journey) = self.pools[id.0].journey(id.1) else {
            self.active.remove(&id);
            let settled = self.pools[id.0].settle(id.1);
            settled.into_iter().for_each(|event| self.tell(event));
            return self.release(id, Ended::Switched);
        };
        active.journey = journey;
        let left = found.iter().find(|(_, node)| *node != active.journey.to);
        match left {
            // A failover was faster. What the old node may still have must not replace what is there now.
            None if !found.is_empty() => return self.finish(id, None, Vec::new()),
            None => {}
            // It may also have taken them elsewhere than the routes know.
            Some((_, node)) => self.pools[id.0].found_at(&mut active.journey, node),
        }
        let streams: Vec<_> = found.into_iter().map(|(stream, _)| stream).collect();
        let idle = requests.count == 0 && streams.is_empty();
        let pool = &self.pools[id.0];
        let hook = pool.has_hook() && active.journey.from_is_alive;
        let lazy = (hook || pool.carries_kept_state()) && !pool.is_away(id.1);
        if idle && lazy && !active.wanted {
            // Nothing is open: the session's next request asks for it.
            self.active.remove(&id);
            let settled = self.pools[id.0].left_lazy(id.1);
            settled.into_iter().for_each(|event| self.tell(event));
            return self.release(id, Ended::Released);
        }
        let workers = self.workers.len() as u16;
        let (handover, actions) = Handover::start(Options {
            streams,
            workers,
            hook,
            carry: self.shared.reigns.are_kept(),
        });
        active.phase = Phase::Running(handover);
        self.perform(id, actions);
        if requests.longest > self.pools[id.0].config.migration_deadline.get() {
            // It would hold everything else up to the deadline, in vain.
            let detail = format!(
                "a request is being answered since {} s",
                requests.longest.as_secs()
            );
            self.feed(id, Event::Unmovable(detail));
        }
    }

    fn feed(&mut self, id: Id, event: Event) {
        let Some(active) = self.active.get_mut(&id) else {
            return;
        };
        let Phase::Running(handover) = &mut active.phase else {
            return;
        };
        let actions = handover.on(event);
        self.perform(id, actions);
    }

    /// Deadlines, retries, expiries.
    fn sweep(&mut self, now: Instant) {
        let late: Vec<Id> = self
            .active
            .iter_mut()
            .filter_map(|(id, a)| a.deadline.take_if(|d| *d <= now).map(|_| *id))
            .collect();
        for id in late {
            self.feed(id, Event::Deadline);
        }
        self.sweep_told(now);
        let over: Vec<Id> = self
            .ending
            .iter()
            .filter(|(_, e)| e.until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.report(id);
        }
        self.takeovers.sweep(now);
        for index in 0..self.pools.len() {
            let (retries, expired, changed) = self.pools[index].sweep(now);
            self.queue.extend(retries.into_iter().map(|s| (index, s)));
            expired.into_iter().for_each(|event| self.tell(event));
            if changed {
                self.apply(index, RouteChange::default());
            }
        }
    }
}

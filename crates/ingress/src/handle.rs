//! Starts the data plane, and talks to it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use foreshift_meta::Meta;
use foreshift_placement::{Keyed, Secret};
use foreshift_wire::{
    Config, ConnectionFilter, ConnectionInfo, Epoch, IngressEvent, IngressReport, NodeId, NodeReport,
    PoolName, PoolReport, SessionId,
};
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};

use crate::{
    access::AccessLog,
    error::Error,
    instruct::Tokens,
    listen::{Inherited, take_or_bind},
    loads::keep_heaviest,
    message::{ToMover, ToWorker},
    mover::{self, Over},
    reload::Running,
    spans::Spans,
    state::SessionState,
    tls::Certificates,
    worker::{self, LISTED},
};

/// A running data plane. Cheap to clone; it runs until the last clone is gone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) workers: Arc<[mpsc::UnboundedSender<ToWorker>]>,
    pub(crate) running: Arc<Mutex<Running>>,
}

/// What a start may be given beside the configuration.
#[derive(Debug, Default)]
pub struct Start {
    /// Sockets that are listened on already. Those that no listener is for are closed.
    pub inherited: Vec<Inherited>,
    /// Connections are numbered from above this on: above all that a process before this one may still use.
    pub first_id: u64,
    /// Where sessions' state is kept, which follows them then.
    pub state: Option<Arc<dyn SessionState>>,
}

/// Starts the data plane: listens, and routes as `meta` says. Must be called on a tokio runtime.
///
/// Events about moves and nodes come from the receiver; they are kept until they are taken.
pub async fn start(
    config: &Config,
    meta: Meta,
) -> Result<(Handle, mpsc::UnboundedReceiver<IngressEvent>), Error> {
    start_with(config, meta, Start::default()).await
}

/// As [`start`], with what may be given beside the configuration.
pub async fn start_with(
    config: &Config,
    meta: Meta,
    start: Start,
) -> Result<(Handle, mpsc::UnboundedReceiver<IngressEvent>), Error> {
    let Start {
        mut inherited,
        first_id,
        state,
    } = start;
    let secret = foreshift_meta::routes::secret(&meta, rand::random()).await?;
    let secret = Secret::from_bytes(secret);
    let keys = foreshift_meta::routes::signing_keys(&meta, rand::random(), crate::clock::unix_ms()).await?;
    let tokens = Arc::new(Tokens::new(&keys));
    let pools: Vec<_> = config.pool.iter().map(|p| Arc::new(p.clone())).collect();
    let keyed: Vec<_> = pools
        .iter()
        .map(|p| (p.clone(), Keyed::new(&secret, &p.name)))
        .collect();
    let count = config.ingress.workers.map_or_else(cores, usize::from).max(1);
    let certificates = Arc::new(Certificates::default());
    certificates.watch(certificates.prepare(config)?);
    let mut listeners = Vec::new();
    for index in 0..config.listener.len() {
        listeners.push(take_or_bind(config, index, count, &mut inherited)?);
    }
    for Inherited { name, .. } in inherited {
        tracing::warn!(name, "no listener is for a socket that was given; it is closed");
    }
    let access = match config.ingress.access_log {
        foreshift_wire::AccessLog::Off => None,
        format => Some(AccessLog::start(format == foreshift_wire::AccessLog::Json)?),
    };
    let spans = match &config.ingress.traces {
        Some(traces) => traces
            .endpoint
            .as_deref()
            .map(|e| Spans::start(traces, e))
            .transpose()?,
        None => None,
    };
    let shared = Arc::new(worker::Shared::new(certificates.clone(), state.clone()));
    let (to_mover, inbox) = mpsc::unbounded_channel();
    let mut workers = Vec::new();
    for index in 0..count {
        let (sender, mailbox) = mpsc::unbounded_channel();
        workers.push(sender);
        let options = worker::Options {
            index: index as u16,
            workers: count as u16,
            first_id,
            limits: config.ingress.limits.clone(),
            pools: keyed.clone(),
            access: access.clone(),
            spans: spans.clone(),
            shared: shared.clone(),
            mover: to_mover.clone(),
            tokens: tokens.clone(),
            mailbox,
        };
        spawn(format!("worker-{index}"), move || worker::run(options))?;
    }
    let (events, receiver) = mpsc::unbounded_channel();
    let (ready, readiness) = std::sync::mpsc::sync_channel(1);
    let options = mover::OptionsOfMover {
        meta,
        pools,
        zone: config.ingress.zone.as_deref().map(Into::into),
        workers: workers.clone(),
        inbox,
        events,
        certificates: certificates.clone(),
        tokens,
        shared: shared.clone(),
        ready,
    };
    spawn("mover".into(), move || mover::run(options))?;
    let readiness = tokio::task::spawn_blocking(move || readiness.recv());
    match readiness.await {
        Ok(Ok(routes)) => routes?,
        _ => return Err(Error::Thread(std::io::Error::other("the mover ended at once"))),
    }
    let running = Running::new(secret, &config.pool, access, to_mover, certificates, shared);
    let handle = Handle {
        workers: workers.into(),
        running: Arc::new(Mutex::new(running)),
    };
    handle.open(config, listeners)?;
    Ok((handle, receiver))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn spawn(name: String, run: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<(), Error> {
    let label = name.clone();
    std::thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = run() {
            tracing::error!(thread = label, %error, "a thread of the data plane ended");
        }
    })?;
    Ok(())
}

impl Handle {
    /// Where the listeners listen, by name: with port 0, the port that was given.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.lock().addresses()
    }

    pub(crate) async fn ask<T>(&self, message: impl Fn(oneshot::Sender<T>) -> ToWorker) -> Vec<T> {
        let asked: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (answer, receiver) = oneshot::channel();
                let _ = worker.send(message(answer));
                receiver
            })
            .collect();
        let mut answers = Vec::with_capacity(asked.len());
        for receiver in asked {
            answers.extend(receiver.await);
        }
        answers
    }

    /// What was measured since the last call, over all workers.
    pub async fn report(&self) -> IngressReport {
        let reports = self.ask(|answer| ToWorker::Report { answer }).await;
        IngressReport {
            pools: reports.into_iter().reduce(merge).unwrap_or_default(),
        }
    }

    /// Open connections that the filter lets through, oldest first.
    pub async fn connections(&self, filter: ConnectionFilter) -> Vec<ConnectionInfo> {
        let limit = filter.limit.unwrap_or(LISTED);
        let filter = Arc::new(filter);
        let lists = self
            .ask(|answer| ToWorker::Connections {
                filter: filter.clone(),
                answer,
            })
            .await;
        let mut all: Vec<_> = lists.into_iter().flatten().collect();
        all.sort_unstable_by_key(|c| c.id);
        all.truncate(limit);
        all
    }

    /// Ends the WebSockets, event streams and TCP connections that the filter lets through; how many.
    pub async fn close_streams(&self, filter: ConnectionFilter) -> u64 {
        let filter = Arc::new(filter);
        let closed = self.ask(|answer| ToWorker::CloseStreams {
            filter: filter.clone(),
            answer,
        });
        closed.await.into_iter().sum()
    }

    /// Lets go of a session that ended or was revoked: its WebSockets are closed with 1008, its event streams and TCP connections
    /// end, and its other connections are closed behind their next answer.
    pub fn end_session(&self, session: SessionId) {
        self.forget_reigns();
        self.tell_workers(|| ToWorker::EndSession(session));
    }

    /// Has nodes that may have copies of the state of a session that ended delete them: `DELETE {replay_path}/{session}` with
    /// `Foreshift-Session-Ended: 1`, a few times where that fails. Nobody waits for it.
    ///
    /// `pool`: whose nodes they are; `None`: of whichever pool has such nodes. `epoch`: later than all its reigns until now.
    pub fn delete_copies(
        &self,
        session: SessionId,
        pool: Option<PoolName>,
        epoch: Epoch,
        copies: Vec<NodeId>,
    ) {
        let over = Over {
            session,
            pool,
            epoch,
            copies,
        };
        self.tell_mover(ToMover::Over(Box::new(over)));
    }

    /// Whether every worker knows a ready node of the pool: what metadata says arrives a moment later.
    pub async fn serves(&self, pool: PoolName) -> bool {
        let answers = self
            .ask(|answer| ToWorker::Serves {
                pool: pool.clone(),
                answer,
            })
            .await;
        answers.len() == self.workers.len() && answers.into_iter().all(|serves| serves)
    }
}

/// Joins the reports of two workers.
fn merge(mut a: Vec<PoolReport>, b: Vec<PoolReport>) -> Vec<PoolReport> {
    for (a, b) in a.iter_mut().zip(b) {
        a.buckets.extend(b.buckets);
        merge_buckets(&mut a.buckets);
        let mut nodes: HashMap<_, _> = b.nodes.into_iter().map(|n| (n.node.clone(), n)).collect();
        for node in &mut a.nodes {
            if let Some(other) = nodes.remove(&node.node) {
                merge_node(node, other);
            }
        }
        a.nodes.extend(nodes.into_values());
        merge_keys(a, b.keys);
        a.refused += b.refused;
        a.over_retry_budget += b.over_retry_budget;
    }
    a
}

fn merge_node(a: &mut NodeReport, b: NodeReport) {
    a.requests += b.requests;
    a.errors += b.errors;
    a.bytes += b.bytes;
    a.busy_us += b.busy_us;
    a.in_flight += b.in_flight;
    a.connections += b.connections;
    a.resilience.add(&b.resilience);
    let mut counts: std::collections::BTreeMap<u32, u64> = a.response.0.drain(..).collect();
    for (bucket, count) in b.response.0 {
        *counts.entry(bucket).or_default() += count;
    }
    a.response.0.extend(counts);
    match (&mut a.in_band, b.in_band) {
        (Some(a), Some(b)) => a.add(b),
        (a, b) => *a = a.take().or(b),
    }
}

fn merge_buckets(buckets: &mut Vec<foreshift_wire::BucketReport>) {
    buckets.sort_unstable_by_key(|b| b.bucket);
    buckets.dedup_by(|b, a| {
        let same = a.bucket == b.bucket;
        if same {
            a.requests = a.requests.saturating_add(b.requests);
            a.bytes += b.bytes;
            a.busy_us += b.busy_us;
            a.open += b.open;
        }
        same
    });
}

fn merge_keys(a: &mut PoolReport, b: Vec<foreshift_wire::KeyReport>) {
    a.keys.extend(b);
    a.keys.sort_unstable_by_key(|k| k.session);
    a.keys.dedup_by(|b, a| {
        let same = a.session == b.session;
        if same {
            a.requests = a.requests.saturating_add(b.requests);
            a.bytes += b.bytes;
            a.busy_us += b.busy_us;
            a.open += b.open;
        }
        same
    });
    keep_heaviest(&mut a.keys);
}

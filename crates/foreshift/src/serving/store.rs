//! The state of sessions as this process has it: opened, served at its addresses, closed.
//!
//! On threads of its own, so that whoever reads state does not wait for the control loop. The sockets stay open while the store
//! is closed, as it is while another process takes over: who connects meanwhile waits and is not refused.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use foreshift_control::SessionStore;
use foreshift_ingress::{Handle, SessionState};
use foreshift_store::{
    Ended, Ending, Sessions, Tokens,
    view::{self, Tls},
};
use foreshift_tls::{Change, Watched};
use foreshift_wire::{Pool, Session};
use rustls::ServerConfig;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    task::JoinHandle,
};

use super::is_at;
use crate::{commands::Read, state::State};

/// How often the files of `session.tls` are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Time to store who serves what before another process takes over.
const SETTLE_WITHIN: Duration = Duration::from_secs(3);
/// Pause between two tries to open the store again.
const PAUSE: Duration = Duration::from_millis(100);
/// Threads at most; the work is short.
const THREADS_MAX: usize = 4;

/// The sockets of the store's addresses.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Of `session.address`.
    pub(super) address: Option<TcpListener>,
    /// Of `session.redis_view`.
    pub(super) redis_view: Option<TcpListener>,
}

/// The store at work.
pub(super) struct Store {
    config: Arc<Session>,
    pools: Vec<Pool>,
    state: State,
    tokens: Tokens,
    sockets: Sockets,
    tls: Option<Arc<Watched<ServerConfig>>>,
    serving: Option<Listening>,
    threads: Threads,
}

/// Its listeners.
struct Listening {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// A runtime that is let go of without waiting for it, which an asynchronous caller must not do.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    fn start() -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(THREADS_MAX));
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(threads)
            .thread_name("sessions")
            .enable_all();
        builder.build().map(|runtime| Self(Some(runtime)))
    }

    fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let runtime = self.0.as_ref().expect("it is only taken when it is dropped");
        runtime.spawn(task)
    }
}

impl Store {
    /// Opens what `[session]` names; `None` where there is no such table. `taken`: sockets of a former process.
    pub(super) async fn open(read: &Read, taken: Sockets) -> Result<Option<Self>> {
        let Some(config) = &read.config.session else {
            return Ok(None);
        };
        let config = Arc::new(config.clone());
        let threads = Threads::start().context("start the threads of sessions' state")?;
        let tls = match &config.tls {
            None => None,
            Some(tls) => {
                let opened = foreshift_tls::session(tls, SystemTime::now());
                let opened =
                    opened.map_err(|error| read.blame(Some(format!("session.{}", error.key)), error))?;
                Some(Arc::new(opened.watched))
            }
        };
        let sockets = Sockets {
            address: bind(read, "session.address", config.address, taken.address)?,
            redis_view: bind(read, "session.redis_view", config.redis_view, taken.redis_view)?,
        };
        let tokens = Tokens::open(&config).context("session.token")?;
        let pools = read.config.pool.clone();
        let sessions = open(&threads, &config, &pools).await.context("session")?;
        Ok(Some(Self {
            config,
            pools,
            state: State::new(sessions),
            tokens,
            sockets,
            tls,
            serving: None,
            threads,
        }))
    }

    /// For the API.
    pub(super) fn for_api(&self) -> SessionStore {
        SessionStore {
            sessions: self.state.sessions(),
            tokens: self.tokens.clone(),
            config: self.config.clone(),
        }
    }

    /// For the ingress.
    pub(super) fn for_ingress(&self) -> Arc<dyn SessionState> {
        Arc::new(self.state.clone())
    }

    /// Begins to serve at the store's addresses.
    pub(super) fn serve(&mut self, ingress: &Handle) -> io::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        if let Some(socket) = &self.sockets.address {
            let (store, tls, stopped) = (self.for_api(), self.tls.clone(), stopped.clone());
            tasks.push(self.listen(socket, "session.address", |listener| {
                foreshift_control::serve_sessions(listener, store, tls, stopped)
            })?);
        }
        if let Some(socket) = &self.sockets.redis_view {
            let (sessions, tokens) = (self.state.sessions(), self.tokens.clone());
            let tls = self.tls.clone();
            let tls = tls.map(|tls| -> Tls { Arc::new(move || tls.current()) });
            let stopped = stopped.clone();
            tasks.push(self.listen(socket, "session.redis_view", move |listener| {
                view::serve(listener, sessions, tokens, tls, stopped)
            })?);
        }
        if let Some(tls) = &self.tls {
            tasks.push(self.threads.spawn(look(tls.clone(), stopped.clone())));
        }
        let sessions = self.state.sessions();
        let endings = sessions.endings();
        tasks.push(
            self.threads
                .spawn(let_go(endings, ingress.clone(), stopped.clone())),
        );
        tasks.push(self.threads.spawn(sweep(sessions, stopped)));
        self.serving = Some(Listening { stop, tasks });
        Ok(())
    }

    /// Serves at a socket until it is stopped.
    fn listen<F: Future<Output = ()> + Send>(
        &self,
        socket: &TcpListener,
        key: &'static str,
        serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let socket = socket.try_clone()?;
        tracing::info!(key, address = %socket.local_addr()?, "sessions' state is served");
        // The socket must be known to the runtime that serves it.
        Ok(self.threads.spawn(async move {
            match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => serve(listener).await,
                Err(error) => tracing::error!(key, %error, "sessions' state cannot be served"),
            }
        }))
    }

    /// Its sockets once more, for another process.
    pub(super) fn sockets(&self) -> io::Result<Sockets> {
        let again = |socket: &Option<TcpListener>| socket.as_ref().map(TcpListener::try_clone).transpose();
        Ok(Sockets {
            address: again(&self.sockets.address)?,
            redis_view: again(&self.sockets.redis_view)?,
        })
    }

    /// Stores who serves what, as far as only this process knows it, for the one that takes over.
    pub(super) async fn settle(&self) {
        let sessions = self.state.sessions();
        let settled = sessions.settle(SETTLE_WITHIN).await;
        tracing::debug!(settled, "sessions that are served are in the store");
    }

    /// Answers what was asked, and closes the store: from now on another process may have it. The sockets stay open.
    pub(super) async fn close(&mut self) {
        if let Some(Listening { stop, tasks }) = self.serving.take() {
            stop.send_replace(true);
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a task of sessions' state had ended badly");
                }
            }
        }
        self.state.sessions().close().await;
    }

    /// Opens the store again after [`Store::close`], as often as it takes: the process that has it may be on its way out.
    pub(super) async fn open_again(&mut self) {
        let mut tries = 0_u32;
        loop {
            match open(&self.threads, &self.config, &self.pools).await {
                Ok(sessions) => return self.state.use_sessions(sessions),
                Err(error) if tries.is_multiple_of(50) => {
                    tracing::error!(%error, "sessions' state cannot be opened again; trying on");
                }
                Err(_) => {}
            }
            tries = tries.wrapping_add(1);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// On the store's own threads, so that what it starts runs there.
async fn open(threads: &Threads, config: &Arc<Session>, pools: &[Pool]) -> Result<Sessions> {
    let (config, pools) = (config.clone(), pools.to_vec());
    let opened = threads.spawn(async move { Sessions::open(&config, &pools).await });
    Ok(opened.await.context("open sessions' state")??)
}

/// The socket of an address: that of a former process where it is there, else a new one.
fn bind(
    read: &Read,
    key: &str,
    address: Option<SocketAddr>,
    taken: Option<TcpListener>,
) -> Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let socket = match taken.filter(|socket| is_at(socket, address)) {
        Some(socket) => Ok(socket),
        None => TcpListener::bind(address),
    };
    let ready = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    ready
        .map(Some)
        .map_err(|error| read.blame(Some(key.into()), error))
}

/// Looks whether the certificate was changed, until `stop`.
async fn look(tls: Arc<Watched<ServerConfig>>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let tls = tls.clone();
        match tokio::task::spawn_blocking(move || tls.look(SystemTime::now())).await {
            Ok(Change::Renewed(_)) => tracing::info!("session.tls was read again and serves new connections"),
            Ok(Change::Failed(error)) => {
                tracing::error!(%error, "session.tls: a changed file cannot be used; the certificate of before stays");
            }
            Ok(Change::None) | Err(_) => {}
        }
    }
}

/// Closes the streams of sessions that ended, and has nodes delete their copies, until `stop`. Not of those that were only idle: a stream that says nothing to the store is
/// still a client's.
async fn let_go(mut endings: broadcast::Receiver<Ended>, ingress: Handle, mut stop: watch::Receiver<bool>) {
    loop {
        let ended = tokio::select! {
            ended = endings.recv() => ended,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match ended {
            Ok(Ended {
                why: Ending::Idle, ..
            }) => {}
            Ok(Ended {
                session,
                pool,
                epoch,
                copies,
                ..
            }) => {
                ingress.end_session(session);
                ingress.delete_copies(session, pool, epoch, copies);
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(
                    missed,
                    "sessions ended faster than their streams could be closed and copies deleted; some stay"
                );
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Removes what ended, now and then, until `stop`.
async fn sweep(sessions: Sessions, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = sessions.sweeping() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

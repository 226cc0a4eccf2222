//! A view over sessions in memory, at a port of its own.

#![allow(dead_code, reason = "each test uses a part")]

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use foreshift_store::{
    Served, Sessions, Tokens,
    engine::Memory,
    view::{self, Limits, Tls},
};
use foreshift_wire::{Epoch, NodeId, PoolName, Session, SessionId};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The session that tests use.
pub(crate) const SESSION: SessionId = SessionId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

pub(crate) struct View {
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Sessions,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Everybody may do everything.
pub(crate) fn open() -> Tokens {
    Tokens::open(&Session::default()).unwrap()
}

impl View {
    /// A view that everybody may use, with one session.
    pub(crate) async fn start() -> Self {
        let view = Self::of(open(), Limits::of(&Default::default())).await;
        view.serve("a");
        view
    }

    pub(crate) async fn of(tokens: Tokens, limits: Limits) -> Self {
        Self::over(tokens, limits, None).await
    }

    pub(crate) async fn over(tokens: Tokens, limits: Limits, tls: Option<Tls>) -> Self {
        Self::configured(Session::default(), tokens, limits, tls).await
    }

    pub(crate) async fn configured(
        config: Session,
        tokens: Tokens,
        limits: Limits,
        tls: Option<Tls>,
    ) -> Self {
        let sessions = Sessions::over(Arc::new(Memory::default()), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = view::serve_within(limits, listener, sessions.clone(), tokens, tls, stopped);
        Self {
            address,
            sessions,
            stop,
            task: tokio::spawn(serving),
        }
    }

    /// The ingress serves the session by this node from now on.
    pub(crate) fn serve(&self, node: &str) -> Epoch {
        let (pool, node) = (PoolName::new("app").unwrap(), NodeId::new(node).unwrap());
        match self.sessions.serving(&pool, SESSION, &node) {
            Served::Since(epoch) => epoch,
            Served::Revoked => panic!("revoked"),
        }
    }

    pub(crate) async fn client(&self) -> redis::aio::MultiplexedConnection {
        self.client_with("").await
    }

    /// A client with parameters, such as `?protocol=resp3`.
    pub(crate) async fn client_with(&self, parameters: &str) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(format!("redis://{}/{parameters}", self.address)).unwrap();
        // A busy machine is no failure: what never comes ends with the test's own time.
        let patient = redis::AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .unwrap()
    }

    /// Stops the view; it has ended then.
    pub(crate) async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

/// The key of a partition of the session.
pub(crate) fn key(partition: &str) -> String {
    format!("{{{SESSION}}}:{partition}")
}

/// A program that must be there: a test that cannot run must not pass.
#[track_caller]
pub(crate) fn need(program: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed: run `cargo xtask test`, which installs it"))
}

/// The folder under `target` that `cargo xtask test` fills with packages of PyPI.
#[track_caller]
pub(crate) fn python_packages() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = tests
        .parent()
        .expect("cargo makes it inside target")
        .join("python");
    let is_there = folder.join("redis").is_dir();
    assert!(
        is_there,
        "redis-py is not in {}: run `cargo xtask test`, which installs it",
        folder.display()
    );
    folder
}

//! What is said to and taken from a service manager such as systemd: `sd_notify`, socket activation, the watchdog.
//!
//! Where there is no service manager, nothing is said. What cannot be said is logged and forgotten: no client depends on it.

use std::{net::TcpListener, time::Duration};

use foreshift_ingress::{Handle, Inherited};
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The name of the API's socket among those that are given.
const API: &str = "api";

/// Sockets that the service manager listens on.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(super) listeners: Vec<Inherited>,
    pub(super) api: Option<TcpListener>,
}

impl Given {
    /// Takes the sockets of `LISTEN_FDS`, by their names in `LISTEN_FDNAMES`. Once, before there are threads.
    pub(crate) fn take() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut fds = ListenFd::from_env();
        let mut given = Self::default();
        for index in 0..fds.len() {
            let name = names.next().unwrap_or_default().to_owned();
            match fds.take_tcp_listener(index) {
                Ok(Some(socket)) if name == API => given.api = Some(socket),
                Ok(Some(socket)) => given.listeners.push(Inherited {
                    name,
                    configured: None,
                    socket,
                }),
                Ok(None) => {}
                Err(error) => tracing::warn!(name, %error, "a socket of the service manager is of no use"),
            }
        }
        given
    }
}

/// The service manager.
#[derive(Debug)]
pub(super) struct Service {
    /// How often to say that this process lives: three times as often as is asked for.
    watch: Option<Duration>,
}

impl Service {
    /// As the environment says.
    pub(super) fn new() -> Self {
        Self {
            watch: sd_notify::watchdog_enabled().map(|every| every / 3),
        }
    }

    /// This process serves, and is the one to watch: it may have taken the place of another one. From now on the service
    /// manager hears that it lives, for as long as its workers answer.
    pub(super) fn ready(&self, ingress: &Handle) {
        say(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
        if let Some(pause) = self.watch {
            tokio::spawn(watch(pause, ingress.clone()));
        }
    }

    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => say(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the service manager is not told of the reload"),
        }
    }

    pub(super) fn reloaded(&self) {
        say(&[NotifyState::Ready]);
    }

    pub(super) fn stopping(&self) {
        say(&[NotifyState::Stopping]);
    }
}

/// The process with this number is the one to watch from now on. Only the one that is watched may say so.
pub(super) fn follow(pid: u32) {
    say(&[NotifyState::MainPid(pid)]);
}

async fn watch(pause: Duration, ingress: Handle) {
    loop {
        match tokio::time::timeout(pause, ingress.answers()).await {
            Ok(true) => say(&[NotifyState::Watchdog]),
            _ => {
                tracing::error!("a worker does not answer; the service manager is not told that all is well");
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

//! The certificates in use, and the task that looks whether their files changed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use foreshift_tls::{Change, Watched};
use foreshift_wire::{Config, Listener, ListenerCertificate};
use rustls::ServerConfig;

use crate::error::Error;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// TLS of one listener; its workers share it.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    name: String,
    configured: Vec<ListenerCertificate>,
    watched: Watched<ServerConfig>,
    failures: AtomicU64,
}

impl ListenerTls {
    fn open(listener: &Listener) -> Result<Self, foreshift_tls::Error> {
        let opened = foreshift_tls::listener(&listener.tls, SystemTime::now())?;
        for warning in opened.warnings {
            tracing::warn!(listener = listener.name, "{}", warning.message);
        }
        Ok(Self {
            name: listener.name.clone(),
            configured: listener.tls.clone(),
            watched: opened.watched,
            failures: AtomicU64::new(0),
        })
    }

    /// The settings for a new connection.
    pub(crate) fn settings(&self) -> Arc<ServerConfig> {
        self.watched.current()
    }

    /// A handshake failed.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, change: Change) {
        let listener = &self.name;
        match change {
            Change::None => {}
            Change::Renewed(warnings) => {
                tracing::info!(listener, "certificates were read again and serve new connections");
                for warning in warnings {
                    tracing::warn!(listener, "{}", warning.message);
                }
            }
            Change::Failed(error) => {
                tracing::error!(listener, %error, "a changed file cannot be used; the certificates of before stay");
            }
        }
    }
}

/// What a configuration needs, by the listeners' names.
pub(crate) type Settings = BTreeMap<String, Arc<ListenerTls>>;

/// All certificates of the data plane.
#[derive(Debug, Default)]
pub(crate) struct Certificates(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    settings: Settings,
    watched: bool,
}

impl Certificates {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a listener.
    pub(crate) fn listener(&self, name: &str) -> Option<Arc<ListenerTls>> {
        self.lock().settings.get(name).cloned()
    }

    /// Reads what a configuration needs. What is in use already under the same names of files is read again.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Settings, Error> {
        let mut settings = Settings::new();
        for (index, listener) in config.listener.iter().enumerate() {
            if listener.tls.is_empty() {
                continue;
            }
            let tls = self.open(listener).map_err(|source| Error::Tls {
                table: format!("listener[{index}]"),
                name: format!("listener {}", listener.name),
                source: Box::new(source),
            })?;
            settings.insert(listener.name.clone(), tls);
        }
        Ok(settings)
    }

    fn open(&self, listener: &Listener) -> Result<Arc<ListenerTls>, foreshift_tls::Error> {
        match self.listener(&listener.name) {
            Some(known) if known.configured == listener.tls => {
                match known.watched.reload(SystemTime::now()) {
                    Change::Failed(error) => return Err(error),
                    change => known.tell(change),
                }
                Ok(known)
            }
            _ => ListenerTls::open(listener).map(Arc::new),
        }
    }

    /// From now on these are in use; their files are looked at until nobody uses the certificates any more.
    pub(crate) fn watch(self: &Arc<Self>, settings: Settings) {
        let mut state = self.lock();
        let first = !state.watched && !settings.is_empty();
        state.watched |= first;
        state.settings = settings;
        if first {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Looks at all files once.
    fn look(&self) {
        let all: Vec<_> = self.lock().settings.values().cloned().collect();
        for tls in all {
            tls.tell(tls.watched.look(SystemTime::now()));
        }
    }
}

async fn watch(certificates: Weak<Certificates>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(certificates) = certificates.upgrade() else {
            return;
        };
        // A file can be on a disk that is slow or gone.
        let _ = tokio::task::spawn_blocking(move || certificates.look()).await;
    }
}

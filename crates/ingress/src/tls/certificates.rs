//! The certificates in use, and the task that looks whether their files changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use foreshift_tls::{Change, NodeTls, Opened, Watched};
use foreshift_wire::{Config, ListenerCertificate, PoolName, Protocol};
use rustls::ServerConfig;

use crate::error::Error;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Files of one listener or pool as configured, and what is made of them. The workers share it.
#[derive(Debug)]
pub(crate) struct InUse<C, T> {
    /// Whose it is, for people.
    who: String,
    configured: C,
    watched: Watched<T>,
}

/// TLS of one listener.
pub(crate) type ListenerTls = InUse<(Vec<ListenerCertificate>, Protocol), ServerConfig>;
/// TLS towards the nodes of one pool.
pub(crate) type PoolTls = InUse<foreshift_wire::PoolTls, NodeTls>;

impl<C: Clone + PartialEq, T> InUse<C, T> {
    /// What is known already, read again, where it is of the same files; else it is opened.
    fn open(
        who: String,
        configured: &C,
        known: Option<&Arc<Self>>,
        open: impl FnOnce(&C, SystemTime) -> Result<Opened<T>, foreshift_tls::Error>,
    ) -> Result<Arc<Self>, foreshift_tls::Error> {
        let now = SystemTime::now();
        if let Some(known) = known.filter(|known| known.configured == *configured) {
            return match known.watched.reload(now) {
                Change::Failed(error) => Err(error),
                change => {
                    known.tell(change);
                    Ok(known.clone())
                }
            };
        }
        let Opened { watched, warnings } = open(configured, now)?;
        for warning in warnings {
            tracing::warn!(who, "{}", warning.message);
        }
        Ok(Arc::new(Self {
            who,
            configured: configured.clone(),
            watched,
        }))
    }
}

impl<C, T> InUse<C, T> {
    /// The settings for a new connection.
    pub(crate) fn settings(&self) -> Arc<T> {
        self.watched.current()
    }

    fn look(&self) {
        self.tell(self.watched.look(SystemTime::now()));
    }

    fn tell(&self, change: Change) {
        let who = &self.who;
        match change {
            Change::None => {}
            Change::Renewed(warnings) => {
                tracing::info!(who, "certificates were read again and serve new connections");
                for warning in warnings {
                    tracing::warn!(who, "{}", warning.message);
                }
            }
            Change::Failed(error) => {
                tracing::error!(who, %error, "a changed file cannot be used; the certificates of before stay");
            }
        }
    }
}

/// What a configuration needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    listeners: BTreeMap<String, Arc<ListenerTls>>,
    pools: BTreeMap<PoolName, Arc<PoolTls>>,
}

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
        self.lock().settings.listeners.get(name).cloned()
    }

    /// Those for a pool's nodes.
    pub(crate) fn pool(&self, name: &PoolName) -> Option<Arc<PoolTls>> {
        self.lock().settings.pools.get(name).cloned()
    }

    /// Reads what a configuration needs. What is in use already under the same names of files is read again.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Settings, Error> {
        let known = self.lock().settings.clone();
        let mut settings = Settings::default();
        let failed = |table: String, name: &str| {
            let name = name.to_owned();
            move |source| Error::Tls {
                table,
                name,
                source: Box::new(source),
            }
        };
        for (n, listener) in config.listener.iter().enumerate() {
            if listener.tls.is_empty() {
                continue;
            }
            let who = format!("listener {}", listener.name);
            let known = known.listeners.get(&listener.name);
            let open =
                |configured: &(Vec<_>, _), now| foreshift_tls::listener(&configured.0, configured.1, now);
            let configured = (listener.tls.clone(), listener.protocol);
            let tls = InUse::open(who.clone(), &configured, known, open);
            let tls = tls.map_err(failed(format!("listener[{n}]"), &who))?;
            settings.listeners.insert(listener.name.clone(), tls);
        }
        for (n, pool) in config.pool.iter().enumerate() {
            let Some(configured) = &pool.tls else { continue };
            let who = format!("pool {}", pool.name);
            let known = known.pools.get(&pool.name);
            let tls = InUse::open(who.clone(), configured, known, foreshift_tls::pool);
            let tls = tls.map_err(failed(format!("pool[{n}]"), &who))?;
            settings.pools.insert(pool.name.clone(), tls);
        }
        Ok(settings)
    }

    /// From now on these are in use; their files are looked at until nobody uses the certificates any more.
    pub(crate) fn watch(self: &Arc<Self>, settings: Settings) {
        let mut state = self.lock();
        let empty = settings.listeners.is_empty() && settings.pools.is_empty();
        let first = !state.watched && !empty;
        state.watched |= first;
        state.settings = settings;
        if first {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Looks at all files once.
    fn look(&self) {
        let Settings { listeners, pools } = self.lock().settings.clone();
        listeners.values().for_each(|tls| tls.look());
        pools.values().for_each(|tls| tls.look());
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

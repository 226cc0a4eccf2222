//! Takes a new configuration over while everything runs.
//!
//! What can fail is done first (sockets are bound, files opened), so that a configuration that cannot be had changes
//! nothing. Then each worker and the mover get it through their mailbox: a request goes on with the settings that it
//! began with, the next one finds the new ones. Listeners that are gone take in nobody; whoever came in by them stays.
//! A pool that left the configuration keeps its place, for the connections that it still has.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, MutexGuard, PoisonError},
};

use foreshift_meta::Meta;
use foreshift_placement::{Keyed, Secret};
use foreshift_wire::{Config, Limits, PoolName};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

use crate::{
    access::AccessLog,
    error::Error,
    handle::Handle,
    listen::{Open, Sockets, bind_all, listener},
    message::{ToMover, ToWorker},
    tls::{Certificates, Settings},
    worker::{self, Shared},
};

/// Numbers left to a process for the connections that it still takes while another one begins.
const IDS: u64 = 1_000_000;

fn again(sockets: &[TcpListener]) -> std::io::Result<Vec<TcpListener>> {
    sockets.iter().map(TcpListener::try_clone).collect()
}

/// What runs, as it was told last.
pub(crate) struct Running {
    secret: Secret,
    /// A pool's place is its index for good.
    pools: Vec<PoolName>,
    /// By name.
    listeners: BTreeMap<String, Listening>,
    shared: Arc<Shared>,
    access: Option<AccessLog>,
    mover: mpsc::UnboundedSender<ToMover>,
    certificates: Arc<Certificates>,
}

/// An open listener.
struct Listening {
    configured: SocketAddr,
    /// Where it really listens.
    address: SocketAddr,
    /// Its sockets once more, to be given to another process.
    sockets: Vec<TcpListener>,
}

impl Running {
    pub(crate) fn new(
        secret: Secret,
        pools: &[foreshift_wire::Pool],
        access: Option<AccessLog>,
        mover: mpsc::UnboundedSender<ToMover>,
        certificates: Arc<Certificates>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            secret,
            pools: pools.iter().map(|pool| pool.name.clone()).collect(),
            listeners: BTreeMap::new(),
            access,
            mover,
            certificates,
            shared,
        }
    }

    pub(crate) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let listeners = self.listeners.iter();
        listeners
            .map(|(name, listening)| (name.clone(), listening.address))
            .collect()
    }

    /// A listener of the configuration as workers are told of it.
    fn listener(&self, config: &Config, index: usize) -> Result<worker::Listener, Error> {
        listener(config, index, |pool| self.index_of(pool), &self.certificates)
    }

    fn index_of(&self, pool: &PoolName) -> Option<usize> {
        self.pools.iter().position(|name| name == pool)
    }
}

/// A configuration that can be had: nothing of it applies yet. Dropped, it changes nothing.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    sockets: Vec<Sockets>,
    access: Option<AccessLog>,
    tls: Settings,
}

impl Handle {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All listening sockets once more, and a number above which no connection of this process is, or will be soon.
    pub async fn open_sockets(&self) -> std::io::Result<(Vec<Open>, u64)> {
        let last = self.ask(|answer| ToWorker::LastId { answer }).await;
        let last = last.into_iter().max().unwrap_or(0);
        let mut all = Vec::new();
        for (name, listening) in &self.lock().listeners {
            all.push(Open {
                name: name.clone(),
                configured: listening.configured,
                sockets: again(&listening.sockets)?,
            });
        }
        Ok((all, (last / IDS + 2) * IDS))
    }

    /// Goes on with metadata that was closed and opened again.
    pub fn use_meta(&self, meta: Meta) {
        self.tell_mover(ToMover::Meta(meta));
    }

    /// The sockets are the workers' alone from now on, who close them when they end.
    pub(crate) fn close_listeners(&self) {
        for listening in self.lock().listeners.values_mut() {
            listening.sockets.clear();
        }
    }

    /// Clients that are connected.
    pub(crate) fn clients(&self) -> usize {
        self.lock().shared.clients()
    }

    pub(crate) fn tell_mover(&self, message: ToMover) {
        // Where it is gone, nothing is moved any more.
        let _ = self.lock().mover.send(message);
    }

    /// What was said of sessions' reigns is asked for anew.
    pub(crate) fn forget_reigns(&self) {
        self.lock().shared.reigns.changed();
    }

    pub(crate) fn tell_workers(&self, message: impl Fn() -> ToWorker) {
        for worker in self.workers.iter() {
            let _ = worker.send(message());
        }
    }

    /// Opens listeners whose sockets are bound.
    pub(crate) fn open(&self, config: &Config, sockets: Vec<Sockets>) -> Result<(), Error> {
        let mut running = self.lock();
        for Sockets {
            name,
            address,
            sockets,
        } in sockets
        {
            let Some(index) = config.listener.iter().position(|l| l.name == name) else {
                continue;
            };
            let listener = running.listener(config, index)?;
            let listening = Listening {
                configured: config.listener[index].address,
                address,
                sockets: again(&sockets)?,
            };
            running.listeners.insert(name, listening);
            let mut shares: Vec<Vec<TcpListener>> = self.workers.iter().map(|_| Vec::new()).collect();
            for (n, socket) in sockets.into_iter().enumerate() {
                shares[n % self.workers.len()].push(socket);
            }
            for (worker, sockets) in self.workers.iter().zip(shares) {
                let _ = worker.send(ToWorker::Listen {
                    sockets,
                    listener: listener.clone(),
                });
            }
        }
        Ok(())
    }

    /// Does all of a reload that can fail: binds the sockets of listeners that are new or have another address, and reads
    /// all certificates. Those of which only the files changed are in use from then on.
    ///
    /// The number of workers is that of the start. An error names the key and leaves everything as it is.
    pub fn prepare(&self, config: &Config) -> Result<Prepared, Error> {
        let running = self.lock();
        let tls = running.certificates.prepare(config)?;
        let mut sockets = Vec::new();
        for (index, listener) in config.listener.iter().enumerate() {
            let known = running.listeners.get(&listener.name);
            if known.is_none_or(|known| known.configured != listener.address) {
                sockets.push(bind_all(config, index, self.workers.len())?);
            }
        }
        let access = match (config.ingress.access_log, &running.access) {
            (foreshift_wire::AccessLog::Off, _) => None,
            (format, Some(running)) if running.json == (format == foreshift_wire::AccessLog::Json) => {
                Some(running.clone())
            }
            (format, _) => Some(AccessLog::start(format == foreshift_wire::AccessLog::Json)?),
        };
        Ok(Prepared {
            config: config.clone(),
            sockets,
            access,
            tls,
        })
    }

    /// Takes a prepared configuration over; whoever connects after that finds it. Returns where listeners that are
    /// new now listen.
    pub async fn apply(&self, prepared: Prepared) -> Result<Vec<(String, SocketAddr)>, Error> {
        let Prepared {
            config,
            sockets,
            access,
            tls,
        } = prepared;
        self.lock().certificates.watch(tls);
        let limits: Arc<Limits> = Arc::new(config.ingress.limits.clone());
        self.tell_workers(|| ToWorker::Limits(limits.clone()));
        self.tell_workers(|| ToWorker::Access(access.clone()));
        self.lock().access = access;
        for pool in &config.pool {
            // An error means that the mover could not read its routes, and has said so.
            let _ = self.take_pool(pool).await;
        }
        let opened = sockets.iter().map(|s| (s.name.clone(), s.address)).collect();
        self.take_listeners(&config, &sockets)?;
        self.open(&config, sockets)?;
        // Each worker answers in turn, so it has heard of what came before.
        self.ask(|answer| ToWorker::Open { answer }).await;
        Ok(opened)
    }

    /// Answered once the workers know the pool and, where it is a new one, its routes.
    fn take_pool(&self, pool: &foreshift_wire::Pool) -> oneshot::Receiver<()> {
        let mut running = self.lock();
        let (index, keyed) = match running.index_of(&pool.name) {
            Some(index) => (index, None),
            None => {
                running.pools.push(pool.name.clone());
                let keyed = Keyed::new(&running.secret, &pool.name);
                (running.pools.len() - 1, Some(keyed))
            }
        };
        let config = Arc::new(pool.clone());
        self.tell_workers(|| ToWorker::Pool {
            index,
            config: config.clone(),
            keyed: keyed.clone(),
        });
        let (routed, answer) = oneshot::channel();
        let _ = running.mover.send(ToMover::Pool {
            index,
            config,
            routed,
        });
        answer
    }

    /// Closes listeners that are gone, and tells those that stay what changed about them.
    fn take_listeners(&self, config: &Config, new: &[Sockets]) -> Result<(), Error> {
        let mut running = self.lock();
        let stays = |name: &String| config.listener.iter().any(|l| l.name == *name);
        let gone: Vec<String> = running.listeners.keys().filter(|n| !stays(n)).cloned().collect();
        for name in gone {
            running.listeners.remove(&name);
            self.tell_workers(|| ToWorker::Unlisten(name.clone()));
        }
        for (index, stays) in config.listener.iter().enumerate() {
            if new.iter().any(|s| s.name == stays.name) {
                continue;
            }
            let listener = running.listener(config, index)?;
            self.tell_workers(|| ToWorker::Listen {
                sockets: Vec::new(),
                listener: listener.clone(),
            });
        }
        Ok(())
    }
}

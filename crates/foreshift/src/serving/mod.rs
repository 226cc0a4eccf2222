//! A running `foreshift run`: the ingress and control of one process, and what operators do to them.
//!
//! One task takes turns: a signal, a reload asked for over the API, a process that wants to take over. So no two of these
//! cross. The workers of the ingress go on by themselves meanwhile.

mod fds;
mod handover;
mod reload;
mod replace;
mod service;
mod signals;
mod store;

use std::{net::TcpListener, path::PathBuf};

use anyhow::{Context, Result, bail};
use foreshift_control::{Ended, ReloadRequest};
use foreshift_ingress::{Handle, Start};
use foreshift_meta::Meta;
use foreshift_wire::{Config, IngressEvent};
use tokio::sync::mpsc;

pub(crate) use self::service::Given;
use self::{
    handover::{Asked, Door, Taken},
    service::Service,
    signals::{Signals, Told},
    store::{Sockets, Store},
};
use crate::{args::Run, commands::Read, plane::Plane};

/// Reloads that wait for their turn; more wait before they are sent.
const RELOADS: usize = 16;

/// All that runs.
struct Serving {
    /// Read again with each reload.
    file: PathBuf,
    /// What runs, as it was configured.
    config: Config,
    /// `None` only while another process has it, or where that left it in a state that cannot be read.
    running: Option<Control>,
    /// The state of sessions, where it is kept.
    store: Option<Store>,
    ingress: Handle,
    service: Service,
    reloads: mpsc::Receiver<ReloadRequest>,
    asks: mpsc::Sender<ReloadRequest>,
    /// The API's socket once more: whoever connects while control is away waits.
    api: TcpListener,
    /// Where a new process asks; `None` where that cannot be listened on.
    door: Option<Door>,
}

/// Control, and the metadata that it decides by.
struct Control {
    handle: foreshift_control::Handle,
    meta: Meta,
}

/// Serves until SIGINT or SIGTERM, then drains; or until another process has taken over. `given`: sockets of the service
/// manager.
pub(crate) async fn serve(args: &Run, read: Read, given: Given) -> Result<()> {
    let mut signals = Signals::new()?;
    let taken = match args.take_over {
        true => take(&read).await?,
        false => None,
    };
    let mut serving = Serving::start(args.config.clone(), &read, given, taken).await?;
    serving.service.ready(&serving.ingress);
    let signal = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::End(signal) => break signal,
                Told::Reload => drop(serving.reload().await),
                Told::Replace => replace::start_another(),
            },
            Some(request) = serving.reloads.recv() => {
                // Whoever asked may have gone.
                let _ = request.answer.send(serving.reload().await);
            }
            Some(asked) = asked(serving.door.as_mut()) => {
                if serving.hand_over(asked).await {
                    serving.leave(&mut signals).await;
                    return Ok(());
                }
            }
        }
    };
    serving.end(signal, &mut signals).await;
    Ok(())
}

/// Asks the process that runs with this configuration for its place. What can be found wrong before is.
async fn take(read: &Read) -> Result<Option<Taken>> {
    foreshift_control::check_models(&read.config).map_err(|error| read.blame(error.key(), error))?;
    let place = handover::place(&read.config);
    let asked = place.clone();
    let taken = tokio::task::spawn_blocking(move || handover::take(&asked)).await?;
    let taken = taken.with_context(|| format!("take over by {}", place.display()))?;
    match &taken {
        Some(taken) => tracing::info!(from = taken.from, "taking over"),
        None => tracing::info!(place = %place.display(), "nobody runs; starting as usual"),
    }
    Ok(taken)
}

async fn asked(door: Option<&mut Door>) -> Option<Asked> {
    match door {
        Some(door) => door.asked().await,
        None => std::future::pending().await,
    }
}

impl Serving {
    async fn start(file: PathBuf, read: &Read, given: Given, taken: Option<Taken>) -> Result<Self> {
        let config = &read.config;
        let meta = Meta::open_embedded(&config.meta.path).with_context(|| read.place("meta.path"))?;
        let Given {
            mut listeners,
            mut api,
        } = given;
        let mut first_id = 0;
        let mut old = None;
        let mut state = Sockets::default();
        if let Some(taken) = taken {
            let (sockets, ask);
            (sockets, api, state, first_id, ask) = taken.split();
            listeners = sockets;
            old = Some(ask);
            // Another address needs another socket; this one ends with the process that had it.
            api.take_if(|socket| !is_at(socket, config.api.address));
        }
        let mut store = Store::open(read, state).await?;
        let start = Start {
            inherited: listeners,
            first_id,
            state: store.as_ref().map(Store::for_ingress),
        };
        let (ingress, events) = start_ingress(read, &meta, start).await?;
        let (asks, reloads) = mpsc::channel(RELOADS);
        let options = foreshift_control::Options {
            socket: api,
            reloads: Some(asks.clone()),
            sessions: store.as_ref().map(Store::for_api),
        };
        let plane = Plane(ingress.clone());
        let handle = foreshift_control::start_with(config, meta.clone(), plane, events, options).await;
        let handle = handle.map_err(|error| read.blame(error.key(), error))?;
        if let Some(store) = &mut store {
            store.serve(&ingress).context("serve sessions' state")?;
        }
        for (name, address) in ingress.addresses() {
            tracing::info!(listener = %name, %address, "listening");
        }
        if old.is_some_and(|old| !old.ready()) {
            bail!("the process that runs waited too long for this one, and goes on; try again");
        }
        let place = handover::place(config);
        let door = Door::open(&place)
            .inspect_err(|error| tracing::warn!(place = %place.display(), %error, "nobody can take over: name another place with ingress.handover_socket"))
            .ok();
        Ok(Self {
            file,
            config: config.clone(),
            api: handle.socket()?,
            running: Some(Control { handle, meta }),
            store,
            ingress,
            service: Service::new(),
            reloads,
            asks,
            door,
        })
    }

    /// Gives everything to a new process, and waits until it serves. False where it does not: then this one goes on.
    async fn hand_over(&mut self, asked: Asked) -> bool {
        let pid = asked.pid;
        tracing::info!(pid, "a new process takes over");
        let given = self
            .ingress
            .open_sockets()
            .await
            .and_then(|(listeners, first_id)| {
                let api = self.api.try_clone()?;
                let state = self.store.as_ref().map(Store::sockets).transpose()?;
                Ok(handover::Given {
                    listeners,
                    api,
                    state: state.unwrap_or_default(),
                    first_id,
                })
            });
        let given = match given {
            Ok(given) => given,
            Err(error) => {
                tracing::error!(%error, "the sockets cannot be given away; going on");
                return false;
            }
        };
        if let Some(store) = &self.store {
            store.settle().await;
        }
        let events = match self.running.take() {
            Some(Control { handle, meta }) => {
                let ended = handle.shutdown().await;
                if let Some(store) = &mut self.store {
                    store.close().await;
                }
                meta.close().await;
                ended.map(|Ended { events, .. }| events)
            }
            None => None,
        };
        // Before the new one speaks for itself: only the process that is watched is listened to.
        if asked.give(given, move || service::follow(pid)).await {
            return true;
        }
        service::follow(std::process::id());
        self.go_on(events).await;
        false
    }

    /// Opens the metadata again and decides anew: the new process is not there after all.
    async fn go_on(&mut self, events: Option<mpsc::UnboundedReceiver<IngressEvent>>) {
        let meta = replace::open_again(&self.config.meta.path).await;
        self.ingress.use_meta(meta.clone());
        if let Some(store) = &mut self.store {
            store.open_again().await;
        }
        let options = foreshift_control::Options {
            socket: self.api.try_clone().ok(),
            reloads: Some(self.asks.clone()),
            sessions: self.store.as_ref().map(Store::for_api),
        };
        // Without its events control learns of nothing that the ingress tells; it still reads reports.
        let events = events.unwrap_or_else(|| mpsc::unbounded_channel().1);
        let plane = Plane(self.ingress.clone());
        if let Some(store) = &mut self.store
            && let Err(error) = store.serve(&self.ingress)
        {
            tracing::error!(%error, "sessions' state is not served; restart as soon as you can");
        }
        match foreshift_control::start_with(&self.config, meta.clone(), plane, events, options).await {
            Ok(handle) => {
                self.running = Some(Control { handle, meta });
                tracing::info!("going on as before");
            }
            Err(error) => {
                tracing::error!(%error, "serving on by the last routes, without control; restart as soon as you can");
                meta.close().await;
            }
        }
    }

    /// Ends in favour of the process that took over.
    async fn leave(self, signals: &mut Signals) {
        let patience = self.config.ingress.drain_timeout.get();
        tracing::info!(?patience, "the new process serves; letting clients finish");
        drop(self.api);
        tokio::select! {
            () = self.ingress.leave(patience) => {}
            signal = signals.end() => tracing::warn!(signal, "ending at once"),
        }
        tracing::info!("ended");
    }

    /// Answers what was asked, closes what does not end in time, and leaves the metadata clean.
    async fn end(mut self, signal: &str, signals: &mut Signals) {
        let patience = self.config.ingress.drain_timeout.get();
        tracing::info!(signal, ?patience, "draining; a second signal ends it at once");
        self.service.stopping();
        if self.door.take().is_some() {
            // Whoever comes now finds nobody, and starts as usual.
            let _ = std::fs::remove_file(handover::place(&self.config));
        }
        if let Some(control) = &self.running {
            control.handle.drain();
        }
        tokio::select! {
            () = self.ingress.drain(patience) => {}
            signal = signals.end() => tracing::warn!(signal, "ending at once"),
        }
        drop(self.api);
        drop(self.ingress);
        if let Some(Control { handle, meta }) = self.running {
            handle.shutdown().await;
            meta.close().await;
        }
        if let Some(store) = &mut self.store {
            store.close().await;
        }
        tracing::info!("ended");
    }
}

async fn start_ingress(
    read: &Read,
    meta: &Meta,
    start: Start,
) -> Result<(Handle, mpsc::UnboundedReceiver<IngressEvent>)> {
    let started = foreshift_ingress::start_with(&read.config, meta.clone(), start).await;
    started.map_err(|error| read.blame(error.key(), error))
}

/// Port 0 is wherever the socket is already.
fn is_at(socket: &TcpListener, address: std::net::SocketAddr) -> bool {
    let at = |at: std::net::SocketAddr| {
        at.ip() == address.ip() && (at.port() == address.port() || address.port() == 0)
    };
    socket.local_addr().is_ok_and(at)
}

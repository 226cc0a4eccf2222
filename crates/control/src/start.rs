//! Starts everything and holds it together.

use std::{net::SocketAddr, sync::Arc};

use foreshift_meta::{Meta, routes};
use foreshift_placement::Secret;
use foreshift_secret::Token;
use foreshift_wire::{Config, IngressEvent};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    DataPlane, Error, Events, agent_port,
    api::{self, App, Desk, SessionStore},
    bus::Bus,
    data_plane::SharedPlane,
    pool::{self, NewSettings, Reports},
    pools::Pools,
    reload::ReloadRequest,
    stop::stopped,
};

/// A running control. Dropping it stops everything at once; [`Handle::shutdown`] stops it in order.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    /// The API's socket once more, so that it stays open when the API ends.
    socket: std::net::TcpListener,
    bus: Bus,
    draining: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    events: JoinHandle<mpsc::UnboundedReceiver<IngressEvent>>,
    pub(crate) ground: Ground,
}

/// What is left of a control that ended, for the next one: nobody who connects meanwhile is refused.
#[derive(Debug)]
pub struct Ended {
    /// The API's socket; whoever connects to it waits.
    pub socket: std::net::TcpListener,
    /// What the ingress tells.
    pub events: mpsc::UnboundedReceiver<IngressEvent>,
}

/// What a start may be given beside the configuration.
#[derive(Debug, Default)]
pub struct Options {
    /// The API's socket, where it is open already; else `api.address` is listened on.
    pub socket: Option<std::net::TcpListener>,
    /// Who reads the configuration again when the API is asked to; nobody where absent.
    pub reloads: Option<mpsc::Sender<ReloadRequest>>,
    /// The state of sessions; none is kept where absent.
    pub sessions: Option<SessionStore>,
}

/// What pools are started with, whenever.
pub(crate) struct Ground {
    meta: Meta,
    secret: Secret,
    plane: SharedPlane,
    reports: Arc<Reports>,
    stopped: watch::Receiver<bool>,
    pub(crate) pools: Pools,
    /// What runs, as it was configured.
    pub(crate) config: Config,
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").finish_non_exhaustive()
    }
}

impl Handle {
    /// Where the API listens; the port taken, where port 0 was configured.
    pub fn api_address(&self) -> SocketAddr {
        self.address
    }

    /// The API's socket once more.
    pub fn socket(&self) -> std::io::Result<std::net::TcpListener> {
        self.socket.try_clone()
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events(self.bus.subscribe())
    }

    /// Tells whoever watches `/readyz` that this process will end soon.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Ends the API and the loops. Nothing half done is left: what was committed stays. `None` where a task had ended
    /// badly before.
    pub async fn shutdown(self) -> Option<Ended> {
        let Self {
            socket,
            stop,
            tasks,
            events,
            ..
        } = self;
        stop.send_replace(true);
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of control had ended badly");
            }
        }
        let events = events.await.ok()?;
        Some(Ended { socket, events })
    }

    /// Starts a pool's loop.
    pub(crate) async fn start_pool(&mut self, new: NewSettings) -> Result<(), Error> {
        let NewSettings { settings, models, .. } = new;
        let Some(models) = models else {
            return Err(Error::Pool(format!("pool {} has no models", settings.name)));
        };
        let name = settings.name.clone();
        let ground = &self.ground;
        let parts = pool::Parts {
            meta: ground.meta.clone(),
            secret: ground.secret.clone(),
            plane: ground.plane.clone(),
            bus: self.bus.clone(),
            models,
        };
        ground.reports.add(&name).await;
        let (pool, task) =
            pool::start(settings, parts, ground.reports.clone(), ground.stopped.clone()).await?;
        ground.pools.insert(name, pool);
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(task);
        Ok(())
    }
}

/// Starts the API, and a loop and health checks for every pool.
///
/// Writes the nodes of the configuration to `meta` first: it wins on what it says; nodes that were added over
/// the API stay. `events` are those of the ingress behind `data_plane`.
pub async fn start<D: DataPlane>(
    config: &Config,
    meta: Meta,
    data_plane: D,
    events: mpsc::UnboundedReceiver<IngressEvent>,
) -> Result<Handle, Error> {
    start_with(config, meta, data_plane, events, Options::default()).await
}

/// As [`start`], with what may be given beside the configuration. Where it fails, whoever is given a socket loses it: keep
/// another one of it.
pub async fn start_with<D: DataPlane>(
    config: &Config,
    meta: Meta,
    data_plane: D,
    events: mpsc::UnboundedReceiver<IngressEvent>,
    options: Options,
) -> Result<Handle, Error> {
    let socket = listen(config.api.address, options.socket)?;
    let failed = |source| Error::Listen {
        address: config.api.address,
        source,
    };
    let listener = TcpListener::from_std(socket.try_clone().map_err(failed)?).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let plane: SharedPlane = Arc::new(data_plane);
    let (stop, stopped) = watch::channel(false);
    let (draining, drains) = watch::channel(false);
    let bus = Bus::new();
    let pools = Pools::default();
    let ground = Ground {
        secret: Secret::from_bytes(routes::secret(&meta, rand::random()).await?),
        meta,
        plane: plane.clone(),
        reports: Arc::new(Reports::new(plane.clone())),
        stopped: stopped.clone(),
        pools: pools.clone(),
        config: config.clone(),
    };
    let app = App {
        agent_token: agent_token(config)?,
        pools: pools.clone(),
        sessions: Desk::new(options.sessions),
        plane,
        bus: bus.clone(),
        draining: drains,
        stop: stopped.clone(),
        started_ms: crate::clock::now_ms(),
        reloads: options.reloads,
    };
    let mut handle = Handle {
        address,
        socket,
        bus,
        draining,
        stop,
        tasks: Vec::new(),
        events: tokio::spawn(hand_on(events, pools, stopped.clone())),
        ground,
    };
    for (index, settings) in config.pool.iter().enumerate() {
        let new = NewSettings::read(index, settings, &config.forecast, None)?;
        handle.start_pool(new).await?;
    }
    if let Some(address) = config.agent.as_ref().and_then(|agent| agent.address) {
        let listener = agent_port::listen(address).await?;
        let router = api::agent_router(app.clone());
        let serving = agent_port::serve(address, listener, router, stopped.clone());
        handle.tasks.push(tokio::spawn(serving));
    }
    handle
        .tasks
        .push(tokio::spawn(api::serve(listener, api::router(app), stopped)));
    tracing::info!(%address, "the API listens");
    Ok(handle)
}

/// The token of agents, where they are expected.
fn agent_token(config: &Config) -> Result<Option<Arc<Token>>, Error> {
    let Some(agent) = &config.agent else {
        return Ok(None);
    };
    let opened = Token::open(&agent.token_file).map_err(|source| Error::AgentToken {
        file: agent.token_file.clone(),
        source,
    });
    opened.map(|token| Some(Arc::new(token)))
}

fn listen(address: SocketAddr, open: Option<std::net::TcpListener>) -> Result<std::net::TcpListener, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback { address });
    }
    let listen = || {
        let socket = match open {
            Some(socket) => socket,
            None => std::net::TcpListener::bind(address)?,
        };
        socket.set_nonblocking(true)?;
        Ok((socket.local_addr()?, socket))
    };
    match listen() {
        // Whoever gave the socket may have meant another one.
        Ok((address, _)) if !address.ip().is_loopback() => Err(Error::NotLoopback { address }),
        Ok((_, socket)) => Ok(socket),
        Err(source) => Err(Error::Listen { address, source }),
    }
}

/// Gives each event of the ingress to its pool. Gives the receiver back at its end.
async fn hand_on(
    mut events: mpsc::UnboundedReceiver<IngressEvent>,
    pools: Pools,
    mut stop: watch::Receiver<bool>,
) -> mpsc::UnboundedReceiver<IngressEvent> {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = stopped(&mut stop) => None,
        };
        let Some(event) = event else { return events };
        let (IngressEvent::HandedOver { pool, .. }
        | IngressEvent::BucketSettled { pool, .. }
        | IngressEvent::NodeSuspect { pool, .. }
        | IngressEvent::FailedOver { pool, .. }) = &event;
        if let Some(pool) = pools.get(pool) {
            pool.tell(event).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_others_can_reach_is_refused_whoever_gave_it() {
        let configured = SocketAddr::from(([127, 0, 0, 1], 0));
        let given = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        assert!(matches!(
            listen(configured, Some(given)),
            Err(Error::NotLoopback { .. })
        ));
        let given = std::net::TcpListener::bind(configured).unwrap();
        let address = given.local_addr().unwrap();
        assert_eq!(
            listen(configured, Some(given)).unwrap().local_addr().unwrap(),
            address
        );
    }
}

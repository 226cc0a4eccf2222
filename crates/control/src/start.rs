//! Starts everything and holds it together.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use foreshift_meta::{Meta, routes};
use foreshift_placement::Secret;
use foreshift_wire::{Config, IngressEvent, PoolName};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    DataPlane, Error, Events,
    api::{self, App},
    bus::Bus,
    data_plane::SharedPlane,
    learned::Learned,
    pool::{self, PoolHandle, Reports},
    stop::stopped,
};

/// A running control. Dropping it stops everything at once; [`Handle::shutdown`] stops it in order.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    bus: Bus,
    draining: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Where the API listens; the port taken, where port 0 was configured.
    pub fn api_address(&self) -> SocketAddr {
        self.address
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events(self.bus.subscribe())
    }

    /// Tells whoever watches `/readyz` that this process will end soon.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Ends the API and the loops. Nothing half done is left: what was committed stays.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of control had ended badly");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
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
    let listener = listen(config.api.address).await?;
    let address = listener.local_addr().unwrap_or(config.api.address);
    let plane: SharedPlane = Arc::new(data_plane);
    let (stop, stopped) = watch::channel(false);
    let (draining, drains) = watch::channel(false);
    let mut handle = Handle {
        address,
        bus: Bus::new(),
        draining,
        stop,
        tasks: Vec::new(),
    };

    let secret = Secret::from_bytes(routes::secret(&meta, rand::random()).await?);
    let reports = Arc::new(Reports::new(
        plane.clone(),
        config.pool.iter().map(|pool| &pool.name),
    ));
    let mut pools = BTreeMap::new();
    for (index, settings) in config.pool.iter().enumerate() {
        let parts = pool::Parts {
            meta: meta.clone(),
            secret: secret.clone(),
            plane: plane.clone(),
            bus: handle.bus.clone(),
            learned: Learned::read(settings, &config.forecast)
                .map_err(|source| Error::Model { index, source })?,
            forecast: config.forecast.clone(),
        };
        let (pool, task) = pool::start(settings.clone(), parts, reports.clone(), stopped.clone()).await?;
        pools.insert(settings.name.clone(), pool);
        handle.tasks.push(task);
    }
    let pools = Arc::new(pools);
    handle
        .tasks
        .push(tokio::spawn(hand_on(events, pools.clone(), stopped.clone())));
    let app = App {
        pools,
        plane,
        bus: handle.bus.clone(),
        draining: drains,
        stop: stopped.clone(),
    };
    handle
        .tasks
        .push(tokio::spawn(api::serve(listener, api::router(app), stopped)));
    tracing::info!(%address, "the API listens");
    Ok(handle)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback { address });
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })
}

/// Gives each event of the ingress to its pool.
async fn hand_on(
    mut events: mpsc::UnboundedReceiver<IngressEvent>,
    pools: Arc<BTreeMap<PoolName, PoolHandle>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = stopped(&mut stop) => None,
        };
        let Some(event) = event else { return };
        let (IngressEvent::HandedOver { pool, .. }
        | IngressEvent::BucketSettled { pool, .. }
        | IngressEvent::NodeSuspect { pool, .. }
        | IngressEvent::FailedOver { pool, .. }) = &event;
        if let Some(pool) = pools.get(pool) {
            pool.tell(event).await;
        }
    }
}

//! Backends, ingress and control as processes.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};
use foreshift_wire::{NodeState, PoolView, SessionStats};
use serde::{Deserialize, Serialize};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    DemoOptions,
    child::Process,
    config::{self, Addresses},
    run::Approach,
    setting::{NODES, POOL, SERVICE_TIME, SPREAD, Setting, WORKERS},
};
use crate::{BackendStats, HttpClient};

/// What a backend process prints when it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Everything that takes part in one run, in a folder that goes with it.
#[derive(Debug)]
pub(super) struct Cluster {
    ingress: Process,
    /// `None`: killed.
    backends: Vec<Option<Process>>,
    addresses: Addresses,
    _folder: Folder,
}

impl Cluster {
    /// Starts it all and waits until every node is ready.
    pub(super) async fn start(
        options: &DemoOptions,
        setting: &Setting,
        approach: Approach,
    ) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let sessions = free_address()?;
        let mut backends = Vec::new();
        let mut nodes = Vec::new();
        for (number, name) in NODES.iter().enumerate() {
            let mut backend = start_backend(options, &folder.0, name, number, sessions)?;
            let ready: Ready =
                serde_json::from_str(&backend.first_line().await?).context("address of a backend")?;
            nodes.push(ready.address);
            backends.push(Some(backend));
        }
        let addresses = Addresses {
            api: free_address()?,
            sessions,
            listener: free_address()?,
            nodes,
        };
        write_secret(&folder.0.join("meta.redb"), setting.secret).await?;
        let file = folder.0.join("foreshift.toml");
        std::fs::write(&file, config::text(&addresses, &folder.0, approach))?;
        let mut command = Command::new(&options.program);
        command.arg("lab-ingress").arg("-c").arg(&file);
        let ingress = Process::start("ingress", command, folder.0.join("ingress.log"))?;
        let mut cluster = Self {
            ingress,
            backends,
            addresses,
            _folder: folder,
        };
        if let Err(error) = cluster.wait_until_ready().await {
            cluster.end().await;
            return Err(error);
        }
        Ok(cluster)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        let mut api = self.api();
        loop {
            self.check()?;
            let pool = api.get_json::<PoolView>(&format!("/v1/pools/{POOL}")).await;
            let ready = |pool: &PoolView| pool.nodes.iter().all(|n| n.observed_state == NodeState::Ready);
            match pool {
                Ok(pool) if ready(&pool) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(error.context("the API does not answer")),
                Ok(_) | Err(_) => ensure!(Instant::now() < until, "the nodes were not ready within 20 s"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails where a process has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.ingress.check()?;
        self.backends.iter_mut().flatten().try_for_each(Process::check)
    }

    /// Kills a backend as a crash would. The name that it had; `None` where it is dead already.
    pub(super) async fn kill(&mut self, number: usize) -> Option<&'static str> {
        self.backends.get_mut(number)?.take()?.end().await;
        NODES.get(number).copied()
    }

    /// A client of the API.
    pub(super) fn api(&self) -> HttpClient {
        HttpClient::new(self.addresses.api)
    }

    /// Where clients connect.
    pub(super) fn listener(&self) -> SocketAddr {
        self.addresses.listener
    }

    /// What the backends say of themselves.
    pub(super) async fn stats(&self) -> anyhow::Result<Vec<BackendStats>> {
        let mut stats = Vec::new();
        for (address, backend) in self.addresses.nodes.iter().zip(&self.backends) {
            if backend.is_none() {
                continue; // What it knew went with it.
            }
            stats.push(HttpClient::new(*address).get_json("/stats").await?);
        }
        Ok(stats)
    }

    /// What became of sessions' state when they moved.
    pub(super) async fn replayed(&self) -> anyhow::Result<SessionStats> {
        self.api().get_json("/v1/sessions/stats").await
    }

    /// Ends every process and waits until all are gone.
    pub(super) async fn end(self) {
        self.ingress.end().await;
        for backend in self.backends.into_iter().flatten() {
            backend.end().await;
        }
    }
}

fn start_backend(
    options: &DemoOptions,
    folder: &Path,
    name: &str,
    number: usize,
    store: SocketAddr,
) -> anyhow::Result<Process> {
    let mut command = Command::new(&options.program);
    command.arg("lab-backend").args(["--name", name]);
    command.args(["--workers", &WORKERS.to_string()]);
    command.args(["--service-us", &SERVICE_TIME.as_micros().to_string()]);
    command.args(["--store", &store.to_string()]);
    command.args(["--spread", &SPREAD.to_string()]);
    command.args(["--seed", &(options.seed + number as u64).to_string()]);
    if options.burn {
        command.arg("--burn");
    }
    Process::start(
        &format!("backend {name}"),
        command,
        folder.join(format!("{name}.log")),
    )
}

/// Settles beforehand what every key hashes to, so that the same load hits the same nodes in each run.
async fn write_secret(path: &Path, secret: [u8; 16]) -> anyhow::Result<()> {
    let meta = foreshift_meta::Meta::open_embedded(path)?;
    foreshift_meta::routes::secret(&meta, secret).await?;
    Ok(())
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A folder of this run's own, removed in the end.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("foreshift-demo-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the folder for temporary files: whatever stays is cleaned up with that.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

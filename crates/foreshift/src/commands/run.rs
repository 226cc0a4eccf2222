//! `foreshift run`: the ingress and control in one process.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use foreshift_ingress::Handle;
use foreshift_meta::Meta;
use foreshift_wire::IngressEvent;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
};
use tracing_subscriber::EnvFilter;

use super::check::Read;
use crate::{
    args::{LogFormat, Run},
    plane::Plane,
};

/// Runs until SIGINT or SIGTERM, then drains. A second signal ends it at once.
pub(super) fn run(args: &Run) -> Result<()> {
    let read = Read::from(&args.config)?;
    log(args.log);
    for warning in read.warnings() {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    // One thread is enough for control; the workers of the ingress have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&read))
}

async fn serve(read: &Read) -> Result<()> {
    let config = &read.config;
    let mut signals = Signals::new()?;
    let meta = Meta::open_embedded(&config.meta.path).with_context(|| read.place("meta.path"))?;
    let (ingress, events) = start_ingress(read, &meta).await?;
    let control = foreshift_control::start(config, meta.clone(), Plane(ingress.clone()), events).await;
    let control = control.map_err(|error| match error.key() {
        Some(key) => anyhow::Error::new(error).context(read.place(&key)),
        None => error.into(),
    })?;
    for (name, address) in ingress.addresses() {
        tracing::info!(listener = %name, %address, "listening");
    }
    let signal = signals.next().await;
    let patience = config.ingress.drain_timeout.get();
    tracing::info!(signal, ?patience, "draining; a second signal ends it at once");
    control.drain();
    tokio::select! {
        () = ingress.drain(patience) => {}
        signal = signals.next() => tracing::warn!(signal, "ending at once"),
    }
    control.shutdown().await;
    drop(ingress);
    meta.close().await;
    tracing::info!("ended");
    Ok(())
}

async fn start_ingress(read: &Read, meta: &Meta) -> Result<(Handle, UnboundedReceiver<IngressEvent>)> {
    let started = foreshift_ingress::start(&read.config, meta.clone()).await;
    started.map_err(|error| match error.key() {
        Some(key) => anyhow::Error::new(error).context(read.place(&key)),
        None => error.into(),
    })
}

/// Allows as many open files as the system lets us: each client takes two.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
    {
        tracing::warn!(%error, "the limit of open files stays where it is");
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

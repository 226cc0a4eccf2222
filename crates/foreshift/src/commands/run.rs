//! `foreshift run`: the ingress and control in one process.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use foreshift_meta::Meta;
use foreshift_wire::Config;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::check;
use crate::{
    args::{LogFormat, Run},
    plane::Plane,
};

/// Runs until SIGINT or SIGTERM, then drains. A second signal ends it at once.
pub(super) fn run(args: &Run) -> Result<()> {
    let (config, warnings) = check::read(&args.config)?;
    log(args.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // One thread is enough for control; the workers of the ingress have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<()> {
    let mut signals = Signals::new()?;
    let meta = Meta::open_embedded(&config.meta.path).context("metadata")?;
    let (ingress, events) = foreshift_ingress::start(config, meta.clone()).await?;
    let control = foreshift_control::start(config, meta.clone(), Plane(ingress.clone()), events).await?;
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

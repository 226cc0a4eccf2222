//! A running `foreshift run`: the ingress and control of one process, and what operators do to them.
//!
//! One task takes turns: a signal, a reload asked for over the API. So no two of these cross.

mod reload;
mod signals;

use std::path::PathBuf;

use anyhow::{Context, Result};
use foreshift_control::ReloadRequest;
use foreshift_ingress::Handle;
use foreshift_meta::Meta;
use foreshift_wire::Config;
use tokio::sync::mpsc;

use self::signals::{Signals, Told};
use crate::{commands::Read, plane::Plane};

/// Reloads that wait for their turn; more wait before they are sent.
const RELOADS: usize = 16;

/// All that runs.
struct Serving {
    /// Read again with each reload.
    file: PathBuf,
    /// What runs, as it was configured.
    config: Config,
    meta: Meta,
    ingress: Handle,
    control: foreshift_control::Handle,
    reloads: mpsc::Receiver<ReloadRequest>,
}

/// Serves until SIGINT or SIGTERM, then drains.
pub(crate) async fn serve(file: PathBuf, read: Read) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut serving = Serving::start(file, &read).await?;
    let signal = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::End(signal) => break signal,
                Told::Reload => drop(serving.reload().await),
            },
            Some(request) = serving.reloads.recv() => {
                // Whoever asked may have gone.
                let _ = request.answer.send(serving.reload().await);
            }
        }
    };
    serving.end(signal, &mut signals).await;
    Ok(())
}

impl Serving {
    async fn start(file: PathBuf, read: &Read) -> Result<Self> {
        let config = &read.config;
        let meta = Meta::open_embedded(&config.meta.path).with_context(|| read.place("meta.path"))?;
        let started = foreshift_ingress::start(config, meta.clone()).await;
        let (ingress, events) = started.map_err(|error| match error.key() {
            Some(key) => anyhow::Error::new(error).context(read.place(&key)),
            None => error.into(),
        })?;
        let (sender, reloads) = mpsc::channel(RELOADS);
        let options = foreshift_control::Options {
            reloads: Some(sender),
            ..Default::default()
        };
        let plane = Plane(ingress.clone());
        let control = foreshift_control::start_with(config, meta.clone(), plane, events, options).await;
        let control = control.map_err(|error| match error.key() {
            Some(key) => anyhow::Error::new(error).context(read.place(&key)),
            None => error.into(),
        })?;
        for (name, address) in ingress.addresses() {
            tracing::info!(listener = %name, %address, "listening");
        }
        Ok(Self {
            file,
            config: config.clone(),
            meta,
            ingress,
            control,
            reloads,
        })
    }

    /// Answers what was asked, closes what does not end in time, and leaves the metadata clean.
    async fn end(self, signal: &str, signals: &mut Signals) {
        let patience = self.config.ingress.drain_timeout.get();
        tracing::info!(signal, ?patience, "draining; a second signal ends it at once");
        self.control.drain();
        tokio::select! {
            () = self.ingress.drain(patience) => {}
            signal = signals.end() => tracing::warn!(signal, "ending at once"),
        }
        self.control.shutdown().await;
        drop(self.ingress);
        self.meta.close().await;
        tracing::info!("ended");
    }
}

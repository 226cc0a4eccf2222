//! Reads the configuration again and takes over what changed.
//!
//! All that can fail is done before anything changes: the file is read and checked, sockets are bound, models read. What
//! only a start reads stays as it runs, and the answer says so.

use foreshift_wire::Reloaded;

use super::Serving;
use crate::commands::Read;

impl Serving {
    /// What changed; or why nothing did. Says either in the log as well.
    pub(super) async fn reload(&mut self) -> Result<Reloaded, String> {
        self.service.reloading();
        let reloaded = self.take_over().await;
        self.service.reloaded();
        match &reloaded {
            Ok(reloaded) => {
                for change in &reloaded.changes {
                    let (key, kind) = (&change.key, change.kind);
                    match change.needs_restart {
                        false => tracing::info!(key, ?kind, "reloaded"),
                        true => tracing::warn!(key, ?kind, "changed, but needs a restart"),
                    }
                }
                for warning in &reloaded.warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(
                    changes = reloaded.changes.len(),
                    "the configuration was read again"
                );
            }
            Err(error) => tracing::error!(%error, "the configuration was not taken over"),
        }
        reloaded
    }

    async fn take_over(&mut self) -> Result<Reloaded, String> {
        let read = Read::from(&self.file).map_err(|error| format!("{error:#}; nothing changed"))?;
        let changes = self.config.changes(&read.config);
        let config = read.config.applicable_to(&self.config);
        let at = |key: Option<String>, error: String| match key {
            Some(key) => format!("{}: {error}; nothing changed", read.place(&key)),
            None => format!("{error}; nothing changed"),
        };
        let data_plane = self.ingress.prepare(&config);
        let data_plane = data_plane.map_err(|error| at(error.key(), error.to_string()))?;
        let Some(running) = &mut self.running else {
            return Err("control is not there; nothing changed".into());
        };
        let control = running.handle.prepare(&config);
        let control = control.map_err(|error| at(error.key(), error.to_string()))?;
        // A pool's nodes are written before its listeners take anybody in.
        let applied = running.handle.apply(control).await;
        applied.map_err(|error| format!("some pools were not told: {error}; reload once more"))?;
        let opened = self.ingress.apply(data_plane).await;
        for (name, address) in opened.map_err(|error| error.to_string())? {
            tracing::info!(listener = %name, %address, "listening");
        }
        self.config = config;
        Ok(Reloaded {
            changes,
            warnings: read.warnings(),
        })
    }
}

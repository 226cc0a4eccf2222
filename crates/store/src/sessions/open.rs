//! Opens sessions as the configuration says.

use std::sync::Arc;

use foreshift_wire::{Pool, Session, SessionEngine};

use super::Sessions;
use crate::{
    Engine, Error,
    engine::{Embedded, Redis},
};

/// The share of `cache_bytes` for the embedded engine's pages, in eighths: what keys, records, reigns and replay leave.
const ENGINE_EIGHTHS: u64 = 3;

impl Sessions {
    /// Opens the configured engine, and the master keys in `key_file`: see [`Sessions::open_over`].
    ///
    /// [`Error::File`] names a file that is damaged, locked by another process, of another format, or cannot be made; it stays as
    /// it is. [`Error::Unavailable`]: `urls` cannot be used, or the servers cannot be reached, as some sessions are looked at: whether the
    /// master keys open them. Servers that go away later are an error of each operation, until they are there again.
    pub async fn open(config: &Session, _pools: &[Pool]) -> Result<Self, Error> {
        Self::open_over(engine(config).await?, config.clone()).await
    }
}

async fn engine(config: &Session) -> Result<Arc<dyn Engine>, Error> {
    match config.engine {
        SessionEngine::Embedded => {
            let (path, cache) = (config.path.clone(), config.cache_bytes / 8 * ENGINE_EIGHTHS);
            let opened = tokio::task::spawn_blocking(move || Embedded::open(&path, cache)).await;
            // The task is neither aborted nor does it panic; were it so, nothing was opened.
            let opened = opened.map_err(|e| Error::Unavailable {
                detail: e.to_string(),
                unknown: false,
            })?;
            Ok(Arc::new(opened?))
        }
        SessionEngine::Redis => Ok(Arc::new(Redis::open(config)?)),
    }
}

//! Stores to measure, and sessions in them.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use foreshift_store::{Caller, Sessions};
use foreshift_wire::{PartitionName, Session, SessionId};
use tokio::task::JoinSet;

use crate::data::{Draws, batch, key};

/// Bytes of the values that are read and written.
pub(crate) const VALUE_BYTES: usize = 1024;
/// Keys of a partition.
pub(crate) const KEYS: usize = 4;
/// Callers that fill a store at once.
const FILLING: usize = 512;

/// A configuration of the embedded engine in a folder.
pub(crate) fn config(folder: &Path, cache_bytes: u64) -> Session {
    Session {
        path: folder.join("sessions.redb"),
        key_file: folder.join("session.keys"),
        cache_bytes,
        ..Session::default()
    }
}

/// The cache that is configured where nobody says otherwise.
pub(crate) fn usual_cache() -> u64 {
    Session::default().cache_bytes
}

/// The partition that is read and written.
pub(crate) fn cart() -> Result<PartitionName> {
    Ok(PartitionName::new("cart")?)
}

/// Sessions with a partition of [`KEYS`] keys each.
pub(crate) async fn fill(sessions: &Sessions, count: usize) -> Result<Arc<[SessionId]>> {
    let mut fillers = JoinSet::new();
    for filler in 0..FILLING.min(count) {
        let (sessions, cart) = (sessions.clone(), cart()?);
        let share = (filler..count).step_by(FILLING).count();
        fillers.spawn(async move {
            let (caller, mut draws) = (Caller::own(), Draws::seeded(filler as u64));
            let mut made = Vec::with_capacity(share);
            for _ in 0..share {
                let id = sessions.create(&caller).await?;
                let values = (0..KEYS).map(|index| (key(index), draws.bytes(VALUE_BYTES)));
                sessions.write(&caller, id, &cart, batch(values)).await?;
                made.push(id);
            }
            anyhow::Ok(made)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(made) = fillers.join_next().await {
        all.extend(made??);
    }
    Ok(all.into())
}

/// A runtime as the program has for its store.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

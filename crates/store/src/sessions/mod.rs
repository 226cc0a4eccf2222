//! The service: who may do what with which session, in which version, and who serves it.
//!
//! Each file adds what it is about to [`Sessions`]: `partitions` reads and writes, `life` begins and ends,
//! `replay` tells nodes.

mod access;
mod declared;
mod keys;
mod life;
mod open;
mod partitions;
mod registry;
mod replay;
mod types;
mod value;

use std::sync::Arc;

use foreshift_wire::Session;

pub use self::{
    access::{Access, Caller},
    keys::KeyUse,
    registry::Served,
    types::{Batch, Change, Entry, Part, PartitionInfo, SessionInfo, Written},
    value::Value,
};
pub use crate::engine::{Expiry, If, Select};
use crate::{Engine, clock::Rising, replay::Replay, seal::Seal};
use keys::Keeper;
use registry::Registry;

/// The share of `cache_bytes` for sessions' opened keys.
const KEYS_SHARE: u64 = 4;

/// Sessions and their state. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    config: Session,
    rising: Rising,
    registry: Registry,
    seal: Seal,
    keeper: Keeper,
    replay: Replay,
}

impl Sessions {
    /// Sessions over an engine, sealed with a master key that is in memory only: what this process stores, no other can read.
    pub fn over(engine: Arc<dyn Engine>, config: Session) -> Self {
        let seal = Seal::in_memory(config.cache_bytes / KEYS_SHARE);
        Self::sealed(engine, config, seal)
    }

    fn sealed(engine: Arc<dyn Engine>, config: Session, seal: Seal) -> Self {
        let replay = Replay::new(&config);
        Self(Arc::new(Inner {
            engine,
            config,
            rising: Rising::default(),
            registry: Registry::default(),
            seal,
            keeper: Keeper::default(),
            replay,
        }))
    }

    /// Ends the engine; what was acknowledged is stored.
    pub async fn close(&self) {
        self.0.keeper.stop();
        self.0.engine.close().await;
    }
}

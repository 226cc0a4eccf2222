//! The service: who may do what with which session, in which version, and who serves it.
//!
//! Each file adds what it is about to [`Sessions`]: `partitions` reads and writes, `life` begins and hands over, `endings` and `sweep`
//! end, `replay` tells nodes, `measured` counts. `policy`, `limits` and `lifetime` decide and know nothing else.

mod access;
mod declared;
mod endings;
mod keys;
mod life;
mod lifetime;
mod limits;
mod measured;
mod open;
mod parting;
mod partitions;
mod policy;
mod records;
mod registry;
mod replay;
mod sweep;
mod types;
mod value;

use std::sync::Arc;

use foreshift_wire::Session;
use tokio::sync::{Semaphore, broadcast};

pub(crate) use self::declared::declared;
pub use self::{
    access::{Access, Caller},
    endings::{Ended, Ending},
    keys::KeyUse,
    registry::Served,
    sweep::Swept,
    types::{Batch, Change, Entry, Part, PartitionInfo, SessionInfo, Written},
    value::Value,
};
pub use crate::engine::{Cursor, Expiry, If, Select};
use crate::{Clock, Engine, clock::Rising, metrics::Metrics, parting::Parting, replay::Replay, seal::Seal};
use keys::Keeper;
use lifetime::Lifetime;
use records::Records;
use registry::Registry;

/// The share of `cache_bytes` for sessions' opened keys.
const KEYS_SHARE: u64 = 4;
/// That of records.
const RECORDS_SHARE: u64 = 8;
/// That of who serves which session.
const REIGNS_SHARE: u64 = 8;
/// Endings that a listener may be behind.
const ENDINGS_MAX: usize = 16_384;
/// Uses that are noted at once.
const NOTES_MAX: usize = 256;

/// Sessions and their state. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    config: Session,
    clock: Clock,
    lifetime: Lifetime,
    rising: Rising,
    registry: Registry,
    records: Records,
    endings: broadcast::Sender<Ended>,
    /// Uses that may be noted beside those that are.
    notes: Arc<Semaphore>,
    seal: Seal,
    keeper: Keeper,
    replay: Replay,
    /// Where partitions are replayed in parts.
    parting: Option<Parting>,
    metrics: Metrics,
}

impl Sessions {
    /// Sessions over an engine, sealed with a master key that is in memory only: what this process stores, no other can read.
    pub fn over(engine: Arc<dyn Engine>, config: Session) -> Self {
        let seal = Seal::in_memory(config.cache_bytes / KEYS_SHARE);
        Self::sealed(engine, config, seal, Clock::default())
    }

    /// As [`Sessions::over`], by another clock than the system's.
    pub fn over_with(engine: Arc<dyn Engine>, config: Session, clock: Clock) -> Self {
        let seal = Seal::in_memory(config.cache_bytes / KEYS_SHARE);
        Self::sealed(engine, config, seal, clock)
    }

    fn sealed(engine: Arc<dyn Engine>, config: Session, seal: Seal, clock: Clock) -> Self {
        let replay = Replay::new(&config);
        let parting = config.split.then(Parting::default);
        let ms = |time: foreshift_wire::Duration| time.get().as_millis() as u64;
        let lifetime = Lifetime {
            idle_ms: ms(config.idle_timeout),
            absolute_ms: ms(config.absolute_timeout),
        };
        let registry = Registry::of(config.cache_bytes / REIGNS_SHARE);
        let records = Records::of(config.cache_bytes / RECORDS_SHARE);
        Self(Arc::new(Inner {
            engine,
            metrics: Metrics::new(&config),
            config,
            clock,
            lifetime,
            rising: Rising::default(),
            registry,
            records,
            endings: broadcast::Sender::new(ENDINGS_MAX),
            notes: Arc::new(Semaphore::new(NOTES_MAX)),
            seal,
            keeper: Keeper::default(),
            replay,
            parting,
        }))
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// What was configured.
    pub(crate) fn config(&self) -> &Session {
        &self.0.config
    }

    /// Ends the engine; what was acknowledged is stored.
    pub async fn close(&self) {
        self.0.keeper.stop();
        self.0.engine.close().await;
        self.0.records.forget_all();
    }
}

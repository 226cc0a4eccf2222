//! The service: who may do what with which session, in which version, and who serves it.
//!
//! Each file adds what it is about to [`Sessions`]: `partitions` reads and writes, `life` begins and ends.

mod access;
mod life;
mod open;
mod partitions;
mod registry;
mod types;
mod value;

use std::sync::Arc;

use foreshift_wire::Session;

pub use self::{
    access::{Access, Caller},
    registry::Served,
    types::{Batch, Change, Entry, Part, PartitionInfo, SessionInfo, Written},
    value::Value,
};
pub use crate::engine::{Expiry, If, Select};
use crate::{Engine, clock::Rising};
use registry::Registry;

/// Sessions and their state. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    config: Session,
    rising: Rising,
    registry: Registry,
}

impl Sessions {
    /// Sessions over an engine.
    pub fn over(engine: Arc<dyn Engine>, config: Session) -> Self {
        Self(Arc::new(Inner {
            engine,
            config,
            rising: Rising::default(),
            registry: Registry::default(),
        }))
    }

    /// Ends the engine; what was acknowledged is stored.
    pub async fn close(&self) {
        self.0.engine.close().await;
    }
}

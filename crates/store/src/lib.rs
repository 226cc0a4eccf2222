//! The state of sessions, in named partitions, over engines.
//!
//! [`Sessions`] is the service: it knows who may read and write what, seals values, draws versions and fences nodes that no
//! longer serve a session. Below it an [`Engine`] keeps what it is given, durably and one write of a partition after the
//! other. Above it are the ways in: HTTP (in `control`), Rust, and the plain Redis protocol.
//!
//! The promise: while one node serves a session, each of its partitions is linearizable; what was acknowledged is durable as far as
//! the engine is; what a node writes after it lost the session is refused.

mod clock;
pub mod engine;
mod error;
mod generations;
mod metrics;
pub mod parsers;
mod parting;
mod replay;
mod seal;
mod sessions;
mod tokens;
pub mod view;

pub use clock::Clock;
pub use engine::Engine;
pub use error::{Error, Refusal};
pub use metrics::{OperationCount, OperationTimes};
pub use parting::{SplitView, Splitting, Together};
pub use replay::{Counts, Portion, Pulled, Redeemed, ReplayStats, content_digest};
pub use seal::{KeyFile, KeyId, KeyRole, MasterKey};
pub use sessions::{
    Access, Batch, Caller, Change, Cursor, Ended, Ending, Entry, Expiry, If, KeyUse, Part, PartitionInfo,
    Select, Served, SessionInfo, Sessions, Swept, Value, Written,
};
pub use tokens::{NotAllowed, Tokens};

/// A future of an engine or of the service, whose type is forgotten.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

//! The loop that observes, forecasts, plans and moves; health checks; the HTTP API.
//!
//! Each pool is a task of its own that owns all of the pool's state (see `pool`); the API only sends it
//! messages. Deciding is done in pure crates: `forecast` says what is coming, `placement` what to move. Here are the
//! clock, the sockets and the order of things. What is decided becomes true by one transaction in `meta`, which
//! is all that an ingress needs to know: control never talks to it about a move.

mod agent_port;
mod api;
mod bus;
mod clock;
mod collect;
mod data_plane;
mod error;
mod health;
mod learned;
mod metrics;
mod outlier;
mod pool;
mod pools;
mod reload;
mod session_port;
mod start;
mod stop;

pub use api::SessionStore;
pub use bus::Events;
pub use data_plane::DataPlane;
pub use error::Error;
pub use learned::{ModelError, check_models};
pub use reload::{Prepared, ReloadRequest};
pub use session_port::serve_sessions;
pub use start::{Ended, Handle, Options, start, start_with};

//! The data plane: accepts, routes, forwards, and moves open connections.
//!
//! Each core has a worker of its own (`worker`): listeners, connections to the nodes, counters. One mover
//! (`mover`) follows the routes in metadata and hands sessions over. It decides nothing about who should live
//! where: that is `placement`, asked by `control`, and heard of through `meta`.

mod access;
mod alive;
mod clock;
mod connections;
mod elsewhere;
mod end;
mod error;
mod flow;
mod forwarded;
mod handle;
mod http1;
mod http2;
mod instruct;
mod io;
mod key;
mod letters;
mod listen;
mod live;
mod loads;
mod marking;
mod message;
mod mover;
mod node;
mod orca;
#[doc(hidden)]
pub mod parsers;
mod proxy_protocol;
mod reigns;
mod reload;
mod returns;
mod spans;
mod sse;
mod state;
mod stream;
mod table;
mod tcp;
mod tls;
mod upstream;
mod worker;
mod ws;

pub use error::Error;
pub use handle::{Handle, Start, start, start_with};
pub use listen::{Inherited, Open};
pub use reload::Prepared;
pub use state::{Later, Portion, Serving, SessionState};

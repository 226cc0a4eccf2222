//! Real backends with a capacity, and clients that check every answer: for the demo, tests and benches.
//!
//! - [`Backend`] serves WebSockets and HTTP/1.1 with a fixed number of workers, a queue and a counter for each
//!   session, which follows its owner through the hand-over hook. It fails on request ([`Fault`]).
//! - [`Socket`] is a WebSocket client that numbers what it sends and counts what is lost, duplicated or
//!   reordered in both directions; [`Swarm`] keeps hundreds of them busy.
//!
//! It knows nothing of the ingress: whatever is between client and backend is what is being measured.

mod backend;
mod client;
pub mod load;
mod message;
mod order;

pub use backend::{Backend, BackendOptions, BackendStats, Fault, Step};
pub use client::{HttpClient, Socket, SocketOptions, Style, Swarm, SwarmOptions, SwarmReport};
pub use message::{Answer, Work};
pub use order::{Checker, Sequence, Tally};

//! Real backends with a capacity, and clients that check every answer: for the demo, tests and benches.
//!
//! - [`Backend`] serves WebSockets and HTTP/1.1 with a fixed number of workers, a queue and a counter for each
//!   session, which follows its owner through the hand-over hook. It fails on request ([`Fault`]).
//! - [`Socket`] is a WebSocket client that numbers what it sends and counts what is lost, duplicated or
//!   reordered in both directions; [`Swarm`] keeps hundreds of them busy.
//! - [`load`] is open-loop load that is computed ahead and measured from the intended send time.
//! - [`demo()`] is `foreshift demo`.
//!
//! Except for the demo, it knows nothing of the ingress: whatever is between client and backend is
//! what is being measured.

mod backend;
mod client;
mod demo;
pub mod load;
mod message;
mod order;
mod process;

pub use backend::{Backend, BackendOptions, BackendStats, Fault, Step};
pub use client::{HttpClient, Socket, SocketOptions, Style, Swarm, SwarmOptions, SwarmReport};
pub use demo::{Approach, DemoOptions, MoveCounts, Summary, demo};
pub use message::{Answer, Work};
pub use order::{Checker, Sequence, Tally};
pub use process::run_backend;

//! Clients that check what they get.

mod http;
mod socket;
mod swarm;

pub use http::HttpClient;
pub(crate) use socket::{Received, Receiver, Sender};
pub use socket::{Socket, SocketOptions, Style};
pub use swarm::{Swarm, SwarmOptions, SwarmReport};

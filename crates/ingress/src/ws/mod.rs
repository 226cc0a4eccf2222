//! WebSockets: relayed frame by frame, switched to another node between two messages.
//!
//! An idle pair holds no buffer: bytes are read into the worker's scratch space and written out in the same
//! poll; only what the other side does not take at once is kept.

pub(crate) mod extensions;
mod failover;
pub(crate) mod frame;
mod handshake;
mod instructed;
mod moving;
mod pair;
mod returning;
mod sieve;
mod whisper;

pub(crate) use handshake::{Handshake, Handshaken, Instructable};
pub(crate) use pair::Pair;

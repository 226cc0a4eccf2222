//! Shared, versioned truth: a watched key-value store with compare-and-swap.
//!
//! Control and ingress meet here: control commits nodes, overrides and moves, the ingress watches them. Every
//! transaction that changes something is one [`Revision`]; what was acknowledged is on disk, and a watch that
//! starts at a revision sees each later one in order or is told that it is too far behind.
//!
//! The embedded store is one redb file of one process. All of it is held in memory too: routing data is
//! needed in memory by its readers anyway, so reads never touch the disk, and the in-memory store for tests
//! is the same code without the file. Handles are asynchronous throughout, so that an etcd store fits behind
//! them. What is absent on purpose: leases and leader election (they come with etcd), and any consensus of
//! our own.

mod error;
mod file;
mod handle;
mod image;
pub mod routes;
mod txn;
mod watch;
mod writer;

pub use error::Error;
pub use handle::Meta;
pub use txn::{Batch, Change, Compare, Revision, Txn, Versioned};
pub use watch::Watch;

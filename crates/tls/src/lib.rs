//! Certificates and keys: from files to TLS settings, and again when the files change.
//!
//! A crate of its own because the data plane, the health checks and `foreshift check` all need the same answer to
//! "can these files be used?". It opens no socket and starts no task: whoever uses it says when to look again.
//!
//! The cryptography is that of aws-lc, named wherever rustls asks for it, so that nothing depends on a default of
//! the process.

mod certificate;
mod check;
mod error;
mod files;
mod identity;
mod listener;
mod names;
mod node;
mod watched;

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

pub use check::check;
pub use error::{Cause, Error, Warning};
pub use identity::Identity;
pub use listener::{listener, session};
pub use node::{NodeTls, pool};
pub use watched::{Change, Opened, Watched};

/// The protocols that a listener agrees to, preferred first: HTTP/2 and HTTP/1.1.
pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The cryptography that is used everywhere.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .clone()
}

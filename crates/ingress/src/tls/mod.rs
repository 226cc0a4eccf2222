//! TLS on either side of the ingress.
//!
//! rustls without its own buffers: ciphertext is read into and written from memory that the connections of a thread
//! share, and a connection keeps only what is left over, so an idle one keeps nothing. Certificates and settings are
//! made in `foreshift_tls`.

mod accept;
mod certificates;
mod connect;
mod handshake;
mod session;
mod stream;

pub(crate) use accept::accept;
pub(crate) use certificates::{Certificates, ListenerTls, PoolTls, Settings};
pub(crate) use connect::connect;
pub(crate) use stream::{PortableTls, TlsStream};

//! Why the data plane cannot start.

use std::net::SocketAddr;

/// Why the data plane cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener's address cannot be used.
    #[error("listener {name}: cannot listen on {address}: {source}{}", hint(.source))]
    Listen {
        /// Its place among the listeners, from 0.
        index: usize,
        /// The listener's name.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A listener names a pool that is not configured.
    #[error("listener {name}: there is no pool {pool}")]
    NoPool {
        /// The listener's name.
        name: String,
        /// The pool it names.
        pool: String,
    },
    /// A file that TLS needs cannot be used.
    #[error("{name}: {source}")]
    Tls {
        /// The configuration's table: `listener[0]`.
        table: String,
        /// Whose it is, for people.
        name: String,
        /// What is wrong with which file.
        source: Box<foreshift_tls::Error>,
    },
    /// The routes could not be read.
    #[error("metadata: {0}")]
    Meta(#[from] foreshift_meta::Error),
    /// Spans are to be sent, and this build cannot.
    #[error("this build sends no spans: build it with --features otlp, or leave the endpoint out")]
    NoOtlp,
    /// A thread or its runtime could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Error {
    /// The configuration's key that is to blame.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Listen { index, .. } => Some(format!("listener[{index}].address")),
            Self::NoOtlp => Some("ingress.traces.endpoint".into()),
            Self::Tls { table, source, .. } => Some(format!("{table}.{}", source.key)),
            Self::NoPool { .. } | Self::Meta(_) | Self::Thread(_) => None,
        }
    }
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another process listens there: stop it or choose another port",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: choose a higher one",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

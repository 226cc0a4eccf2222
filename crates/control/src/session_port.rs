//! The address at which nodes of other machines reach `/v1/sessions`, where one is configured.
//!
//! Apart from the API, which others must not reach: here nothing else is served, and beyond loopback every request needs a token.

use std::{future::Future, sync::Arc};

use foreshift_tls::Watched;
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::rustls::ServerConfig;

use crate::api::{self, Limits, SessionStore};

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 8_192;

/// Serves `/v1/sessions` until `stop` turns true, or nobody is left who could make it so. `tls` protects it, where it is given.
///
/// On whatever runtime it is called: state is asked for within a request's time, so that runtime should do little else.
pub fn serve_sessions(
    listener: TcpListener,
    store: SessionStore,
    tls: Option<Arc<Watched<ServerConfig>>>,
    stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send {
    let router = api::session_router(store);
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        tls,
    };
    api::serve_with(listener, router, limits, stop)
}

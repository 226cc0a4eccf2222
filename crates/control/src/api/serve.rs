//! Accepts the API's connections.
//!
//! Not `axum::serve`: that has no limit on connections and none on the time for a request's head.

use std::{sync::Arc, time::Duration};

use axum::Router;
use foreshift_tls::Watched;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::stop::stopped;

/// Connections of the API served at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that open requests get to end on shutdown.
const GRACE: Duration = Duration::from_secs(2);
/// Pause after a failed accept: a full file-descriptor table would otherwise make this a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a listener serves.
pub(crate) struct Limits {
    /// Connections served at once; more wait in the kernel's queue.
    pub(crate) connections_max: usize,
    /// In the clear where absent.
    pub(crate) tls: Option<Arc<Watched<ServerConfig>>>,
}

/// Serves the API until `stop` turns true.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        tls: None,
    };
    serve_with(listener, router, limits, stop).await;
}

/// Serves `router` until `stop` turns true.
pub(crate) async fn serve_with(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stopped(&mut stop) => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let (router, watcher) = (router.clone(), graceful.watcher());
        let tls = limits.tls.as_ref().map(|tls| TlsAcceptor::from(tls.current()));
        tokio::spawn(async move {
            match tls {
                None => connection(stream, router, watcher).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, router, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS of an API connection"),
                    Err(_) => tracing::debug!("no TLS of an API connection in time"),
                },
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("API requests were still open after {GRACE:?}");
    }
}

async fn connection<S>(stream: S, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(64 * 1024);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "API connection");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept an API connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

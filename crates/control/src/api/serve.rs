//! Accepts the API's connections.
//!
//! Not `axum::serve`: that has no limit on connections and none on the time for a request's head. Not hyper-util's graceful
//! shutdown either: that closes a connection which was accepted a moment ago before its first request is read, and then nobody
//! answers a client that was let in.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use foreshift_tls::Watched;
use hyper::{
    Response,
    header::{CONNECTION, HeaderValue},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
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
/// Time that a connection gets on shutdown for its first request, if it has not sent one. Less than [`GRACE`], so that one on which
/// nothing ever comes does not use that up.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
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
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let (closing, closes) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stopped(&mut stop) => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let tls = limits.tls.as_ref().map(|tls| TlsAcceptor::from(tls.current()));
        tokio::spawn(connection(stream, tls, router.clone(), closes.clone(), permit));
    }
    drop((listener, closes));
    closing.send_replace(true);
    // Each connection has a receiver.
    if timeout(GRACE, closing.closed()).await.is_err() {
        tracing::warn!("API requests were still open after {GRACE:?}");
    }
}

/// Serves one connection to its end; `_permit` stands for it until then.
async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    closes: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let Some(tls) = tls else {
        return http(stream, router, closes).await;
    };
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => http(stream, router, closes).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS of an API connection"),
        Err(_) => tracing::debug!("no TLS of an API connection in time"),
    }
}

async fn http<S>(stream: S, router: Router, closes: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(64 * 1024);
    let asked = AtomicBool::new(false);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        answer(router.call(request), closes.clone())
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut stop = closes.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopped(&mut stop) => None,
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        // Whoever was let in is answered. It closes by itself behind that answer.
        None if !asked.load(Ordering::Relaxed) => timeout(FIRST_REQUEST, connection.as_mut()).await.ok(),
        None => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "API connection");
    }
}

/// An answer; the last one of its connection where that is to close.
async fn answer(
    answering: impl Future<Output = Result<Response<Body>, Infallible>>,
    closes: watch::Receiver<bool>,
) -> Result<Response<Body>, Infallible> {
    let mut response = answering.await?;
    if *closes.borrow() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
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

//! HTTP/2, with prior knowledge in the clear or agreed on in a TLS handshake, and pools whose nodes speak it.
//!
//! Here requests are translated between versions, so hyper does both sides: the path that every HTTP/1.1 request
//! takes is `http1`. A session moves between two requests; a stream that is under way stays where it is.

mod answer;
mod body;
mod instruct;
mod rewind;
mod translate;
mod upstream;

use std::{
    cell::Cell,
    future::Future,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use foreshift_tls::Identity;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;

use self::{answer::Answering, rewind::Rewind};
use crate::{
    stream::Stream,
    worker::{Listener, Place, Pool, Worker},
};

pub(crate) use upstream::Upstreams;

/// Streams that one client connection may have open at once.
const STREAMS_MAX: u32 = 256;

/// Runs hyper's tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// What the streams of one connection share.
pub(super) struct ClientConnection {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: Rc<Listener>,
    pub(super) peer: SocketAddr,
    local: Option<SocketAddr>,
    /// Connections to nodes that only this client may use.
    own: Upstreams,
    pub(super) secure: bool,
    pub(super) identity: Option<Arc<Identity>>,
    /// A client was told to move, and has the whole answer that says so.
    pub(super) told: Notify,
    open: Cell<u32>,
    quiet_since: Cell<Instant>,
}

impl ClientConnection {
    pub(super) fn pool(&self) -> &Pool {
        &self.worker.pools[self.listener.pool]
    }

    /// Connections to the nodes that its streams may use.
    pub(super) fn upstreams(&self) -> &Upstreams {
        match self.pool().shares_connections() {
            true => &self.pool().http2,
            false => &self.own,
        }
    }

    fn idle_for(&self, now: Instant) -> Duration {
        if self.open.get() > 0 {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.quiet_since.get())
        }
    }
}

/// Serves a client until one side ends it. `begun`: what was read of the connection already.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    stream: Stream,
    begun: Vec<u8>,
    peer: SocketAddr,
    place: Place,
) {
    let limits = worker.limits().clone();
    let http2 = begun.starts_with(b"PRI ");
    let (secure, identity) = (stream.is_tls(), stream.identity().cloned());
    let io = TokioIo::new(Rewind::new(begun, stream));
    let client = Rc::new(ClientConnection {
        worker: worker.clone(),
        listener,
        peer,
        local: place.local(),
        own: Upstreams::default(),
        secure,
        identity,
        told: Notify::new(),
        open: Cell::new(0),
        quiet_since: Cell::new(Instant::now()),
    });
    let shared = client.clone();
    let service = service_fn(move |request| {
        let client = shared.clone();
        client.open.set(client.open.get() + 1);
        async move {
            let response = Answering::new(client).answer(request).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let ended = if http2 {
        let connection = hyper::server::conn::http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(limits.header_bytes)
            .keep_alive_interval(limits.idle_timeout.get())
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = idle_or_drained(&client, true) => connection.as_mut().graceful_shutdown(),
                () = client.told.notified() => connection.as_mut().graceful_shutdown(),
            }
        }
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout.get())
            .max_headers(usize::from(limits.headers))
            .max_buf_size((limits.header_bytes as usize).max(8192))
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = idle_or_drained(&client, false) => connection.as_mut().graceful_shutdown(),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Ready when the connection should end: it idled too long, or the worker drains.
///
/// HTTP/2 takes leave in two steps, so that no stream that is on its way is lost; that can begin at once. HTTP/1.1 can only
/// be ended while it idles, where idle connections are to end; else its next answer says that it does.
async fn idle_or_drained(client: &ClientConnection, http2: bool) {
    let limit = client.worker.limits().idle_timeout.get();
    loop {
        let idle = client.idle_for(Instant::now());
        let ends = match http2 {
            true => client.worker.draining(),
            false => client.worker.ends_idle(),
        };
        if idle >= limit || (ends && (http2 || idle > Duration::ZERO)) {
            // Asked once; then the connection is left to end.
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::select! {
            () = tokio::time::sleep((limit - idle).max(Duration::from_millis(100))), if !ends => {}
            () = tokio::time::sleep(Duration::from_millis(100)), if ends => {}
            () = client.worker.until_drained(), if http2 && !ends => {}
            () = client.worker.until_idle_ends(), if !http2 && !ends => {}
        }
    }
}

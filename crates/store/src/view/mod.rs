//! Sessions over the Redis protocol, so that any Redis client in any language is a client.
//!
//! A partition is a hash: `{session}:partition` its key, its keys the fields. What Redis has besides is not here; each command that
//! is not served is refused by name. Requests are read and answers written by own code that is bounded and total ([`Requests`]);
//! tests hold both against an independent implementation of the protocol.
//!
//! Who may do what, versions, fences and limits are [`Sessions`]' own: this is only a way in.

mod client;
mod command;
mod connection;
mod key;
mod limits;
mod perform;
mod reply;
mod request;
mod told;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls};

use self::{client::Client, command::Command, connection::Connection, perform::State};
pub use self::{
    limits::Limits,
    request::{Malformed, Request, RequestLimits, Requests},
};
use crate::{Sessions, Tokens};

/// Time that connections get to end after the signal to stop.
const GRACE: Duration = Duration::from_secs(2);
/// Pause after a failed accept: a full table of file descriptors would otherwise make this a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections are protected: asked for each, so that a certificate that was renewed is used.
pub type Tls = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// All that connections share.
struct View {
    state: State,
    tokens: Tokens,
    limits: Limits,
    tls: Option<Tls>,
}

/// Serves sessions until `stop` turns true; connections then end after the command that they carry out.
pub async fn serve(
    listener: TcpListener,
    sessions: Sessions,
    tokens: Tokens,
    tls: Option<Tls>,
    stop: watch::Receiver<bool>,
) {
    let limits = Limits::of(sessions.config());
    serve_within(limits, listener, sessions, tokens, tls, stop).await;
}

/// The same, within other limits.
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    sessions: Sessions,
    tokens: Tokens,
    tls: Option<Tls>,
    mut stop: watch::Receiver<bool>,
) {
    let view = Arc::new(View {
        state: State::new(sessions),
        tokens,
        limits,
        tls,
    });
    let mut connections = JoinSet::new();
    for id in 1.. {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if connections.len() >= limits.connections => turn_away(&stream),
            Ok((stream, address)) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(view.clone().connected(stream, id, address, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of the Redis view");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, all).await.is_err() {
        tracing::warn!("connections of the Redis view were still busy after {GRACE:?}");
    }
}

/// Whether a request is one that is served.
pub(crate) fn understand(words: Vec<Bytes>) -> Result<(), String> {
    Command::parse(words).map(drop)
}

/// As Redis says it. Where not even that fits into the socket, it is only closed.
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
}

impl View {
    async fn connected(
        self: Arc<Self>,
        stream: TcpStream,
        id: u64,
        address: SocketAddr,
        stop: watch::Receiver<bool>,
    ) {
        let Some(tls) = &self.tls else {
            return self.speak(stream, id, address, stop).await;
        };
        let acceptor = TlsAcceptor::from(tls());
        match timeout(self.limits.greeting, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, id, address, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS of the Redis view"),
            Err(_) => tracing::debug!("a client of the Redis view did not finish its TLS handshake"),
        }
    }

    async fn speak<S>(&self, stream: S, id: u64, address: SocketAddr, stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite,
    {
        let client = Client::new(self.tokens.clone(), id, Some(address));
        let end = Connection::new(stream, client, &self.state, &self.limits)
            .serve(stop)
            .await;
        tracing::debug!(%end, "a connection of the Redis view ended");
    }
}

#[cfg(test)]
mod tests;

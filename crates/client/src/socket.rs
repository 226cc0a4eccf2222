//! The socket as its user sees it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, Stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use crate::{
    core::{Message, Persistence},
    driver::{Driver, Wish},
};

/// Messages that lie ready for the user, and that lie ready to be sent.
const AHEAD: usize = 32;

/// What went wrong for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket has closed, and is not opened again.
    #[error("the socket has closed with code {code}: {reason}")]
    Closed {
        /// Close code; 1006 where it could not be opened, or not be opened again.
        code: u16,
        /// What was said with it.
        reason: String,
    },
}

/// How a socket connects and how persistent it is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Subprotocols, beside `foreshift.v1`.
    pub protocols: Vec<String>,
    /// Further headers of the handshake.
    pub headers: Vec<(String, String)>,
    /// For `wss:` addresses; without it they cannot be opened.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Back-off and limits.
    pub persistence: Persistence,
    /// Time to open a connection.
    pub connect_within: Duration,
    /// Bytes that may wait while there is no connection; beyond it sending waits.
    pub waiting_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocols: Vec::new(),
            headers: Vec::new(),
            tls: None,
            persistence: Persistence::default(),
            connect_within: Duration::from_secs(10),
            waiting_bytes_max: 1 << 20,
        }
    }
}

/// One continuous WebSocket, whatever connections it goes over.
///
/// A stream of the messages that come, in their order, which ends when the socket has closed; the last item is an error where
/// that was not in order (codes other than 1000 and 1005). And a sink of messages. When it is dropped, the connection is closed
/// with 1001.
#[derive(Debug)]
pub struct Socket {
    wishes: PollSender<Wish>,
    deliveries: mpsc::Receiver<Result<Message, Error>>,
    migrations: Arc<AtomicU64>,
}

impl Socket {
    /// Opens a socket at a `ws:` or `wss:` address. Must be called on a tokio runtime.
    pub async fn connect(url: impl Into<String>, options: Options) -> Result<Self, Error> {
        let (wishes, wished) = mpsc::channel(AHEAD);
        let (delivered, deliveries) = mpsc::channel(AHEAD);
        let (ready, readiness) = oneshot::channel();
        let migrations = Arc::new(AtomicU64::new(0));
        let driver = Driver::new(url.into(), options, wished, delivered, ready, migrations.clone());
        tokio::spawn(driver);
        match readiness.await {
            Ok(ready) => ready?,
            Err(_) => return Err(gone()),
        }
        Ok(Self {
            wishes: PollSender::new(wishes),
            deliveries,
            migrations,
        })
    }

    /// How often the socket has followed an instruction to another connection.
    pub fn migrations(&self) -> u64 {
        self.migrations.load(Ordering::Relaxed)
    }

    /// Closes the socket; what still comes can be read until the stream ends. Codes: 1000, and 3000 to 4999.
    pub async fn close(&mut self, code: u16, reason: &str) {
        let reason = reason.into();
        if std::future::poll_fn(|cx| self.wishes.poll_reserve(cx))
            .await
            .is_ok()
        {
            let _ = self.wishes.send_item(Wish::Close { code, reason });
        }
    }
}

fn gone() -> Error {
    Error::Closed {
        code: 1006,
        reason: "the socket has ended".into(),
    }
}

impl Stream for Socket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.deliveries.poll_recv(cx)
    }
}

impl Sink<Message> for Socket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wishes.poll_reserve(cx).map_err(|_| gone())
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.wishes.send_item(Wish::Send(message)).map_err(|_| gone())
    }

    /// What was taken is sent as soon as it can be; there is nothing to push.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.wishes.is_closed() {
            return Poll::Ready(Ok(()));
        }
        self.wishes.poll_reserve(cx).map(|reserved| {
            if reserved.is_ok() {
                let (code, reason) = (1000, String::new());
                let _ = self.wishes.send_item(Wish::Close { code, reason });
            }
            Ok(())
        })
    }
}

//! Failing on request: which step, and how.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What a backend is asked for when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A new connection.
    Accept,
    /// `GET /healthz`.
    Health,
    /// Any other HTTP request than those named here.
    Request,
    /// A WebSocket handshake.
    Handshake,
    /// A WebSocket message.
    Message,
    /// `POST /handoff`.
    Handoff,
    /// `POST /resume`.
    Resume,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Says no: closed port, status 503, close code 1011.
    Refuse,
    /// Resets the connection.
    Reset,
    /// Says nothing, and keeps the connection open.
    Stall,
    /// Answers with bytes that are neither HTTP nor a WebSocket frame.
    Garbage,
    /// Is gone as a whole, as after a crash.
    Die,
}

/// Which steps fail now.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<HashMap<Step, Fault>>);

impl Faults {
    pub(super) fn set(&self, step: Step, fault: Fault) {
        self.lock().insert(step, fault);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn at(&self, step: Step) -> Option<Fault> {
        self.lock().get(&step).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Step, Fault>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

const SOUND: u8 = 0;
const GARBLE: u8 = 1;
const RESET: u8 = 2;

/// Lets a handler spoil the connection that its answer travels on.
#[derive(Debug, Clone, Default)]
pub(super) struct Spoiler(Arc<AtomicU8>);

impl Spoiler {
    /// From now on every byte written is another one.
    pub(super) fn garble(&self) {
        self.0.store(GARBLE, Relaxed);
    }

    /// The next write resets the connection.
    pub(super) fn reset(&self) {
        self.0.store(RESET, Relaxed);
    }
}

/// A TCP stream that can be spoiled.
#[derive(Debug)]
pub(super) struct Spoilable {
    stream: TcpStream,
    spoiler: Spoiler,
}

impl Spoilable {
    pub(super) fn new(stream: TcpStream, spoiler: Spoiler) -> Self {
        Self { stream, spoiler }
    }
}

/// Closes a stream with a reset rather than in order.
pub(super) fn reset(stream: &TcpStream) {
    // Without linger the close is an orderly one, which is the worst that can happen here.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

impl AsyncRead for Spoilable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Spoilable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.spoiler.0.load(Relaxed) {
            GARBLE => {
                // 0xFF is no HTTP, and as a frame it has an opcode and reserved bits that do not exist.
                let garbage = vec![0xFF; bytes.len()];
                Pin::new(&mut self.stream).poll_write(cx, &garbage)
            }
            RESET => {
                reset(&self.stream);
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            SOUND.. => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

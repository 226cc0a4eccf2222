//! A connection to a client or a node, whatever protects it on the way.
//!
//! Readiness and non-blocking calls as of a TCP socket, through `&self`: one task reads and writes at once without
//! splitting it, and an idle connection holds no buffer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use foreshift_tls::Identity;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::tls::TlsStream;

/// One connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Under TLS, after the handshake.
    Tls(Box<TlsStream>),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

/// A connection on its way to another thread.
#[derive(Debug)]
pub(crate) enum Portable {
    /// As [`Stream::Plain`].
    Plain(std::net::TcpStream),
    /// As [`Stream::Tls`].
    Tls(Box<crate::tls::PortableTls>),
}

impl Portable {
    /// Arrives on this thread's runtime.
    pub(crate) fn arrive(self) -> io::Result<Stream> {
        match self {
            Self::Plain(socket) => Ok(TcpStream::from_std(socket)?.into()),
            Self::Tls(stream) => Ok(Stream::Tls(Box::new(stream.arrive()?))),
        }
    }
}

impl Stream {
    /// Leaves this thread's runtime.
    pub(crate) fn leave(self) -> io::Result<Portable> {
        match self {
            Self::Plain(socket) => Ok(Portable::Plain(socket.into_std()?)),
            Self::Tls(stream) => Ok(Portable::Tls(Box::new(stream.leave()?))),
        }
    }

    /// Whether nobody on the way can read or change it.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Who the peer is by its certificate, where it showed one that was verified.
    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.identity(),
        }
    }

    /// The socket, where it carries just what is read and written.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(_) => None,
        }
    }

    /// Ready once a read is worth trying; it may still find nothing. Sends what [`Self::try_write`] could not hand to the
    /// socket.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Ready once a write is worth trying.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_write_ready(cx),
            Self::Tls(stream) => stream.poll_write_ready(cx),
        }
    }

    /// As [`Self::poll_read_ready`].
    pub(crate) async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_read_ready(cx)).await
    }

    /// Reads what is there; 0 is the end, `WouldBlock` nothing. Under TLS an end that the peer did not announce is
    /// `UnexpectedEof`.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(buffer),
            Self::Tls(stream) => stream.try_read(buffer),
        }
    }

    /// Writes what fits now, or `WouldBlock`.
    ///
    /// Under TLS, what is written may still wait for the socket. Every further call sends it, waiting to read included; who
    /// does nothing more with the connection for a while waits for [`Self::poll_flush`] first.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            Self::Tls(stream) => stream.try_write(bytes),
        }
    }

    /// As [`Self::try_write`], of several parts.
    fn try_write_vectored(&self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(parts),
            Self::Tls(stream) => match parts.iter().find(|part| !part.is_empty()) {
                Some(part) => stream.try_write(part),
                None => Ok(0),
            },
        }
    }

    /// Hands what was written to the socket. False where it does not take all of it now.
    pub(crate) fn try_flush(&self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(stream) => stream.try_flush(),
        }
    }

    /// Ready once the socket has taken all that was written.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.poll_flush(cx),
        }
    }

    /// Ready once it is said that nothing more is written.
    pub(crate) fn poll_shutdown_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => {
                Poll::Ready(socket2::SockRef::from(socket).shutdown(std::net::Shutdown::Write))
            }
            Self::Tls(stream) => stream.poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Self::Plain(socket) = &mut *self {
            // It knows that a read which did not fill the buffer has emptied the socket, and saves the next one.
            return Pin::new(socket).poll_read(cx, buffer);
        }
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read(buffer.initialize_unfilled()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
                Ok(n) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.poll_write_ready(cx))?,
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write_vectored(parts) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(self.poll_write_ready(cx))?,
                other => return Poll::Ready(other),
            }
        }
    }

    /// Records are made of one piece of memory: what comes in parts is better joined before.
    fn is_write_vectored(&self) -> bool {
        !self.is_tls()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shutdown_write(cx)
    }
}

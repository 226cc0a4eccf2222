//! The handshake, of either side.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use super::stream::TlsStream;
use crate::io::Deadline;

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the handshake took too long")]
    Timeout,
    #[error("the connection ended in the handshake")]
    Ended,
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Tls(rustls::Error),
}

/// Shakes hands. An alert that tells the peer why it failed is sent as far as the socket takes it.
pub(super) async fn shake_hands(stream: &mut TlsStream, deadline: &mut Deadline) -> Result<(), Failure> {
    poll_fn(|cx| poll_hands(stream, deadline, cx)).await?;
    stream.identify();
    Ok(())
}

fn poll_hands(
    stream: &TlsStream,
    deadline: &mut Deadline,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    loop {
        let done = stream.handshake_step().map_err(|error| {
            let _ = stream.try_flush();
            Failure::Tls(error)
        })?;
        let waiting = match stream.poll_flush(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::Io(e))),
            Poll::Ready(Ok(())) if done => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => stream.socket().poll_read_ready(cx),
        };
        match waiting {
            Poll::Pending => {
                ready!(deadline.poll_passed(cx));
                return Poll::Ready(Err(Failure::Timeout));
            }
            Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::Io(e))),
            Poll::Ready(Ok(())) => {}
        }
        match stream.handshake_read() {
            Ok(0) => return Poll::Ready(Err(Failure::Ended)),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Poll::Ready(Err(Failure::Io(e))),
        }
    }
}

//! One direction of an opaque connection.
//!
//! Little is copied, much is spliced: a message of some bytes costs one read and one write, and a bulk transfer never
//! comes to our memory. Nothing is read while something is left to write, so a slow receiver slows its sender.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

use super::pipe::Pipe;
use crate::{stream::Stream, worker::Worker};

/// Turns before another connection's: more would let a bulk transfer keep a worker.
const TURNS: usize = 16;
/// A read of so much is taken for the beginning of a bulk transfer, and a splice of less for its end.
const BULK: usize = 32 * 1024;

/// What passed in one poll.
#[derive(Default)]
pub(super) struct Moved {
    pub(super) bytes: u64,
}

/// What was read and not written yet.
#[derive(Default)]
enum Pending {
    #[default]
    Nothing,
    Bytes {
        bytes: Vec<u8>,
        written: usize,
    },
    Piped {
        pipe: Pipe,
        left: usize,
    },
}

/// One direction.
#[derive(Default)]
pub(super) struct Half {
    pending: Pending,
    bulk: bool,
    /// The sender has ended.
    ended: bool,
    /// The receiver was told.
    told: bool,
}

impl Half {
    /// Passes on what there is. Ready once the sender has ended and the receiver was told, or one of them broke.
    pub(super) fn poll(
        &mut self,
        from: &mut Stream,
        to: &mut Stream,
        worker: &Worker,
        moved: &mut Moved,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURNS {
            ready!(self.poll_flush(to, worker, cx))?;
            ready!(to.poll_flush(cx))?;
            if self.ended {
                if !self.told {
                    ready!(to.poll_shutdown_write(cx))?;
                    self.told = true;
                }
                return Poll::Ready(Ok(()));
            }
            let n = match self.splice(from, to, worker) {
                Some(Ok(n)) => n,
                Some(Err(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    ready!(from.poll_read_ready(cx))?;
                    continue;
                }
                Some(Err(e)) => return Poll::Ready(Err(e)),
                None => ready!(self.poll_copy(from, to, worker, cx))?,
            };
            moved.bytes += n as u64;
            self.ended = n == 0;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads into the worker's memory and writes at once; keeps only what the receiver does not take.
    fn poll_copy(
        &mut self,
        from: &mut Stream,
        to: &Stream,
        worker: &Worker,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut scratch = worker.scratch.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        let bytes = buffer.filled();
        self.bulk = bytes.len() >= BULK;
        let mut written = 0;
        while written < bytes.len() {
            match to.try_write(&bytes[written..]) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.pending = Pending::Bytes {
                        bytes: bytes[written..].to_vec(),
                        written: 0,
                    };
                    break;
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// Takes what is there into a pipe. `None` where it is not bulk, or cannot be spliced.
    fn splice(&mut self, from: &Stream, to: &Stream, worker: &Worker) -> Option<io::Result<usize>> {
        if !self.bulk {
            return None;
        }
        let (from, _) = from.plain().zip(to.plain())?;
        let pipe = worker.pipes.take()?;
        Some(match pipe.fill(from) {
            Ok(n) => {
                self.bulk = n >= BULK;
                if n == 0 {
                    worker.pipes.put(pipe);
                } else {
                    self.pending = Pending::Piped { pipe, left: n };
                }
                Ok(n)
            }
            Err(e) => {
                worker.pipes.put(pipe);
                if super::pipe::is_refused(&e) {
                    worker.pipes.give_up(&e);
                    self.bulk = false;
                    return None;
                }
                Err(e)
            }
        })
    }

    fn poll_flush(&mut self, to: &Stream, worker: &Worker, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let result = match &mut self.pending {
                Pending::Nothing => return Poll::Ready(Ok(())),
                Pending::Bytes { bytes, written } if *written == bytes.len() => {
                    self.pending = Pending::Nothing;
                    return Poll::Ready(Ok(()));
                }
                Pending::Bytes { bytes, written } => {
                    to.try_write(&bytes[*written..]).inspect(|n| *written += n)
                }
                Pending::Piped { left: 0, .. } => {
                    if let Pending::Piped { pipe, .. } = std::mem::take(&mut self.pending) {
                        worker.pipes.put(pipe);
                    }
                    return Poll::Ready(Ok(()));
                }
                Pending::Piped { pipe, left } => match to.plain() {
                    Some(to) => pipe.drain(to, *left).inspect(|n| *left -= n),
                    None => Err(io::ErrorKind::Unsupported.into()),
                },
            };
            match result {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(to.poll_write_ready(cx))?,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Gives back what it held. A pipe with something in it is of no use to anybody else.
    pub(super) fn rest(self, worker: &Worker) {
        if let Pending::Piped { .. } = self.pending {
            worker.pipes.lost();
        }
    }
}

//! Pipes, which `splice(2)` moves bytes through from one socket to another without a copy.
//!
//! A connection has one only while there is something in it. One worker's connections share theirs, and there are only
//! so many: a pipe is two descriptors and some memory of the kernel, and receivers that stopped reading keep theirs.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
};

use tokio::net::TcpStream;

/// Pipes of one worker, in use or kept.
const PIPES_MAX: usize = 256;
/// Pipes kept for the next transfer.
const KEPT_MAX: usize = 16;
/// What a pipe should hold; where the system allows less, it holds less. Measured: with 1 MiB a bulk transfer cost a third more CPU
/// and was half as fast, as what waits in it has left the processor's caches.
const CAPACITY: usize = 128 * 1024;

/// The pipes of one worker.
#[derive(Default)]
pub(crate) struct Pipes {
    kept: RefCell<Vec<Pipe>>,
    made: Cell<usize>,
    /// The system does not let us splice.
    refused: Cell<bool>,
}

impl Pipes {
    /// An empty pipe; `None` where there are enough, or none can be had. Then bytes are copied.
    pub(super) fn take(&self) -> Option<Pipe> {
        if self.refused.get() {
            return None;
        }
        if let Some(pipe) = self.kept.borrow_mut().pop() {
            return Some(pipe);
        }
        if self.made.get() >= PIPES_MAX {
            return None;
        }
        let pipe = Pipe::new().ok()?;
        self.made.set(self.made.get() + 1);
        Some(pipe)
    }

    /// Takes a pipe back that is empty.
    pub(super) fn put(&self, pipe: Pipe) {
        let mut kept = self.kept.borrow_mut();
        match kept.len() < KEPT_MAX {
            true => kept.push(pipe),
            false => self.lost(),
        }
    }

    /// A pipe was closed.
    pub(super) fn lost(&self) {
        self.made.set(self.made.get().saturating_sub(1));
    }

    /// Copies from now on.
    pub(super) fn give_up(&self, error: &io::Error) {
        if !self.refused.replace(true) {
            tracing::warn!(%error, "splice(2) is not allowed here; TCP connections are copied");
        }
    }
}

/// Whether it was the call that failed, and not the connection.
pub(super) fn is_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

/// One pipe.
pub(super) struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

#[cfg(target_os = "linux")]
impl Pipe {
    fn new() -> io::Result<Self> {
        use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // The system may allow less without a privilege; then it stays as it is.
        let _ = fcntl_setpipe_size(&into, CAPACITY);
        Ok(Self { out, into })
    }

    /// Takes what a socket has, as much as fits; the pipe is empty before. 0 is the end.
    pub(super) fn fill(&self, from: &TcpStream) -> io::Result<usize> {
        from.try_io(tokio::io::Interest::READABLE, || {
            splice(from, &self.into, CAPACITY)
        })
    }

    /// Gives a socket what is in it, `left` bytes.
    pub(super) fn drain(&self, to: &TcpStream, left: usize) -> io::Result<usize> {
        to.try_io(tokio::io::Interest::WRITABLE, || splice(&self.out, to, left))
    }
}

#[cfg(target_os = "linux")]
fn splice(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd, length: usize) -> io::Result<usize> {
    use rustix::pipe::SpliceFlags;
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, to, None, length, flags)?)
}

#[cfg(not(target_os = "linux"))]
impl Pipe {
    fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn fill(&self, _from: &TcpStream) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn drain(&self, _to: &TcpStream, _left: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

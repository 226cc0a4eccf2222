//! One direction of a connection in frames: where they stand, and what could not be written yet.

use std::io;

use crate::stream::Stream;

/// `T` follows the frames.
pub(crate) struct Flow<T> {
    pub(crate) tracker: T,
    unsent: Vec<u8>,
    sent: usize,
    /// The stream has taken everything, its socket not yet.
    on_its_way: bool,
    muted: bool,
}

impl<T> Flow<T> {
    pub(crate) fn new(tracker: T) -> Self {
        Self {
            tracker,
            unsent: Vec::new(),
            sent: 0,
            on_its_way: false,
            muted: false,
        }
    }

    /// From now on nothing is added: the other side has taken leave.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    /// Everything was written, and taken by the socket.
    pub(crate) fn is_flushed(&self) -> bool {
        self.sent == self.unsent.len() && !self.on_its_way
    }

    /// Writes what is kept. False where the other side takes no more now.
    pub(crate) fn flush(&mut self, to: &Stream) -> io::Result<bool> {
        while self.sent < self.unsent.len() {
            match to.try_write(&self.unsent[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        self.discard();
        self.on_its_way = !to.try_flush()?;
        Ok(!self.on_its_way)
    }

    /// Writes `bytes` behind what is kept; keeps what the other side does not take. Errors show at the next flush.
    pub(crate) fn send(&mut self, to: &Stream, bytes: &[u8]) {
        if self.muted {
            return;
        }
        let mut written = 0;
        if self.is_flushed() {
            written = to.try_write(bytes).unwrap_or(0);
            self.on_its_way = !to.try_flush().unwrap_or(true);
        }
        self.keep(&bytes[written..]);
    }

    /// Keeps `bytes` to be written behind the rest.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        if self.muted {
            return;
        }
        self.unsent.extend_from_slice(bytes);
    }

    /// Forgets what is kept, and its memory.
    pub(crate) fn discard(&mut self) {
        self.unsent = Vec::new();
        self.sent = 0;
        self.on_its_way = false;
    }

    /// What is kept.
    pub(crate) fn unsent(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }
}

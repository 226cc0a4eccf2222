//! One direction of a WebSocket: where its frames stand, and what could not be written yet.

use std::io;

use super::frame::FrameTracker;
use crate::stream::Stream;

pub(super) struct Flow {
    pub(super) tracker: FrameTracker,
    unsent: Vec<u8>,
    sent: usize,
    /// The stream has taken everything, its socket not yet.
    on_its_way: bool,
    muted: bool,
}

impl Flow {
    pub(super) fn new(tracker: FrameTracker) -> Self {
        Self {
            tracker,
            unsent: Vec::new(),
            sent: 0,
            on_its_way: false,
            muted: false,
        }
    }

    /// From now on nothing is added: the other side has taken leave.
    pub(super) fn mute(&mut self) {
        self.muted = true;
    }

    /// Everything was written, and taken by the socket.
    pub(super) fn is_flushed(&self) -> bool {
        self.sent == self.unsent.len() && !self.on_its_way
    }

    /// Writes what is kept. False where the other side takes no more now.
    pub(super) fn flush(&mut self, to: &Stream) -> io::Result<bool> {
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
    pub(super) fn send(&mut self, to: &Stream, bytes: &[u8]) {
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
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if self.muted {
            return;
        }
        self.unsent.extend_from_slice(bytes);
    }

    /// Forgets what is kept, and its memory.
    pub(super) fn discard(&mut self) {
        self.unsent = Vec::new();
        self.sent = 0;
        self.on_its_way = false;
    }

    /// What is kept.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }
}

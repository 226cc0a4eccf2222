//! Reading and writing with deadlines that cost nothing while they are met, and buffers that idle connections
//! do not hold.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use crate::stream::Stream;

/// A deadline that is moved with every request but armed only when it might pass.
///
/// Setting a timer for each request costs more than the request's own bookkeeping. So one timer, once armed,
/// is left where it is while deadlines move away from it; when it fires early it is armed anew.
#[derive(Default)]
pub(crate) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Option<Instant>,
}

impl Deadline {
    /// From now on, this is the deadline.
    pub(crate) fn set(&mut self, at: Instant) {
        self.at = Some(at);
    }

    /// Sets the deadline so far from now.
    pub(crate) fn after(&mut self, span: Duration) {
        self.set(Instant::now() + span);
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        if sleep.deadline() > at.into() {
            sleep.as_mut().reset(at.into());
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at.into());
        }
    }
}

/// Reads what is there into `buffer`; `TimedOut` once the deadline has passed. 0 is the end.
pub(crate) async fn read(stream: &Stream, buffer: &mut [u8], deadline: &mut Deadline) -> io::Result<usize> {
    poll_fn(|cx| poll_read(stream, buffer, deadline, cx)).await
}

pub(crate) fn poll_read(
    stream: &Stream,
    buffer: &mut [u8],
    deadline: &mut Deadline,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        match stream.poll_read_ready(cx) {
            Poll::Ready(ready) => ready?,
            Poll::Pending => {
                ready!(deadline.poll_passed(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        match stream.try_read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}

/// Writes all of `bytes` to the socket; `TimedOut` once the deadline has passed.
pub(crate) async fn write_all(stream: &Stream, mut bytes: &[u8], deadline: &mut Deadline) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| until(stream.poll_write_ready(cx), deadline, cx)).await?;
            }
            Err(e) => return Err(e),
        }
    }
    if stream.try_flush()? {
        return Ok(());
    }
    poll_fn(|cx| until(stream.poll_flush(cx), deadline, cx)).await
}

/// What was polled, or `TimedOut` once the deadline has passed.
fn until(
    polled: Poll<io::Result<()>>,
    deadline: &mut Deadline,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if polled.is_pending() {
        ready!(deadline.poll_passed(cx));
        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
    }
    polled
}

/// Ends a connection so that what was written last arrives: a plain close discards it where the other side
/// sent something that was not read.
pub(crate) async fn linger(stream: Stream) {
    let mut deadline = Deadline::default();
    deadline.after(Duration::from_secs(1));
    let told = poll_fn(|cx| until(stream.poll_shutdown_write(cx), &mut deadline, cx)).await;
    if told.is_err() {
        return;
    }
    let mut sink = [0; 1024];
    for _ in 0..1024 {
        if !matches!(read(&stream, &mut sink, &mut deadline).await, Ok(n) if n > 0) {
            return;
        }
    }
}

/// Bytes read and not used yet.
#[derive(Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// What is there.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `n` bytes of what is there.
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(self.start + n <= self.end, "no more is consumed than is there");
        self.start += n;
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads more behind what is there, up to `limit` bytes in all. 0 is the end; `OutOfMemory` where the limit
    /// is reached.
    pub(crate) async fn read_more(
        &mut self,
        stream: &Stream,
        limit: usize,
        deadline: &mut Deadline,
    ) -> io::Result<usize> {
        self.make_room(limit)?;
        let n = read(stream, &mut self.bytes[self.end..], deadline).await?;
        self.end += n;
        Ok(n)
    }

    /// As [`Self::read_more`], of what is there now; else `WouldBlock`.
    pub(crate) fn read_now(&mut self, stream: &Stream, limit: usize) -> io::Result<usize> {
        self.make_room(limit)?;
        let n = stream.try_read(&mut self.bytes[self.end..])?;
        self.end += n;
        Ok(n)
    }

    fn make_room(&mut self, limit: usize) -> io::Result<()> {
        if self.end - self.start >= limit {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            let larger = (self.bytes.len() * 2).clamp(BUFFER, limit.max(BUFFER));
            self.bytes.resize(larger, 0);
        }
        Ok(())
    }

    /// Gives the memory back while there is nothing in it.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        if self.is_empty() && !self.bytes.is_empty() {
            buffers.put(std::mem::take(&mut self.bytes));
        }
    }

    /// Takes memory for the next read.
    pub(crate) fn wake(&mut self, buffers: &Buffers) {
        if self.bytes.is_empty() {
            self.bytes = buffers.take();
        }
    }

    /// What is there, taken out.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes.drain(..self.start);
        self.bytes
    }
}

/// Size of the buffers that heads and short answers are read into.
pub(crate) const BUFFER: usize = 16 * 1024;
/// Size of the buffers that long answers are passed on with.
pub(crate) const LARGE_BUFFER: usize = 64 * 1024;
/// Bytes that a pool keeps at most.
const KEPT_MAX: usize = 4 * 1024 * 1024;

/// Buffers of one size that one worker's connections take and give back.
pub(crate) struct Buffers {
    size: usize,
    kept: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            kept: RefCell::default(),
        }
    }

    pub(crate) fn take(&self) -> Vec<u8> {
        self.kept.borrow_mut().pop().unwrap_or_else(|| vec![0; self.size])
    }

    pub(crate) fn put(&self, buffer: Vec<u8>) {
        let mut kept = self.kept.borrow_mut();
        if buffer.len() == self.size && kept.len() < KEPT_MAX / self.size {
            kept.push(buffer);
        }
    }
}

//! Sessions in a redb file of this process: durable once acknowledged.
//!
//! One thread writes, with one `fsync` for all that waits; whoever reads does so itself, from a snapshot. Reads of more than
//! [`INLINE_BYTES`] go to a thread for blocking work. What is hot is in redb's cache; what is not costs the reader a read from the file.

mod apply;
mod file;
mod layout;
mod overlay;
mod read;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::{path::Path, sync::Arc};

use foreshift_wire::{PartitionName, SessionId};
use redb::{Database, ReadTransaction};
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::{
    layout::{RECORDS, STATE, State},
    read::Fault,
    shared::{Reopen, Shared},
    writer::{Answer, Message, Request, Waiting, Writer},
};
use super::{Cursor, Engine, Head, Outcome, Page, Record, Rows, Select, Write};
use crate::{BoxFuture, Error};

/// Partitions of more bytes are read whole by another thread.
const INLINE_BYTES: u64 = 128 * 1024;
/// Requests that wait for the writer.
const WAITING_MAX: usize = 4_096;
/// Memory of the requests that wait, in KiB.
const WAITING_KIB: u32 = 64 * 1024;

/// Keeps sessions in a file.
pub struct Embedded {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
}

impl Embedded {
    /// Opens a file and checks it, or makes it where there is none; the cache has `cache_bytes`. Blocks while it does.
    ///
    /// [`Error::File`] names the file where it is damaged, of another format, locked by another process, or cannot be
    /// made. It stays as it is then.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let cache = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
        let database = file::open(path, cache)?;
        let again = path.to_owned();
        Self::start(path, database, Box::new(move || file::reopen(&again, cache)))
    }

    fn start(path: &Path, database: Database, reopen: Reopen) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(path.to_owned(), database, reopen));
        let (writer, requests) = mpsc::channel(WAITING_MAX);
        let thread = Writer {
            shared: Arc::clone(&shared),
            requests,
            failed: None,
        };
        let started = std::thread::Builder::new()
            .name("sessions".into())
            .spawn(move || thread.run());
        started.map_err(|e| file::At(path).error(format!("no thread could be started to write it: {e}")))?;
        let room = Arc::new(Semaphore::new(WAITING_KIB as usize));
        Ok(Self { shared, writer, room })
    }

    async fn ask(&self, request: Request, bytes: usize) -> Result<Answer, Error> {
        let kib = u32::try_from(bytes / 1024)
            .unwrap_or(WAITING_KIB)
            .clamp(1, WAITING_KIB);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        let room = room.map_err(|_| self.shared.closed())?;
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            request,
            reply,
            _room: room,
        };
        let sent = self.writer.send(Message::Do(Box::new(waiting))).await;
        sent.map_err(|_| self.shared.closed())?;
        // Taken from the queue, and not answered.
        answer.await.map_err(|_| Error::Unavailable {
            detail: format!("{} was closed", self.shared.path.display()),
            unknown: true,
        })?
    }

    async fn ask_record(&self, request: Request) -> Result<Result<(), Option<Record>>, Error> {
        // A record has some hundred bytes.
        match self.ask(request, 1024).await? {
            Answer::Record(done) => Ok(done),
            Answer::Write(_) => Err(self.shared.closed()),
        }
    }

    /// Reads here and now.
    fn snapshot<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, Fault>) -> Result<T, Error> {
        let read = self.shared.read(work);
        if read.is_err() && !self.shared.is_open() {
            // The writer opens it again, also while nobody writes. Where it is busy it will see for itself.
            let _ = self.writer.try_send(Message::OpenAgain);
        }
        read
    }

    async fn rows(
        &self,
        session: SessionId,
        name: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> Result<Option<Rows>, Error> {
        let is_whole = matches!(select, Select::All | Select::Since(_));
        let is_inline = |head: &State| !is_whole || head.bytes <= INLINE_BYTES;
        let (again, wanted) = (name.clone(), select.clone());
        let first =
            self.snapshot(|transaction| rows(transaction, session, name, select, now_ms, is_inline))?;
        match first {
            Read::Rows(rows) => Ok(rows),
            Read::Large => {
                let shared = Arc::clone(&self.shared);
                let work = move || {
                    shared.read(|transaction| rows(transaction, session, again, wanted, now_ms, |_| true))
                };
                let read = tokio::task::spawn_blocking(work).await;
                match read.map_err(|_| self.shared.closed())?? {
                    Read::Rows(rows) => Ok(rows),
                    Read::Large => Ok(None),
                }
            }
        }
    }
}

enum Read {
    Rows(Option<Rows>),
    /// Too much to read here.
    Large,
}

fn rows(
    transaction: &ReadTransaction,
    session: SessionId,
    name: PartitionName,
    select: Select,
    now_ms: u64,
    may_read: impl Fn(&State) -> bool,
) -> Result<Read, Fault> {
    let state = transaction.open_table(STATE)?;
    match read::head(&state, session, &name)?.filter(|head| head.is_remembered(now_ms)) {
        Some(head) if !may_read(&head) => Ok(Read::Large),
        Some(head) => Ok(Read::Rows(Some(read::rows(&state, session, name, head, select)?))),
        None => Ok(Read::Rows(None)),
    }
}

impl Engine for Embedded {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        Box::pin(async move { self.snapshot(|t| read::record(&t.open_table(RECORDS)?, session)) })
    }

    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        let request = Request::PutRecord {
            session,
            expected,
            record,
        };
        Box::pin(self.ask_record(request))
    }

    fn clear(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        let request = Request::Clear {
            session,
            expected,
            record,
        };
        Box::pin(self.ask_record(request))
    }

    fn heads(&self, session: SessionId, now_ms: u64) -> BoxFuture<'_, Result<Vec<Head>, Error>> {
        Box::pin(async move { self.snapshot(|t| read::heads(&t.open_table(STATE)?, session, now_ms)) })
    }

    fn read(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> BoxFuture<'_, Result<Option<Rows>, Error>> {
        Box::pin(self.rows(session, partition, select, now_ms))
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>> {
        let size = |put: &super::Put| put.key.len() + put.value.as_ref().map_or(0, bytes::Bytes::len);
        let bytes = write.puts.iter().map(size).sum();
        Box::pin(async move {
            match self.ask(Request::Write(write), bytes).await? {
                Answer::Write(outcome) => Ok(outcome),
                Answer::Record(_) => Err(self.shared.closed()),
            }
        })
    }

    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>> {
        Box::pin(async move { self.snapshot(|t| read::page(&t.open_table(RECORDS)?, from.as_ref())) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (reply, closed) = oneshot::channel();
            if self.writer.send(Message::Close(reply)).await.is_ok() {
                // Without an answer it is closed already.
                let _ = closed.await;
            }
        })
    }
}

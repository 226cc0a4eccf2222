//! The one thread that writes.
//!
//! It takes all that waits, does it in one transaction of redb and acknowledges it when that is on disk. So one `fsync` serves many
//! callers, and the runtime's threads never wait for the disk.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foreshift_wire::SessionId;
use redb::{Database, ReadableTable};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    apply::Tables,
    file::{self, ABOUT},
    layout::{Malformed, RECORDS, STATE},
    read::Fault,
    shared::Shared,
};
use crate::{
    Error,
    engine::{Outcome, Record, Write},
};

/// Requests written with one `fsync`, at most.
const GROUP_MAX: usize = 1_024;
/// How long a file that could not be opened again is left alone.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// What is to be done.
pub(super) enum Request {
    Write(Write),
    PutRecord {
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    },
    Clear {
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    },
}

/// What came of it.
pub(super) enum Answer {
    Write(Outcome),
    /// Done, or the record is another one.
    Record(Result<(), Option<Record>>),
}

/// A request that waits for its answer.
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Answer, Error>>,
    /// Its share of the memory for what waits.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What the writer is told.
pub(super) enum Message {
    Do(Box<Waiting>),
    /// Readers found the file closed.
    OpenAgain,
    /// Close the file after what came before; answered once that is done.
    Close(oneshot::Sender<()>),
}

/// One for each request of a group.
type Answers = Vec<Result<Answer, Malformed>>;

/// State of the writer thread.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: mpsc::Receiver<Message>,
    /// When the file could not be opened again.
    pub(super) failed: Option<Instant>,
}

/// Why a group was not written.
struct Failure {
    error: Error,
    /// The number that the group's commit would have had; `None` where it came to none.
    commit: Option<u64>,
}

impl Writer {
    /// Serves until every handle is gone, or one of them asks to close.
    pub(super) fn run(mut self) {
        while let Some(first) = self.requests.blocking_recv() {
            let (group, close) = self.gather(first);
            self.serve(group);
            if let Some(close) = close {
                self.shared.close();
                // Whoever asked need not wait for the answer.
                let _ = close.send(());
                return;
            }
        }
        self.shared.close();
    }

    /// All that waits, up to a request to close.
    fn gather(&mut self, first: Message) -> (Vec<Waiting>, Option<oneshot::Sender<()>>) {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Do(waiting) => group.push(*waiting),
                Message::OpenAgain => {}
                Message::Close(reply) => return (group, Some(reply)),
            }
            let room = group.len() < GROUP_MAX;
            next = room.then(|| self.requests.try_recv().ok()).flatten();
        }
        (group, None)
    }

    fn serve(&mut self, group: Vec<Waiting>) {
        if !self.shared.is_open()
            && let Err(error) = self.open_again()
        {
            return refuse(group, &error, false);
        }
        if group.is_empty() {
            return;
        }
        let requests = group.iter().map(|waiting| &waiting.request);
        match self.write(requests) {
            Ok(answers) => {
                for (waiting, answer) in group.into_iter().zip(answers) {
                    // A caller that gave up waiting does not undo its request.
                    let answer = answer.map_err(|malformed| self.shared.error(malformed.into()));
                    let _ = waiting.reply.send(answer);
                }
            }
            Err(failure) => self.recover(group, &failure),
        }
    }

    fn write<'a>(&self, requests: impl Iterator<Item = &'a Request>) -> Result<Answers, Failure> {
        let mut commit = None;
        let written = self.shared.with(|database| {
            let written = self::write(database, requests, &mut commit);
            written.map_err(|fault| self.shared.error(fault))
        });
        written.map_err(|error| Failure { error, commit })
    }

    /// After a fault: whether the group is stored all the same is seen in the file.
    fn recover(&mut self, group: Vec<Waiting>, failure: &Failure) {
        let Failure { error, commit } = failure;
        tracing::error!(%error, writes = group.len(), "the session store could not be written; opening it again");
        let opened = self.open_again();
        let stored = opened.and_then(|()| {
            let read = |database: &Database| {
                file::commits(database).map_err(|e| self.shared.error(Fault::Storage(e)))
            };
            self.shared.with(read)
        });
        let unknown = match (commit, stored) {
            (None, _) => false,
            (Some(_), Err(_)) => true,
            (Some(commit), Ok(stored)) => stored >= *commit,
        };
        refuse(group, error, unknown);
    }

    fn open_again(&mut self) -> Result<(), Error> {
        if self.failed.is_some_and(|at| at.elapsed() < REOPEN_AFTER) {
            return Err(self.shared.closed());
        }
        let opened = self.shared.open_again();
        self.failed = opened.is_err().then(Instant::now);
        if let Err(error) = &opened {
            tracing::error!(%error, "the session store could not be opened again");
        }
        opened
    }
}

/// Writes a group durably: each on top of those before it. `commit` becomes the number of the commit once it is tried.
fn write<'a>(
    database: &Database,
    requests: impl Iterator<Item = &'a Request>,
    commit: &mut Option<u64>,
) -> Result<Answers, Fault> {
    let mut transaction = database.begin_write()?;
    // A second fsync, shared by the group. Without it a damaged last commit cannot be told from one that a crash cut
    // short, and would be rolled back silently although it was acknowledged.
    transaction.set_two_phase_commit(true);
    let mut tables = Tables {
        records: transaction.open_table(RECORDS)?,
        state: transaction.open_table(STATE)?,
        is_changed: false,
    };
    let mut answers = Vec::new();
    for request in requests {
        answers.push(alone(&mut tables, request)?);
    }
    let is_changed = tables.is_changed;
    drop(tables);
    if !is_changed {
        transaction.abort()?;
        return Ok(answers);
    }
    let number = {
        let mut about = transaction.open_table(ABOUT)?;
        let number = about.get("commits")?.map_or(0, |n| n.value()) + 1;
        about.insert("commits", number)?;
        number
    };
    *commit = Some(number);
    transaction.commit()?;
    Ok(answers)
}

/// What is malformed fails the one request that needs it, unless that began to change something: then all of the group.
fn alone(tables: &mut Tables<'_>, request: &Request) -> Result<Result<Answer, Malformed>, Fault> {
    let others_changed = std::mem::take(&mut tables.is_changed);
    let answer = answer(tables, request);
    let changed = tables.is_changed;
    tables.is_changed |= others_changed;
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(Fault::Malformed) if !changed => Ok(Err(Malformed)),
        Err(fault) => Err(fault),
    }
}

fn answer(tables: &mut Tables<'_>, request: &Request) -> Result<Answer, Fault> {
    Ok(match request {
        Request::Write(write) => Answer::Write(tables.write(write)?),
        Request::PutRecord {
            session,
            expected,
            record,
        } => Answer::Record(tables.put_record(*session, expected.as_ref(), record)?),
        Request::Clear {
            session,
            expected,
            record,
        } => Answer::Record(tables.clear(*session, expected.as_ref(), record.as_ref())?),
    })
}

fn refuse(group: Vec<Waiting>, error: &Error, unknown: bool) {
    for waiting in group {
        let detail = match error {
            Error::Unavailable { detail, .. } => detail.clone(),
            other => other.to_string(),
        };
        let _ = waiting.reply.send(Err(Error::Unavailable { detail, unknown }));
    }
}

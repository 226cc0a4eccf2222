//! The one thread that writes.
//!
//! It takes all transactions that are waiting, checks each against those before it, writes them to the file
//! in one redb transaction, and only then shows and acknowledges them. So one `fsync` serves many callers,
//! and the runtime's threads never wait for the disk.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{Batch, Change, Compare, Error, Revision, Txn, file::File, image::Image};

/// Transactions written with one `fsync`, at most.
const GROUP_MAX: usize = 1024;

/// A transaction that waits for its answer.
pub(crate) struct Request {
    pub(crate) txn: Txn,
    pub(crate) reply: oneshot::Sender<Result<Revision, Error>>,
}

/// What the writer is told.
pub(crate) enum Message {
    Commit(Request),
    /// Close the file after what came before; answered once that is done.
    Close(oneshot::Sender<()>),
}

/// State of the writer thread.
pub(crate) struct Writer {
    pub(crate) image: Arc<RwLock<Image>>,
    /// `None`: in memory only.
    pub(crate) file: Option<File>,
    pub(crate) requests: mpsc::Receiver<Message>,
    pub(crate) newest: watch::Sender<Revision>,
}

impl Writer {
    /// Serves until every handle is gone, or one of them asks to close.
    pub(crate) fn run(mut self) {
        let mut failed: Option<Error> = None;
        while let Some(first) = self.requests.blocking_recv() {
            let (group, close) = self.gather(first);
            if failed.is_none() {
                failed = self.write(group).err();
            } else {
                reply_all(group, failed.as_ref());
            }
            if let Some(close) = close {
                drop(self.file.take());
                // Whoever asked need not wait for the answer.
                let _ = close.send(());
                return;
            }
        }
    }

    /// All that waits, up to a request to close.
    fn gather(&mut self, first: Message) -> (Vec<Request>, Option<oneshot::Sender<()>>) {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Commit(request) => group.push(request),
                Message::Close(reply) => return (group, Some(reply)),
            }
            let room = group.len() < GROUP_MAX;
            next = room.then(|| self.requests.try_recv().ok()).flatten();
        }
        (group, None)
    }

    /// Writes a group and answers each of it. An error means that nothing may be written any more.
    fn write(&mut self, group: Vec<Request>) -> Result<(), Error> {
        let mut staged = Staged::new(self.revision());
        let results: Vec<_> = {
            let image = self.image.read().unwrap_or_else(PoisonError::into_inner);
            group
                .into_iter()
                .map(|Request { txn, reply }| (reply, staged.add(&image, txn)))
                .collect()
        };
        if let Some(file) = &mut self.file
            && !staged.batches.is_empty()
            && let Err(error) = file.append(&staged.batches)
        {
            // Even what would only have been a conflict or no change: it was judged by what did not happen.
            for (reply, _) in results {
                let _ = reply.send(Err(error.clone()));
            }
            tracing::error!(%error, "metadata can no longer be written");
            return Err(error);
        }
        self.show(staged.batches);
        for (reply, result) in results {
            // A caller that gave up waiting does not undo its transaction.
            let _ = reply.send(result);
        }
        Ok(())
    }

    fn revision(&self) -> Revision {
        self.image
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .revision()
    }

    fn show(&self, batches: Vec<Arc<Batch>>) {
        let Some(newest) = batches.last().map(|b| b.revision) else {
            return;
        };
        let mut image = self.image.write().unwrap_or_else(PoisonError::into_inner);
        batches.into_iter().for_each(|batch| image.apply(batch));
        drop(image);
        self.newest.send_replace(newest);
    }
}

fn reply_all(group: Vec<Request>, error: Option<&Error>) {
    for request in group {
        let error = error.cloned().unwrap_or(Error::Closed);
        let _ = request.reply.send(Err(error));
    }
}

/// The group's transactions that passed their comparisons, on top of an image that does not have them yet.
struct Staged {
    revision: Revision,
    batches: Vec<Arc<Batch>>,
    /// Where the group's keys now are; `None`: removed.
    keys: HashMap<Arc<str>, Option<Revision>>,
}

impl Staged {
    fn new(revision: Revision) -> Self {
        Self {
            revision,
            batches: Vec::new(),
            keys: HashMap::new(),
        }
    }

    fn found(&self, image: &Image, key: &str) -> Option<Revision> {
        match self.keys.get(key) {
            Some(staged) => *staged,
            None => image.get(key).map(|v| v.revision),
        }
    }

    fn add(&mut self, image: &Image, txn: Txn) -> Result<Revision, Error> {
        for Compare { key, revision } in &txn.compare {
            let found = self.found(image, key);
            if found != *revision {
                let (key, expected) = (key.clone(), *revision);
                return Err(Error::Conflict { key, expected, found });
            }
        }
        let changes: Vec<Change> = txn
            .into_changes()
            .into_iter()
            .filter(|(key, value)| value.is_some() || self.found(image, key).is_some())
            .map(|(key, value)| Change {
                key: key.into(),
                value,
            })
            .collect();
        if changes.is_empty() {
            return Ok(self.revision);
        }
        let revision = self.revision.next();
        for Change { key, value } in &changes {
            self.keys
                .insert(Arc::clone(key), value.as_ref().map(|_| revision));
        }
        self.revision = revision;
        self.batches.push(Arc::new(Batch { revision, changes }));
        Ok(revision)
    }
}

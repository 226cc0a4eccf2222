//! The handle that everybody holds.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    thread::JoinHandle,
};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Error, Revision, Txn, Versioned, Watch,
    file::File,
    image::Image,
    writer::{Message, Request, Writer},
};

/// Transactions that may wait before callers have to.
const QUEUE: usize = 4096;
/// How much of the past a watch can catch up on.
const BACKLOG_BYTES: usize = 64 * 1024 * 1024;

/// A handle on the metadata. Cheap to clone; the store closes when the last one is dropped.
///
/// Usable from any runtime and any thread. Reads see what was acknowledged, all of it and in order.
#[derive(Debug, Clone)]
pub struct Meta {
    // An etcd store becomes a second kind here; the methods are asynchronous and fallible for its sake.
    store: Arc<Local>,
}

/// The store of this process: an image in memory, and a thread that writes it to a file, if there is one.
#[derive(Debug)]
struct Local {
    image: Arc<RwLock<Image>>,
    newest: watch::Receiver<Revision>,
    /// `Some` until dropped.
    requests: Option<mpsc::Sender<Message>>,
    /// `Some` until dropped.
    writer: Option<JoinHandle<()>>,
}

impl Meta {
    /// Opens the store in a file, or makes it, with its folder, where there is none yet.
    ///
    /// Blocks for as long as it takes to read and verify the file; meant for the start of a process. A file that
    /// is damaged, locked, of an unknown format or not writable is an error that names it, and is left untouched.
    pub fn open_embedded(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (file, (revision, entries)) = File::open(path.as_ref())?;
        Self::start(Image::new(revision, entries, BACKLOG_BYTES), Some(file))
    }

    /// A store that is forgotten with its last handle; for tests and trials.
    pub fn in_memory() -> Self {
        Self::in_memory_with_backlog(BACKLOG_BYTES)
    }

    /// As [`Meta::in_memory`], where watches can catch up on roughly so many bytes of changes.
    pub fn in_memory_with_backlog(bytes: usize) -> Self {
        let image = Image::new(Revision(0), Default::default(), bytes);
        Self::start(image, None).expect("a thread can be started, else nothing of this process works")
    }

    fn start(image: Image, file: Option<File>) -> Result<Self, Error> {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let (sender, newest) = watch::channel(image.revision());
        let image = Arc::new(RwLock::new(image));
        let path = file.as_ref().map(|f| f.path().to_owned()).unwrap_or_default();
        let writer = Writer {
            image: Arc::clone(&image),
            file,
            requests: receiver,
            newest: sender,
        };
        let writer = std::thread::Builder::new()
            .name("meta-writer".into())
            .spawn(move || writer.run())
            .map_err(|e| Error::Storage {
                path,
                detail: e.to_string(),
            })?;
        let store = Local {
            image,
            newest,
            requests: Some(requests),
            writer: Some(writer),
        };
        Ok(Self {
            store: Arc::new(store),
        })
    }

    fn image(&self) -> RwLockReadGuard<'_, Image> {
        self.store.image.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key's value, where it exists.
    pub async fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        Ok(self.image().get(key).cloned())
    }

    /// All keys that begin with `prefix`, by key, as of the revision told.
    pub async fn list(&self, prefix: &str) -> Result<(Revision, Vec<(String, Versioned)>), Error> {
        self.list_all(&[prefix]).await
    }

    /// As [`Meta::list`] for several prefixes, all as of the same revision.
    pub async fn list_all(&self, prefixes: &[&str]) -> Result<(Revision, Vec<(String, Versioned)>), Error> {
        let image = self.image();
        let found = prefixes.iter().flat_map(|prefix| image.list(prefix));
        let found = found.map(|(key, value)| (key.to_owned(), value.clone()));
        Ok((image.revision(), found.collect()))
    }

    /// Carries a transaction out. Once this returns, its changes survive a crash of process and machine.
    ///
    /// Returns the revision that it made, or the current one where it changed nothing. [`Error::Conflict`] where a
    /// comparison did not hold. Dropping the future does not undo what was already queued.
    pub async fn commit(&self, txn: Txn) -> Result<Revision, Error> {
        txn.check()?;
        let (reply, answer) = oneshot::channel();
        let requests = self.store.requests.as_ref().ok_or(Error::Closed)?;
        requests
            .send(Message::Commit(Request { txn, reply }))
            .await
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Follows what changes under `prefix` after a revision: that of a list, so that nothing falls in between.
    pub fn watch(&self, prefix: &str, after: Revision) -> Watch {
        let image = Arc::clone(&self.store.image);
        Watch::new(image, self.store.newest.clone(), prefix.to_owned(), after)
    }

    /// Closes the file in order, after what was queued before; every other handle is then of a closed store.
    ///
    /// For the end of a process whose other threads may still hold handles: what is not closed in order has to be
    /// checked when it is opened next.
    pub async fn close(self) {
        let (reply, closed) = oneshot::channel();
        if let Some(requests) = &self.store.requests
            && requests.send(Message::Close(reply)).await.is_ok()
        {
            // An error means that the writer has ended, and the file is closed as well.
            let _ = closed.await;
        }
    }

    /// The latest revision.
    pub async fn revision(&self) -> Result<Revision, Error> {
        Ok(self.image().revision())
    }
}

impl Drop for Local {
    /// Waits for the writer, so that the file is closed and unlocked when the last handle is gone. That is at
    /// most one group of transactions.
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the metadata writer panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[tokio::test]
    async fn a_closed_store_has_kept_what_came_before_and_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.redb");
        let meta = Meta::open_embedded(&path).unwrap();
        let other = meta.clone();
        meta.commit(Txn::new().put("k", "v")).await.unwrap();
        meta.close().await;
        assert_eq!(other.commit(Txn::new().put("k", "w")).await, Err(Error::Closed));
        // Closed and unlocked although a handle is left.
        let again = Meta::open_embedded(&path).unwrap();
        assert_eq!(&*again.get("k").await.unwrap().unwrap().value, b"v");
    }

    #[tokio::test]
    async fn after_a_failed_write_nothing_is_shown_and_nothing_more_is_written() {
        let (file, fails) = crate::file::tests::on_failing_disk();
        let image = Image::new(Revision(0), Default::default(), BACKLOG_BYTES);
        let meta = Meta::start(image, Some(file)).unwrap();
        let mut watch = meta.watch("", Revision(0));
        meta.commit(Txn::new().put("k", "before")).await.unwrap();

        fails.store(true, Ordering::SeqCst);
        let error = meta.commit(Txn::new().put("k", "lost")).await.unwrap_err();
        assert!(matches!(error, Error::Storage { .. }), "{error}");

        // What reached the disk is not known, so a disk that works again changes nothing.
        fails.store(false, Ordering::SeqCst);
        assert_eq!(meta.commit(Txn::new().put("k", "after")).await, Err(error));
        assert_eq!(&*meta.get("k").await.unwrap().unwrap().value, b"before");
        assert_eq!(watch.next().await.unwrap().revision, Revision(1));
        assert_eq!(watch.try_next(), Ok(None));
    }
}

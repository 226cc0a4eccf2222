//! The open file, that readers and the writer share; it is opened anew after a fault of the disk.

use std::{
    path::PathBuf,
    sync::{PoisonError, RwLock},
};

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::{file::At, read::Fault};
use crate::Error;

/// Opens the file again.
pub(super) type Reopen = Box<dyn Fn() -> Result<Database, Error> + Send + Sync>;

/// A file that is open, mostly.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    /// `None`: closed, or it could not be opened again. Whoever reads holds it only while reading.
    database: RwLock<Option<Database>>,
    reopen: Reopen,
}

impl Shared {
    pub(super) fn new(path: PathBuf, database: Database, reopen: Reopen) -> Self {
        Self {
            path,
            database: RwLock::new(Some(database)),
            reopen,
        }
    }

    /// Does something with the database, where it is open. A panic of redb is a damage of the file.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| self.closed())?;
        At(&self.path).guarded(|| work(database))
    }

    /// Reads from a snapshot of what is stored.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        self.with(|database| {
            let read = || work(&database.begin_read()?);
            read().map_err(|fault| self.error(fault))
        })
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Malformed => At(&self.path).damaged("an entry is not as it was written"),
            Fault::Storage(error @ redb::Error::Corrupted(_)) => At(&self.path).damaged(&error.to_string()),
            Fault::Storage(error) => Error::Unavailable {
                detail: format!("{}: {error}", self.path.display()),
                unknown: false,
            },
        }
    }

    pub(super) fn closed(&self) -> Error {
        Error::Unavailable {
            detail: format!("{} is not open", self.path.display()),
            unknown: false,
        }
    }

    pub(super) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn is_open(&self) -> bool {
        self.database
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Closes the file and opens it again: after a fault redb does nothing more with it. Checking it may take a while, in which
    /// readers are refused rather than kept waiting.
    pub(super) fn open_again(&self) -> Result<(), Error> {
        // Its lock on the file goes with it.
        self.close();
        let database = (self.reopen)()?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(())
    }
}

//! The redb file behind the embedded store.
//!
//! Two tables: `about` (format, revision, number of entries) and `entries` (key to revision and value). A new
//! file is made under another name and put in place when complete, so that an empty or half file under its
//! own name is always damage, never a crash while it was made.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageBackend, StorageError, TableDefinition, backends::InMemoryBackend,
};

use crate::{Batch, Change, Error, Revision, Versioned};

const FORMAT: u64 = 1;
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const ENTRIES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("entries");

/// Everything in a file, as of its latest revision.
pub(crate) type Content = (Revision, BTreeMap<Arc<str>, Versioned>);

/// An open, locked file.
pub(crate) struct File {
    path: PathBuf,
    database: Database,
}

impl File {
    /// Opens or makes the file and reads all of it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Content), Error> {
        let at = At(path);
        match fs::metadata(path) {
            Ok(found) if found.len() == 0 => return Err(at.damaged("it is empty")),
            Ok(_) => at.guarded(|| verify(at))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => create(at)?,
            Err(e) => return Err(at.unwritable(&e)),
        }
        let (database, content) = at.guarded(|| {
            let database = Database::builder()
                .set_repair_callback(|_| tracing::warn!("metadata was not closed properly; checking it"))
                .open(path)
                .map_err(|e| at.open(e))?;
            let content = read(at, &database)?;
            Ok((database, content))
        })?;
        let path = path.to_owned();
        Ok((Self { path, database }, content))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes changes durably, all or none.
    pub(crate) fn append(&mut self, batches: &[Arc<Batch>]) -> Result<(), Error> {
        let Some(newest) = batches.last().map(|b| b.revision) else {
            return Ok(());
        };
        self.write(newest, batches).map_err(|e| Error::Storage {
            path: self.path.clone(),
            detail: e.to_string(),
        })
    }

    fn write(&mut self, newest: Revision, batches: &[Arc<Batch>]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        // A second fsync, shared by the group. Without it a damaged last commit cannot be told from one that a crash
        // cut short, and would be rolled back silently although it was acknowledged.
        transaction.set_two_phase_commit(true);
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for batch in batches {
                for Change { key, value } in &batch.changes {
                    match value {
                        Some(value) => drop(entries.insert(&**key, (batch.revision.0, &**value))?),
                        None => drop(entries.remove(&**key)?),
                    }
                }
            }
            let mut about = transaction.open_table(ABOUT)?;
            about.insert("revision", newest.0)?;
            about.insert("entries", entries.len()?)?;
        }
        Ok(transaction.commit()?)
    }
}

/// Checks every page of a file that was closed properly, on a copy in memory, because redb's own check mends
/// what it can and so would hide that something is missing. A file that was not closed properly is left to redb, which
/// checks all of it when it opens it, and refuses it, as commits are in two phases.
fn verify(at: At<'_>) -> Result<(), Error> {
    // Held open, so that nobody writes while the copy is made.
    let _lock = match ReadOnlyDatabase::open(at.0) {
        Ok(lock) => lock,
        Err(DatabaseError::RepairAborted) => return Ok(()),
        Err(e) => return Err(at.open(e)),
    };
    let bytes = fs::read(at.0).map_err(|e| at.unwritable(&e))?;
    let copy = InMemoryBackend::new();
    let fill = copy
        .set_len(bytes.len() as u64)
        .and_then(|()| copy.write(0, &bytes));
    fill.map_err(|e| at.damaged(&e.to_string()))?;
    drop(bytes);
    let mut copy = Database::builder()
        .create_with_backend(copy)
        .map_err(|e| at.open(e))?;
    match copy.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => Err(at.damaged("a checksum does not match")),
        Err(e) => Err(at.open(e)),
    }
}

/// Makes an empty store and puts it in place.
fn create(at: At<'_>) -> Result<(), Error> {
    let folder = match at.0.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|e| at.unwritable(&e))?;
    let mut new = at.0.as_os_str().to_owned();
    new.push(format!(".new-{}", std::process::id()));
    let new = PathBuf::from(new);
    let made = initialise(&new).map_err(|e| at.unwritable(&e)).and_then(|()| {
        // A link does not replace a file that another process was quicker to make.
        match fs::hard_link(&new, at.0) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(_) => fs::rename(&new, at.0),
            Ok(()) => Ok(()),
        }
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(|e| at.unwritable(&e))
    });
    let _ = fs::remove_file(&new);
    made
}

fn initialise(path: &Path) -> Result<(), redb::Error> {
    // Left over from an earlier process of the same number.
    let _ = fs::remove_file(path);
    let database = Database::create(path)?;
    let transaction = database.begin_write()?;
    {
        transaction.open_table(ENTRIES)?;
        let mut about = transaction.open_table(ABOUT)?;
        about.insert("format", FORMAT)?;
        about.insert("revision", 0)?;
        about.insert("entries", 0)?;
    }
    Ok(transaction.commit()?)
}

fn read(at: At<'_>, database: &Database) -> Result<Content, Error> {
    let damaged = |e: redb::Error| at.damaged(&e.to_string());
    let format = about(database, "format").map_err(damaged)?;
    match format {
        None => return Err(at.damaged("it has no format")),
        Some(FORMAT) => {}
        Some(found) => {
            return Err(Error::Format {
                path: at.0.into(),
                found,
                known: FORMAT,
            });
        }
    }
    let revision = about(database, "revision").map_err(damaged)?;
    let expected = about(database, "entries").map_err(damaged)?;
    let entries = entries(database).map_err(damaged)?;
    if expected != Some(entries.len() as u64) {
        return Err(at.damaged("the number of entries is not what it should be"));
    }
    let revision = Revision(revision.ok_or_else(|| at.damaged("it has no revision"))?);
    Ok((revision, entries))
}

fn about(database: &Database, key: &str) -> Result<Option<u64>, redb::Error> {
    let table = database.begin_read()?.open_table(ABOUT)?;
    Ok(table.get(key)?.map(|value| value.value()))
}

fn entries(database: &Database) -> Result<BTreeMap<Arc<str>, Versioned>, redb::Error> {
    let table = database.begin_read()?.open_table(ENTRIES)?;
    let mut entries = BTreeMap::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let (revision, value) = value.value();
        let versioned = Versioned {
            value: value.into(),
            revision: Revision(revision),
        };
        entries.insert(key.value().into(), versioned);
    }
    Ok(entries)
}

/// The file that an error is about.
#[derive(Clone, Copy)]
struct At<'a>(&'a Path);

impl At<'_> {
    /// redb 4.4 panics on some damages (an allocator table with wrong lengths); they are damages all the same.
    fn guarded<T>(self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        // Nothing that `work` changed outlives a panic: it owns all that it makes.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(self.damaged("its structure makes no sense")))
    }

    fn damaged(self, detail: &str) -> Error {
        Error::Damaged {
            path: self.0.into(),
            detail: detail.into(),
        }
    }

    fn unwritable(self, error: &dyn std::error::Error) -> Error {
        Error::Unwritable {
            path: self.0.into(),
            detail: error.to_string(),
        }
    }

    fn open(self, error: DatabaseError) -> Error {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Error::Locked { path: self.0.into() },
            DatabaseError::Storage(StorageError::Io(e))
                if !matches!(
                    e.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                self.unwritable(&e)
            }
            other => self.damaged(&other.to_string()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A disk that can be made to fail.
    #[derive(Debug)]
    struct Failing {
        disk: InMemoryBackend,
        fails: Arc<AtomicBool>,
    }

    impl StorageBackend for Failing {
        fn len(&self) -> io::Result<u64> {
            self.disk.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.disk.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.disk.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            match self.fails.load(Ordering::SeqCst) {
                true => Err(io::Error::other("no space left")),
                false => self.disk.sync_data(),
            }
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.disk.write(offset, data)
        }
    }

    /// A file on a disk that fails from when the flag is set.
    pub(crate) fn on_failing_disk() -> (File, Arc<AtomicBool>) {
        let fails = Arc::new(AtomicBool::new(false));
        let backend = Failing {
            disk: InMemoryBackend::new(),
            fails: Arc::clone(&fails),
        };
        let database = Database::builder().create_with_backend(backend).unwrap();
        let path = "failing.redb".into();
        (File { path, database }, fails)
    }
}

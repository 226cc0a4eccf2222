//! Opens the file, and says what is wrong with it.
//!
//! A new file is made under another name and put in place when it is whole, so that an empty or half file under its own name is
//! damage, never a crash while it was made. Nothing is ever overwritten that cannot be read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, StorageError, TableDefinition,
};

use super::{
    layout::{RECORDS, STATE},
    overlay::Overlay,
};
use crate::Error;

const FORMAT: u64 = 1;
pub(super) const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// Memory for the check of a file.
const CHECK_CACHE: usize = 8 << 20;

/// Opens the file, makes it where there is none.
pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    let at = At(path);
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 => return Err(at.damaged("it is empty")),
        Ok(_) => at.guarded(|| verify(at))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(at)?,
        Err(e) => return Err(at.unusable(&e)),
    }
    reopen(path, cache_bytes)
}

/// Opens a file that is there, and that this process wrote itself.
pub(super) fn reopen(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    let at = At(path);
    at.guarded(|| {
        let database = Builder::new()
            .set_cache_size(cache_bytes)
            .set_repair_callback(|_| tracing::warn!("the session store was not closed properly; checking it"))
            .open(path)
            .map_err(|e| at.open(e))?;
        check_format(at, &database)?;
        Ok(database)
    })
}

/// Checks every page of a file that was closed properly. One that was not is left to redb, which checks all of it when it opens
/// it, and refuses it where commits are in two phases.
fn verify(at: At<'_>) -> Result<(), Error> {
    // Held open, so that nobody writes meanwhile.
    let _lock = match ReadOnlyDatabase::open(at.0) {
        Ok(lock) => lock,
        Err(DatabaseError::RepairAborted) => return Ok(()),
        Err(e) => return Err(at.open(e)),
    };
    let file = fs::File::open(at.0).map_err(|e| at.unusable(&e))?;
    let overlay = Overlay::over(file).map_err(|e| at.unusable(&e))?;
    let mut copy = Builder::new()
        .set_cache_size(CHECK_CACHE)
        .create_with_backend(overlay)
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
    fs::create_dir_all(folder).map_err(|e| at.unusable(&e))?;
    let mut new = at.0.as_os_str().to_owned();
    new.push(format!(".new-{}", std::process::id()));
    let new = PathBuf::from(new);
    let made = initialise(&new).map_err(|e| at.unusable(&e)).and_then(|()| {
        // A link does not replace a file that another process was quicker to make.
        match fs::hard_link(&new, at.0) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Not every file system has links.
            Err(_) => fs::rename(&new, at.0),
            Ok(()) => Ok(()),
        }
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(|e| at.unusable(&e))
    });
    let _ = fs::remove_file(&new);
    made
}

fn initialise(path: &Path) -> Result<(), redb::Error> {
    // Left over from an earlier process of the same number.
    let _ = fs::remove_file(path);
    let database = Database::create(path)?;
    fill(&database)
}

/// Makes the tables.
pub(super) fn fill(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(RECORDS)?;
        transaction.open_table(STATE)?;
        let mut about = transaction.open_table(ABOUT)?;
        about.insert("format", FORMAT)?;
        about.insert("commits", 0)?;
    }
    Ok(transaction.commit()?)
}

fn check_format(at: At<'_>, database: &Database) -> Result<(), Error> {
    match about(database, "format").map_err(|e| at.damaged(&e.to_string()))? {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(at.error(format!(
            "it has format {found}, and this program knows format {FORMAT}; use the program that wrote it, or another file"
        ))),
        None => Err(at.damaged("it has no format")),
    }
}

/// How many groups of writes the file has seen.
pub(super) fn commits(database: &Database) -> Result<u64, redb::Error> {
    Ok(about(database, "commits")?.unwrap_or_default())
}

fn about(database: &Database, key: &str) -> Result<Option<u64>, redb::Error> {
    let table = database.begin_read()?.open_table(ABOUT)?;
    Ok(table.get(key)?.map(|value| value.value()))
}

/// The file that an error is about.
#[derive(Clone, Copy)]
pub(super) struct At<'a>(pub(super) &'a Path);

impl At<'_> {
    /// redb 4.4 panics on some damages (an allocator table with wrong lengths); they are damages all the same.
    pub(super) fn guarded<T>(self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        // Nothing that `work` changed is used after a panic but the database, which then is opened anew.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(self.damaged("its structure makes no sense")))
    }

    pub(super) fn error(self, detail: String) -> Error {
        let file = self.0.into();
        Error::File { file, detail }
    }

    pub(super) fn damaged(self, detail: &str) -> Error {
        self.error(format!(
            "the file is damaged: {detail}; put a copy back, or move it away to begin without"
        ))
    }

    fn unusable(self, error: &dyn std::error::Error) -> Error {
        self.error(format!("the file cannot be used: {error}"))
    }

    fn open(self, error: DatabaseError) -> Error {
        match error {
            DatabaseError::DatabaseAlreadyOpen => {
                self.error("another process has it open; stop that one, or use another file".into())
            }
            DatabaseError::Storage(StorageError::Io(e))
                if !matches!(
                    e.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                self.unusable(&e)
            }
            other => self.damaged(&other.to_string()),
        }
    }
}

//! Everything that can go wrong with the metadata, and what to do about it.

use std::path::PathBuf;

use crate::Revision;

/// Why metadata could not be opened, read, written or watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A compared key is not at the revision that the transaction expects. Nothing was written.
    #[error("{key}: expected at revision {}, found at {}", or_absent(*expected), or_absent(*found))]
    Conflict {
        /// The first key that differs.
        key: String,
        /// What the transaction asked for; `None` is "does not exist".
        expected: Option<Revision>,
        /// What there is.
        found: Option<Revision>,
    },
    /// A watch asked for changes that are no longer (or not yet) held. List again and watch from there.
    #[error(
        "changes after revision {after} are not held (held: {oldest} to {newest}); list again and watch from there"
    )]
    Behind {
        /// Where the watch stood.
        after: Revision,
        /// The earliest revision that can be watched from.
        oldest: Revision,
        /// The latest revision.
        newest: Revision,
    },
    /// The store was closed, or its writer ended.
    #[error("the metadata store is closed")]
    Closed,
    /// A key or value is over its limit. Nothing was written.
    #[error("{key}: {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The key, shortened where it is itself too long.
        key: String,
        /// Its size, or its value's.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record is not what its key says. Another version wrote it, or somebody by hand.
    #[error("record {key} cannot be read: {detail}")]
    Malformed {
        /// The record's key.
        key: String,
        /// What the parser said.
        detail: String,
    },
    /// Another process (or another handle of this one) has the file open.
    #[error("{}: in use by another process; stop it, or give this one its own meta.path", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file's content is not intact, or is not ours. It is left as it is.
    #[error(
        "{}: damaged or not a metadata file ({detail}); it was left as it is. Put a backup in its place, or move it away to start with an empty one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file is of a format that this version does not know.
    #[error(
        "{}: written in format {found}, this version reads format {known}; run the version that wrote it, or move the file away to start with an empty one",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format of this version.
        known: u64,
    },
    /// The file or its folder cannot be made, opened or written.
    #[error("{}: cannot be opened for writing ({detail}); check that the folder exists, its permissions and the free space", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Writing failed while running. It is not known what reached the disk, so nothing more is written.
    #[error("{}: writing failed ({detail}); no more is written until a restart, check the disk", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

fn or_absent(revision: Option<Revision>) -> String {
    revision.map_or("none (absent)".into(), |r| r.to_string())
}

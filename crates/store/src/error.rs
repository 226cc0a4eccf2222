//! Why something was not done.

use foreshift_wire::{Epoch, NodeId, PartitionName, Version};

/// Why an operation was refused: the caller's to mend. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody issued the session's id, or it ended.
    #[error("there is no such session: it ended, or its id was not issued here")]
    NoSession,
    /// It was revoked.
    #[error("the session was revoked")]
    Revoked,
    /// There is no such partition or key.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Another node serves the session now.
    #[error("the session is served by {} now (epoch {epoch}); this node cannot use it any more", .owner.as_ref().map_or("nobody", NodeId::as_str))]
    Fenced {
        /// Who serves it.
        owner: Option<NodeId>,
        /// Its reign.
        epoch: Epoch,
    },
    /// What was to be changed has another version, or is there although it should not be, or is not.
    #[error("{} has version {found}; read it again", .key.as_ref().map_or_else(|| "the partition".into(), |key| format!("the key {}", key.escape_ascii())))]
    Conflict {
        /// The key, where it was about one.
        key: Option<bytes::Bytes>,
        /// Its version; 0 where it is not there.
        found: Version,
    },
    /// More than the limit.
    #[error("{what} would have {bytes} bytes; {limit} is the limit")]
    TooLarge {
        /// What is limited.
        what: &'static str,
        /// How many it would have.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
    /// The caller may not.
    #[error("this token does not allow to {verb} {partition}")]
    Forbidden {
        /// To do what.
        verb: &'static str,
        /// With which partition, or with what else.
        partition: String,
    },
    /// No partition of that name is declared, and others are refused.
    #[error(
        "no partition {0} is declared; add it to [[session.partition]], or set session.undeclared = \"allow\""
    )]
    Undeclared(PartitionName),
    /// A key is empty or too long, or something else is not as it must be.
    #[error("{0}")]
    Invalid(String),
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's to mend.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine does not answer as it should. Whether a write was done is not known where `unknown`; else it was not.
    #[error("the session store cannot be used: {detail}")]
    Unavailable {
        /// What is wrong and what to do.
        detail: String,
        /// A write may have been done all the same.
        unknown: bool,
    },
    /// What is stored cannot be read: it was damaged, or another key sealed it.
    #[error("{0}")]
    Damaged(String),
    /// A file cannot be used as it is.
    #[error("{file}: {detail}", file = .file.display())]
    File {
        /// Which.
        file: std::path::PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },
}

//! Transactions and what they leave behind.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::Error;

/// A point in the store's history. 0 is before the first change; every transaction that changes something
/// adds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Revision(pub u64);

impl Revision {
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value and when it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes; shared, so that a copy costs nothing.
    pub value: Arc<[u8]>,
    /// The revision that wrote it: what [`Compare`] is held against.
    pub revision: Revision,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// The revision that must have written it last; `None`: it must not exist.
    pub revision: Option<Revision>,
}

/// Changes that are made together or not at all, provided that every comparison holds.
///
/// A key that is both deleted and put is put; of two puts of one key the later counts. Deleting a key that
/// does not exist is no change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    /// What must hold.
    pub compare: Vec<Compare>,
    /// What is written.
    pub put: Vec<(String, Vec<u8>)>,
    /// What is removed.
    pub delete: Vec<String>,
}

impl Txn {
    /// Longest key, in bytes.
    pub const KEY_BYTES_MAX: usize = 1024;
    /// Longest value, in bytes.
    pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

    /// Without conditions and changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition: `key` was last written by `revision`, or does not exist.
    #[must_use]
    pub fn expect(mut self, key: impl Into<String>, revision: Option<Revision>) -> Self {
        let key = key.into();
        self.compare.push(Compare { key, revision });
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.put.push((key.into(), value.into()));
        self
    }

    /// Adds a removal.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.delete.push(key.into());
        self
    }

    /// Refuses keys and values over their limits.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let too_large = |key: &str, bytes, limit| Error::TooLarge {
            key: key.chars().take(64).collect(),
            bytes,
            limit,
        };
        let keys = self.put.iter().map(|(key, _)| key).chain(&self.delete);
        for key in keys.chain(self.compare.iter().map(|c| &c.key)) {
            if key.len() > Self::KEY_BYTES_MAX {
                return Err(too_large(key, key.len(), Self::KEY_BYTES_MAX));
            }
        }
        for (key, value) in &self.put {
            if value.len() > Self::VALUE_BYTES_MAX {
                return Err(too_large(key, value.len(), Self::VALUE_BYTES_MAX));
            }
        }
        Ok(())
    }

    /// The last word on each key, by key.
    pub(crate) fn into_changes(self) -> BTreeMap<String, Option<Arc<[u8]>>> {
        let mut changes: BTreeMap<_, _> = self.delete.into_iter().map(|key| (key, None)).collect();
        changes.extend(self.put.into_iter().map(|(key, value)| (key, Some(value.into()))));
        changes
    }
}

/// One key that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Arc<str>,
    /// Its value from then on; `None` where it was removed.
    pub value: Option<Arc<[u8]>>,
}

/// What one transaction changed, by key; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The revision that it made.
    pub revision: Revision,
    /// One element a key.
    pub changes: Vec<Change>,
}

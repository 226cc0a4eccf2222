//! The whole store in memory: the current values and the latest changes.
//!
//! Plain data: the writer thread changes it, handles and watches read it under a lock.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use crate::{Batch, Change, Error, Revision, Versioned};

/// Current values, and the changes that led to them as far back as their bound allows.
#[derive(Debug)]
pub(crate) struct Image {
    revision: Revision,
    entries: BTreeMap<Arc<str>, Versioned>,
    /// One element a revision without gaps, the newest last.
    backlog: VecDeque<Arc<Batch>>,
    backlog_bytes: usize,
    backlog_bytes_max: usize,
}

impl Image {
    pub(crate) fn new(
        revision: Revision,
        entries: BTreeMap<Arc<str>, Versioned>,
        backlog_bytes_max: usize,
    ) -> Self {
        Self {
            revision,
            entries,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            backlog_bytes_max,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Versioned> {
        self.entries.get(key)
    }

    /// All entries whose key begins with `prefix`, by key.
    pub(crate) fn list(&self, prefix: &str) -> impl Iterator<Item = (&str, &Versioned)> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, versioned)| (key.as_ref(), versioned))
    }

    /// Takes the next revision over.
    pub(crate) fn apply(&mut self, batch: Arc<Batch>) {
        debug_assert_eq!(batch.revision, self.revision.next(), "revisions have no gaps");
        self.revision = batch.revision;
        for Change { key, value } in &batch.changes {
            match value {
                Some(value) => {
                    let revision = batch.revision;
                    let value = Arc::clone(value);
                    self.entries
                        .insert(Arc::clone(key), Versioned { value, revision });
                }
                None => {
                    self.entries.remove(key);
                }
            }
        }
        self.backlog_bytes += bytes(&batch);
        self.backlog.push_back(batch);
        while self.backlog_bytes > self.backlog_bytes_max {
            let Some(oldest) = self.backlog.pop_front() else {
                break;
            };
            self.backlog_bytes -= bytes(&oldest);
        }
    }

    /// All changes after a revision, oldest first.
    pub(crate) fn after(&self, after: Revision) -> Result<impl Iterator<Item = &Arc<Batch>>, Error> {
        let oldest = Revision(self.revision.0 - self.backlog.len() as u64);
        if after < oldest || after > self.revision {
            let newest = self.revision;
            return Err(Error::Behind {
                after,
                oldest,
                newest,
            });
        }
        Ok(self.backlog.range((after.0 - oldest.0) as usize..))
    }
}

/// Roughly what a batch takes in memory.
fn bytes(batch: &Batch) -> usize {
    const OVERHEAD: usize = 64;
    let of = |c: &Change| OVERHEAD + c.key.len() + c.value.as_ref().map_or(0, |v| v.len());
    OVERHEAD + batch.changes.iter().map(of).sum::<usize>()
}

//! Following changes from a revision on.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch::Receiver;

use crate::{Batch, Change, Error, Revision, image::Image};

/// Every change under a prefix after a revision, in order, none left out.
///
/// A watch costs nothing while nobody asks it: it reads the store's backlog at its own pace. Once that no
/// longer reaches back to where it stands, it says [`Error::Behind`] instead of skipping anything.
#[derive(Debug)]
pub struct Watch {
    image: Arc<RwLock<Image>>,
    newest: Receiver<Revision>,
    prefix: String,
    after: Revision,
}

impl Watch {
    pub(crate) fn new(
        image: Arc<RwLock<Image>>,
        newest: Receiver<Revision>,
        prefix: String,
        after: Revision,
    ) -> Self {
        Self {
            image,
            newest,
            prefix,
            after,
        }
    }

    /// The next revision that changed something under the prefix; waits for one.
    ///
    /// Cancel safe. [`Error::Behind`]: list again and make a new watch from the revision that the list tells.
    /// [`Error::Closed`]: no change will ever come.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            // Marked as seen before looking, so that a change in between wakes us again.
            let open = self.newest.has_changed().is_ok();
            self.newest.mark_unchanged();
            if let Some(batch) = self.try_next()? {
                return Ok(batch);
            }
            if !open || self.newest.changed().await.is_err() {
                return self.try_next()?.ok_or(Error::Closed);
            }
        }
    }

    /// As [`Watch::next`], but `None` where nothing is there yet.
    pub fn try_next(&mut self) -> Result<Option<Batch>, Error> {
        let image = self.image.read().unwrap_or_else(PoisonError::into_inner);
        for batch in image.after(self.after)? {
            self.after = batch.revision;
            let matches = |change: &&Change| change.key.starts_with(&self.prefix);
            let changes: Vec<_> = batch.changes.iter().filter(matches).cloned().collect();
            if !changes.is_empty() {
                let revision = batch.revision;
                return Ok(Some(Batch { revision, changes }));
            }
        }
        Ok(None)
    }

    /// Everything up to here was seen.
    pub fn position(&self) -> Revision {
        self.after
    }
}

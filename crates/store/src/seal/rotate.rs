//! Rotation: sessions' keys are wrapped anew, page by page, while everything goes on.
//!
//! A pass can end anywhere, in the middle of a rotation too: each session's key is wrapped either with the old master key or with
//! the new one, both are in the file, and the next pass goes on with what is left. It changes a record only where it is still
//! as it was read, so that it undoes nothing that others do at the same time.

use std::collections::BTreeMap;

use foreshift_wire::SessionId;

use super::{Seal, file::KeyId, ring::master_of};
use crate::{Engine, Error, engine::Record};

/// How often a record that changed meanwhile is tried again; then it is left to the next pass.
const ATTEMPTS: u32 = 16;

/// What a pass through all sessions found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pass {
    /// Keys that were wrapped anew.
    pub(crate) wrapped: u64,
    /// Sessions by the master key that they had before. Some engines tell of a session twice.
    pub(crate) found: BTreeMap<KeyId, u64>,
    /// Sessions by the master key that they have now.
    pub(crate) uses: BTreeMap<KeyId, u64>,
    /// Why some could not be wrapped anew: the first such error.
    pub(crate) failed: Option<String>,
}

/// Wraps every session's key with the current master key; where not `change`, only counts.
pub(crate) async fn pass(engine: &dyn Engine, seal: &Seal, change: bool) -> Result<Pass, Error> {
    let (mut pass, mut from) = (Pass::default(), None);
    loop {
        let page = engine.page(from).await?;
        for (session, record) in page.sessions {
            let Some(before) = master_of(&record.key) else {
                continue;
            };
            *pass.found.entry(before).or_default() += 1;
            let now = match change {
                true => pass.one(engine, seal, session, record).await?,
                false => Some(before),
            };
            if let Some(now) = now {
                *pass.uses.entry(now).or_default() += 1;
            }
        }
        from = page.next;
        if from.is_none() {
            return Ok(pass);
        }
    }
}

impl Pass {
    /// Which master key the session has then; `None` where it ended.
    async fn one(
        &mut self,
        engine: &dyn Engine,
        seal: &Seal,
        session: SessionId,
        mut record: Record,
    ) -> Result<Option<KeyId>, Error> {
        for _ in 0..ATTEMPTS {
            let key = match seal.ring().anew(session, &record.key) {
                Ok(Some(key)) => key,
                Ok(None) => break,
                Err(error) => {
                    self.failed.get_or_insert_with(|| error.to_string());
                    break;
                }
            };
            let next = Record {
                key,
                ..record.clone()
            };
            match engine.put_record(session, Some(record), next.clone()).await? {
                Ok(()) => {
                    self.wrapped += 1;
                    return Ok(master_of(&next.key));
                }
                Err(Some(found)) => record = found,
                Err(None) => return Ok(None),
            }
        }
        Ok(master_of(&record.key))
    }
}

//! Frees what ended by itself.
//!
//! Nothing that ended is answered, swept or not; a sweep gives its room back, and tells that it ended.

use std::time::Duration;

use foreshift_wire::{SessionId, Version};

use super::Sessions;
use crate::{
    Error,
    engine::{Expiry, Fence, Head, If, Outcome, Record, Write},
};

/// More bytes than there are; engines that count in floating point numbers know it exactly.
const NO_LIMIT: u64 = (1 << 53) - 1;

/// What a sweep found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Sessions that are there, revoked ones too.
    pub sessions: u64,
    /// Sessions that ended and were removed; tombstones whose time was over too.
    pub ended: u64,
    /// Partitions that ended and were emptied.
    pub partitions: u64,
}

impl Sessions {
    /// Removes the sessions and partitions that ended before `now_ms`, in Unix milliseconds. Looks at every session, some hundred
    /// at a time.
    pub async fn sweep(&self, now_ms: u64) -> Result<Swept, Error> {
        self.0.registry.sweep(now_ms);
        let (mut swept, mut from) = (Swept::default(), None);
        loop {
            let page = self.0.engine.page(from).await?;
            for (session, record) in page.sessions {
                self.sweep_one(session, record, now_ms, &mut swept).await?;
            }
            from = page.next;
            if from.is_none() {
                return Ok(swept);
            }
            // An engine in this process answers at once; others want to run too.
            tokio::task::yield_now().await;
        }
    }

    /// Sweeps now and then, for ever: to be spawned, and aborted before the sessions are closed.
    pub async fn sweeping(self) {
        let every = Duration::from_millis(self.0.lifetime.sweep_every_ms());
        let mut failed = false;
        loop {
            tokio::time::sleep(every).await;
            let swept = self.sweep(self.now_ms()).await;
            if let Err(error) = &swept
                && !failed
            {
                tracing::warn!(%error, "sessions that ended could not be removed; trying again");
            }
            failed = swept.is_err();
        }
    }

    async fn sweep_one(
        &self,
        session: SessionId,
        record: Record,
        now_ms: u64,
        swept: &mut Swept,
    ) -> Result<(), Error> {
        let Some(ending) = self.0.lifetime.over(&record, now_ms) else {
            swept.sessions += 1;
            // Those that ended are told of at the beginning of time.
            for head in self.0.engine.heads(session, 0).await? {
                swept.partitions += u64::from(self.empty(session, head, now_ms).await?);
            }
            return Ok(());
        };
        let was_revoked = record.revoked_ms.is_some();
        // Who used it meanwhile keeps it.
        if self.clear(session, Some(record.clone()), None).await? {
            swept.ended += 1;
            if !was_revoked {
                self.tell_ending(self.ended(session, Some(&record), ending));
            }
        }
        Ok(())
    }

    /// Empties a partition that ended. Its version stays, so that no later write of it is below.
    async fn empty(&self, session: SessionId, head: Head, now_ms: u64) -> Result<bool, Error> {
        let is_over = head.expires_ms.is_some_and(|at| now_ms >= at);
        if !is_over || head.keys == 0 {
            return Ok(false);
        }
        let write = Write {
            session,
            partition: head.name,
            fence: Fence::default(),
            version: Version(self.0.rising.above(head.version.0)),
            // Who wrote it meanwhile keeps it.
            condition: If::Absent,
            replace: true,
            puts: Vec::new(),
            expiry: Expiry::Never,
            // Nothing is added; it is no matter how much there is.
            max_bytes: NO_LIMIT,
            max_session_bytes: NO_LIMIT,
            now_ms,
        };
        Ok(matches!(self.0.engine.write(write).await?, Outcome::Done { .. }))
    }
}

//! When partitions end by themselves.

use super::{ATTEMPTS, Batch, Call, Error, Expiry, If, Reply, overtaken};
use crate::view::command::{Expire, When};

impl Call<'_> {
    /// Answers whether the time was changed.
    pub(super) async fn expire(&self, expire: &Expire) -> Result<Reply, Error> {
        let at_ms = match expire.at_ms(self.state.sessions.now_ms()) {
            Ok(at_ms) => at_ms,
            Err(text) => return Ok(Reply::Error(text)),
        };
        if !expire.is_conditional() {
            return Ok(Reply::flag(self.end_at(at_ms, If::Present).await?));
        }
        let _turn = self.state.lock(self.key).await;
        for _ in 0..ATTEMPTS {
            let Some(head) = self.head().await? else {
                return Ok(Reply::flag(false));
            };
            if !expire.holds(at_ms, head.expires_ms) {
                return Ok(Reply::flag(false));
            }
            if self.end_at(at_ms, If::Is(head.version)).await? {
                return Ok(Reply::flag(true));
            }
        }
        Err(overtaken())
    }

    /// Lets it end at a time; at once where that is 0.
    async fn end_at(&self, at_ms: u64, condition: If) -> Result<bool, Error> {
        let batch = Batch {
            condition,
            replace: at_ms == 0,
            changes: Vec::new(),
            expiry: if at_ms == 0 {
                Expiry::Never
            } else {
                Expiry::At(at_ms)
            },
        };
        Ok(self.write_if(batch).await?.is_some())
    }

    /// When it ends: -2 where it is not there, -1 where it ends with its session.
    pub(super) async fn ends(&self, when: When) -> Result<Reply, Error> {
        let head = self.head().await?;
        Ok(match head.map(|head| head.expires_ms) {
            None => Reply::Int(-2),
            Some(None) => Reply::Int(-1),
            Some(Some(at_ms)) => Reply::count(when.tell(at_ms, self.state.sessions.now_ms())),
        })
    }

    /// Lets it end with its session; whether it was to end before.
    pub(super) async fn persist(&self) -> Result<Reply, Error> {
        let _turn = self.state.lock(self.key).await;
        for _ in 0..ATTEMPTS {
            let head = self.head().await?;
            let Some(head) = head.filter(|head| head.expires_ms.is_some()) else {
                return Ok(Reply::flag(false));
            };
            let batch = Batch {
                condition: If::Is(head.version),
                expiry: Expiry::Never,
                ..Batch::default()
            };
            if self.write_if(batch).await?.is_some() {
                return Ok(Reply::flag(true));
            }
        }
        Err(overtaken())
    }
}

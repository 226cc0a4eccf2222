//! Gives keys back to their buckets once nobody uses them.
//!
//! Only what is due is looked at, a few a round. A key that is due but in use is given more time, so that no
//! client is moved for tidiness.

use foreshift_wire::Override;

use super::{affinity::IDLE_MS, routes::Edit, state::Pool};
use crate::clock::now_ms;

/// Overrides looked at in one round.
const LOOKED_AT_MAX: usize = 50;

impl Pool {
    /// Ends what is due: pins with a time to live become ordinary overrides, idle overrides go.
    pub(super) async fn expire(&mut self) -> Result<(), foreshift_meta::Error> {
        let now = now_ms();
        let due: Vec<Override> = self.routes.due(now).take(LOOKED_AT_MAX).cloned().collect();
        let mut edit = Edit::default();
        for set in due {
            let used_ms = self.used_ms.get(&set.session).copied().unwrap_or(0);
            let in_use = if set.pinned || used_ms + IDLE_MS > now || self.log.is_moving(set.session) {
                true
            } else {
                match self.is_connected(set.session).await {
                    Some(connected) => connected,
                    // An ingress that is stuck is not asked again this round.
                    None => break,
                }
            };
            if in_use {
                let expires_ms = Some(now + IDLE_MS);
                edit.set_overrides.push(Override {
                    pinned: false,
                    expires_ms,
                    ..set
                });
            } else {
                self.used_ms.remove(&set.session);
                edit.clear_overrides.push(set.session);
            }
        }
        self.commit(edit).await
    }
}

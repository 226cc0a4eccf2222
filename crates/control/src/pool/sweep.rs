//! Ends moves that nobody ends: the ingress tells nothing of a key that has nothing open, and may be stuck.

use std::time::Duration;

use foreshift_wire::{ConnectionFilter, Move, MoveFailure, SessionId, Strategy, Unit};

use super::{settle::Ending, state::Pool};
use crate::clock::now_ms;

/// Time beyond the hand-over's own deadline after which a move of a key without open connections counts as done,
/// since there is nothing to switch: the next request hands it over.
const GRACE_MS: u64 = 1_000;
/// Time after which a move of which the ingress told nothing counts as failed.
const SILENCE_MS: u64 = 60_000;
/// Longest delay that the ingress gives to a client that it tells to move.
const SPREAD_MS: u64 = 600_000;
/// Moves that are asked about in one round.
const ASKED_MAX: usize = 20;
/// Time for the ingress to say whether a session is connected.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

impl Pool {
    /// Ends moves of which the ingress told nothing in time.
    pub(super) async fn sweep_moves(&mut self) -> Result<(), foreshift_meta::Error> {
        let now = now_ms();
        let mut deadline_ms = self.settings.migration_deadline.as_millis() as u64;
        if self.settings.migration_strategy != Strategy::Proxy {
            deadline_ms += self.settings.migration_within.as_millis() as u64 + SPREAD_MS;
        }
        let overdue = |made: &&Move, after: u64| made.planned_ms + deadline_ms + after < now;
        let silent: Vec<_> = self
            .log
            .all_active()
            .take_while(|made| overdue(made, SILENCE_MS))
            .map(|made| made.id)
            .collect();
        let step = "waiting for the ingress".into();
        self.fail_moves(&silent, &MoveFailure::Deadline { step }).await?;

        let late = self
            .log
            .all_active()
            .take_while(|made| overdue(made, GRACE_MS))
            .take(ASKED_MAX);
        let keys = late.filter_map(|made| match &made.unit {
            Unit::Key { session, .. } => Some((made.id, *session)),
            Unit::Bucket { .. } => None,
        });
        let mut done = Vec::new();
        for (id, session) in keys.collect::<Vec<_>>() {
            match self.is_connected(session).await {
                Some(false) => done.push(id),
                Some(true) => {}
                // An ingress that is stuck is not asked again this round.
                None => break,
            }
        }
        let ending = Ending::default();
        self.settle_with(|pool, settlement| {
            for id in &done {
                pool.end_record(*id, &ending, settlement);
            }
        })
        .await
    }

    /// Whether a session has open connections; `None` where the ingress does not say in time.
    ///
    /// The future borrows nothing, since a forecaster need not be `Sync` and so neither is `&Pool` `Send`.
    pub(super) fn is_connected(
        &self,
        session: SessionId,
    ) -> impl Future<Output = Option<bool>> + Send + use<> {
        let filter = ConnectionFilter {
            pool: Some(self.settings.name.clone()),
            session: Some(session),
            limit: Some(1),
            ..Default::default()
        };
        let plane = self.plane.clone();
        async move {
            let found = tokio::time::timeout(ANSWER_TIMEOUT, plane.connections(filter))
                .await
                .ok()?;
            Some(found.iter().any(|connection| connection.session == session))
        }
    }
}

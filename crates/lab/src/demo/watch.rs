//! What the API tells while the load is on.

use std::{collections::BTreeMap, time::Duration};

use foreshift_wire::{Move, MoveId, PoolView};
use tokio::time::timeout;

use super::setting::POOL;
use crate::HttpClient;

/// Moves asked for at a time; more than one second brings.
const RECENT: usize = 1_000;
/// All that the API gives.
const ALL: usize = 10_000;

/// Collects what the API says, again and again.
#[derive(Debug)]
pub(super) struct Watch {
    api: HttpClient,
    /// As it was said last.
    pub pool: Option<PoolView>,
    /// Every move seen, with the state in which it was seen last.
    pub moves: BTreeMap<MoveId, Move>,
}

impl Watch {
    pub(super) fn new(api: HttpClient) -> Self {
        Self {
            api,
            pool: None,
            moves: BTreeMap::new(),
        }
    }

    /// Asks once. An API that is slow to answer is asked again the next time; the load goes on.
    pub(super) async fn look(&mut self) {
        let look = async {
            let pool = self.api.get_json(&format!("/v1/pools/{POOL}")).await?;
            let moves = moves(&mut self.api, RECENT).await?;
            anyhow::Ok((pool, moves))
        };
        match timeout(Duration::from_secs(2), look).await {
            Ok(Ok((pool, moves))) => {
                self.pool = Some(pool);
                self.take(moves);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the API did not answer"),
            Err(_) => tracing::warn!("the API did not answer within 2 s"),
        }
    }

    /// Asks for every move's outcome.
    pub(super) async fn finish(&mut self) -> anyhow::Result<()> {
        let moves = timeout(Duration::from_secs(10), moves(&mut self.api, ALL)).await??;
        self.take(moves);
        Ok(())
    }

    fn take(&mut self, moves: Vec<Move>) {
        self.moves.extend(moves.into_iter().map(|each| (each.id, each)));
    }
}

async fn moves(api: &mut HttpClient, limit: usize) -> anyhow::Result<Vec<Move>> {
    api.get_json(&format!("/v1/moves?pool={POOL}&limit={limit}"))
        .await
}

//! `/v1/sessions/stats`: what was replayed to nodes, and what was not as they held or did not require it.

use axum::{extract::State, http::StatusCode};
use foreshift_store::{Counts, ReplayStats};
use foreshift_wire::{PartitionStats, Problem, ReplayCounts, SessionAccess, SessionStats};

use super::{Desk, who::Who};
use crate::api::problem::{ApiError, Result};

/// What replay did since the start, by partition.
#[utoipa::path(
    get, path = "/v1/sessions/stats", tag = "sessions",
    responses((status = 200, body = SessionStats), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn stats(State(desk): State<Desk>, Who(caller): Who) -> Result<axum::Json<SessionStats>> {
    if caller.access.level < SessionAccess::Admin {
        let detail = "this token does not allow to see statistics; that needs access = \"admin\"";
        return Err(ApiError::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(axum::Json(view(desk.store()?.sessions.replay_stats())))
}

fn view(stats: ReplayStats) -> SessionStats {
    let partitions = stats.partitions.into_iter().map(|(name, of)| PartitionStats {
        name,
        replay: counts(of),
    });
    SessionStats {
        partitions: partitions.collect(),
        others: counts(stats.others),
        bytes_not_required: stats.bytes_not_required,
        sessions_known: stats.sessions_known as u64,
        bytes_known: stats.bytes_known as u64,
        tokens: stats.tickets as u64,
    }
}

fn counts(counts: Counts) -> ReplayCounts {
    ReplayCounts {
        portions: counts.portions,
        deltas: counts.deltas,
        bytes_sent: counts.bytes_sent,
        bytes_held: counts.bytes_held,
        bytes_left: counts.bytes_left,
        acknowledged: counts.acknowledged,
    }
}

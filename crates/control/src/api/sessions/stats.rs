//! `/v1/sessions/stats`: what was replayed to nodes, what was not as they held or did not require it, and what is replayed in parts.

use axum::{extract::State, http::StatusCode};
use bytes::Bytes;
use foreshift_store::{Counts, ReplayStats, SplitView, Splitting};
use foreshift_wire::{
    PartitionStats, Problem, ReplayCounts, SessionAccess, SessionStats, SplitDecision, SplitStats,
    entries::encode_key,
};

use super::{Desk, SessionStore, data, who::Who};
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
    let SessionStore { sessions, config, .. } = desk.store()?;
    let mut splits = sessions.splits();
    // Parts are beginnings of keys, which are as secret as the partition is.
    splits.retain(|split| caller.reads(&split.partition, data::is_secret(&split.partition, config)));
    Ok(axum::Json(view(sessions.replay_stats(), splits)))
}

fn view(stats: ReplayStats, splits: Vec<SplitView>) -> SessionStats {
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
        splits: splits.into_iter().map(split).collect(),
    }
}

fn split(view: SplitView) -> SplitStats {
    SplitStats {
        pool: view.pool,
        partition: view.partition,
        decision: decision(&view.decision),
        reigns: view.reigns,
        changes: view.changes,
        misses: view.misses,
    }
}

fn decision(decision: &Splitting) -> SplitDecision {
    let text = |part: &Bytes| encode_key(part);
    match decision {
        Splitting::TooFew { needed } => SplitDecision::TooFew { needed: *needed },
        Splitting::TooMany => SplitDecision::TooMany,
        Splitting::Whole => SplitDecision::Whole,
        Splitting::Split {
            always,
            groups,
            closest,
        } => {
            let (first, second) = &closest.parts;
            SplitDecision::Split {
                always: always.iter().map(text).collect(),
                groups: groups
                    .iter()
                    .map(|group| group.iter().map(text).collect())
                    .collect(),
                closest: [first, second].map(text),
                share: closest.share,
            }
        }
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

//! `/v1/moves` and `/v1/plan`: what was moved, and what would be.

use axum::{Json, extract::State};
use foreshift_wire::{Move, MoveFilter, PlanView, PoolFilter, Problem};

use super::{App, extract::Query, problem::Result};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;

/// Moves, newest first.
#[utoipa::path(
    get, path = "/v1/moves", tag = "moves", params(MoveFilter),
    responses((status = 200, body = [Move]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(
    State(app): State<App>,
    Query(filter): Query<MoveFilter>,
) -> Result<Json<Vec<Move>>> {
    let limit = filter.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let mut moves = Vec::new();
    for pool in app.pools_of(filter.pool.as_ref())? {
        moves.extend(pool.moves(limit).await?);
    }
    moves.sort_by_key(|m| std::cmp::Reverse((m.planned_ms, m.id)));
    moves.truncate(limit);
    Ok(Json(moves))
}

/// What would be done now. Nothing is done.
#[utoipa::path(
    get, path = "/v1/plan", tag = "moves", params(PoolFilter),
    responses((status = 200, body = [PlanView]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn plan(
    State(app): State<App>,
    Query(filter): Query<PoolFilter>,
) -> Result<Json<Vec<PlanView>>> {
    let mut plans = Vec::new();
    for pool in app.pools_of(filter.pool.as_ref())? {
        plans.push(pool.plan().await?);
    }
    Ok(Json(plans))
}

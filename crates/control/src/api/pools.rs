//! `/v1/pools`

use axum::{Json, extract::State};
use foreshift_wire::{PoolView, Problem};

use super::{App, extract::Path, problem::Result};

/// All pools with their nodes.
#[utoipa::path(
    get, path = "/v1/pools", tag = "pools",
    responses((status = 200, body = [PoolView]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<PoolView>>> {
    let pools = app.pools.all();
    let mut views = Vec::with_capacity(pools.len());
    for pool in pools.values() {
        views.push(pool.view().await?);
    }
    Ok(Json(views))
}

/// One pool with its nodes.
#[utoipa::path(
    get, path = "/v1/pools/{pool}", tag = "pools",
    params(("pool" = String, Path, description = "The pool's name")),
    responses((status = 200, body = PoolView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn get(State(app): State<App>, Path(pool): Path<String>) -> Result<Json<PoolView>> {
    Ok(Json(app.pool(&pool)?.view().await?))
}

//! `/v1/pools/{pool}/affinity/{key}`: where a client's key lives.

use axum::{extract::State, http::StatusCode};
use foreshift_wire::{AffinityView, PinRequest, Problem};

use super::{
    App,
    extract::{Json, Path},
    problem::Result,
};

/// Where a key lives and why.
#[utoipa::path(
    get, path = "/v1/pools/{pool}/affinity/{key}", tag = "affinity",
    params(("pool" = String, Path, description = "The pool's name"), ("key" = String, Path, description = "The affinity key, percent-encoded")),
    responses((status = 200, body = AffinityView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn get(
    State(app): State<App>,
    Path((pool, key)): Path<(String, String)>,
) -> Result<axum::Json<AffinityView>> {
    Ok(axum::Json(app.pool(&pool)?.affinity(key).await?))
}

/// Pins a key to a node: it is moved there now, and no plan moves it away.
#[utoipa::path(
    put, path = "/v1/pools/{pool}/affinity/{key}", tag = "affinity", request_body = PinRequest,
    params(("pool" = String, Path, description = "The pool's name"), ("key" = String, Path, description = "The affinity key, percent-encoded")),
    responses(
        (status = 200, body = AffinityView),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The node takes no keys, or the key is being moved"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn pin(
    State(app): State<App>,
    Path((pool, key)): Path<(String, String)>,
    Json(pin): Json<PinRequest>,
) -> Result<axum::Json<AffinityView>> {
    Ok(axum::Json(app.pool(&pool)?.pin(key, pin).await?))
}

/// Removes a pin. The key stays where it is until it is idle, or a plan moves it.
#[utoipa::path(
    delete, path = "/v1/pools/{pool}/affinity/{key}", tag = "affinity",
    params(("pool" = String, Path, description = "The pool's name"), ("key" = String, Path, description = "The affinity key, percent-encoded")),
    responses((status = 204, description = "No longer pinned"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn unpin(
    State(app): State<App>,
    Path((pool, key)): Path<(String, String)>,
) -> Result<StatusCode> {
    app.pool(&pool)?.unpin(key).await?;
    Ok(StatusCode::NO_CONTENT)
}

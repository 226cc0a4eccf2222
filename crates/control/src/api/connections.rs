//! `/v1/connections`: the open client connections, and moving one by hand.

use axum::{extract::State, http::StatusCode};
use foreshift_wire::{ConnectionFilter, ConnectionId, ConnectionInfo, MigrateRequest, Move, Problem};

use super::{
    App,
    extract::{Json, Path, Query},
    problem::{ApiError, Result},
};

/// Connections listed where the request names no limit, and at most.
const LIMIT_DEFAULT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// The open connections that match.
#[utoipa::path(
    get, path = "/v1/connections", tag = "connections", params(ConnectionFilter),
    responses((status = 200, body = [ConnectionInfo]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(
    State(app): State<App>,
    Query(mut filter): Query<ConnectionFilter>,
) -> Result<axum::Json<Vec<ConnectionInfo>>> {
    if let Some(pool) = &filter.pool {
        app.pool(pool.as_str())?;
    }
    filter.limit = Some(filter.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX));
    Ok(axum::Json(app.plane.connections(filter).await))
}

/// Moves a connection's session, and so all of its key's connections, to another node.
#[utoipa::path(
    post, path = "/v1/connections/{id}/migrate", tag = "connections", request_body = MigrateRequest,
    params(("id" = u64, Path, description = "The connection's id")),
    responses(
        (status = 202, body = Move, description = "The move, under way; /v1/moves and /v1/events tell how it ends"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such connection or node"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It cannot be moved there"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn migrate(
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    Json(request): Json<MigrateRequest>,
) -> Result<(StatusCode, axum::Json<Move>)> {
    let filter = ConnectionFilter {
        id: Some(id),
        limit: Some(1),
        ..Default::default()
    };
    let found = app
        .plane
        .connections(filter)
        .await
        .into_iter()
        .find(|c| c.id == id);
    let connection = found.ok_or_else(|| {
        ApiError::not_found(format!(
            "no connection {id} is open; GET /v1/connections lists those that are"
        ))
    })?;
    let pool = app.pool(connection.pool.as_str())?;
    let made = pool.migrate(connection, request.target).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(made)))
}

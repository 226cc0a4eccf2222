//! `/v1/pools/{pool}/nodes`

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use foreshift_wire::{NodeRequest, NodeView, Problem, SeriesFilter, SeriesView, Signals, StateRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    App,
    extract::{Json, Path, Query},
    problem::Result,
};

/// A pool's nodes.
#[utoipa::path(
    get, path = "/v1/pools/{pool}/nodes", tag = "nodes",
    params(("pool" = String, Path, description = "The pool's name")),
    responses((status = 200, body = [NodeView]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(
    State(app): State<App>,
    Path(pool): Path<String>,
) -> Result<axum::Json<Vec<NodeView>>> {
    Ok(axum::Json(app.pool(&pool)?.view().await?.nodes))
}

/// Adds a node. It is given keys once it is found healthy.
#[utoipa::path(
    post, path = "/v1/pools/{pool}/nodes", tag = "nodes", request_body = NodeRequest,
    params(("pool" = String, Path, description = "The pool's name")),
    responses(
        (status = 201, body = NodeView, headers(("Location" = String, description = "The node"))),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The id is taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value is out of its range"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn add(
    State(app): State<App>,
    Path(pool): Path<String>,
    Json(request): Json<NodeRequest>,
) -> Result<impl IntoResponse> {
    let view = app.pool(&pool)?.add_node(request.into()).await?;
    let location = format!("/v1/pools/{pool}/nodes/{}", view.spec.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        axum::Json(view),
    ))
}

/// How to remove a node.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Removal {
    /// Remove it although connections are open to it; they are failed over or closed.
    force: bool,
}

/// Removes a node. Refused while connections are open to it, except with `force`: drain it first.
#[utoipa::path(
    delete, path = "/v1/pools/{pool}/nodes/{id}", tag = "nodes",
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id"), Removal),
    responses(
        (status = 204, description = "It is gone. A node of the configuration file is back after a restart"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Connections are open to it"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn remove(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
    Query(removal): Query<Removal>,
) -> Result<StatusCode> {
    app.pool(&pool)?.remove_node(id, removal.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets the state that the operator wishes: `ready`, `draining` or `down`.
#[utoipa::path(
    put, path = "/v1/pools/{pool}/nodes/{id}/state", tag = "nodes", request_body = StateRequest,
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id")),
    responses((status = 200, body = NodeView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn set_state(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
    Json(wish): Json<StateRequest>,
) -> Result<axum::Json<NodeView>> {
    Ok(axum::Json(app.pool(&pool)?.set_state(id, wish.state).await?))
}

/// Takes what a node says of itself. Counts for 10 s; send it every few seconds.
#[utoipa::path(
    post, path = "/v1/pools/{pool}/nodes/{id}/report", tag = "nodes", request_body = Signals,
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id")),
    responses((status = 204, description = "Taken"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn report(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
    Json(signals): Json<Signals>,
) -> Result<StatusCode> {
    app.pool(&pool)?.report(id, signals).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was measured of a node before: one metric at one resolution, since this run began.
#[utoipa::path(
    get, path = "/v1/pools/{pool}/nodes/{id}/series", tag = "nodes",
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id"), SeriesFilter),
    responses((status = 200, body = SeriesView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn series(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
    Query(filter): Query<SeriesFilter>,
) -> Result<axum::Json<SeriesView>> {
    Ok(axum::Json(app.pool(&pool)?.series(id, filter).await?))
}

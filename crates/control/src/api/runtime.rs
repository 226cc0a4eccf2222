//! What operators do at run time: weights, health, sessions, keys that are placed one by one, the process.

use axum::{Json as Body, extract::State};
use foreshift_wire::{
    AffinityView, ConnectionFilter, ConnectionId, Count, EntryFilter, Info, NodeChange, NodeId, NodeView,
    Override, PinRequest, Problem, SessionId,
};

use super::{
    App,
    extract::{Json, Path, Query},
    problem::{ApiError, Result},
};
use crate::{clock::now_ms, pool};

/// Sets a node's weight or health at run time. What is absent stays as it is.
#[utoipa::path(
    patch, path = "/v1/pools/{pool}/nodes/{id}", tag = "nodes", request_body = NodeChange,
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id")),
    responses((status = 200, body = NodeView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn change(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
    Json(change): Json<NodeChange>,
) -> Result<Body<NodeView>> {
    Ok(Body(app.pool(&pool)?.change_node(id, change).await?))
}

/// Undoes what was set at run time: weight and health are as configured again.
#[utoipa::path(
    delete, path = "/v1/pools/{pool}/nodes/{id}/runtime", tag = "nodes",
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id")),
    responses((status = 200, body = NodeView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn reset(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
) -> Result<Body<NodeView>> {
    Ok(Body(app.pool(&pool)?.reset_node(id).await?))
}

/// Ends the WebSockets, event streams and TCP connections of a node. Requests that are being answered are left to end.
#[utoipa::path(
    delete, path = "/v1/pools/{pool}/nodes/{id}/sessions", tag = "nodes",
    params(("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id")),
    responses((status = 200, body = Count, description = "How many were ended"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn end_sessions(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
) -> Result<Body<Count>> {
    let view = app.pool(&pool)?.view().await?;
    let node = NodeId::new(&id)
        .ok()
        .filter(|id| view.nodes.iter().any(|node| node.spec.id == *id));
    let node = node.ok_or_else(|| ApiError::not_found(format!("pool {pool} has no node {id:?}")))?;
    let filter = ConnectionFilter {
        pool: Some(view.name),
        node: Some(node),
        ..Default::default()
    };
    let count = app.plane.close_streams(filter).await;
    Ok(Body(Count { count }))
}

/// Ends one WebSocket, event stream or TCP connection.
#[utoipa::path(
    delete, path = "/v1/connections/{id}", tag = "connections",
    params(("id" = u64, Path, description = "The connection's id")),
    responses((status = 200, body = Count, description = "How many were ended"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn end_connection(
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
) -> Result<Body<Count>> {
    let filter = ConnectionFilter {
        id: Some(id),
        ..Default::default()
    };
    match app.plane.close_streams(filter).await {
        0 => Err(ApiError::not_found(format!(
            "no stream {id} is open: it is over, or a request, which ends by itself"
        ))),
        count => Ok(Body(Count { count })),
    }
}

/// Keys that were placed one by one, by moves and pins, in the order of their sessions.
#[utoipa::path(
    get, path = "/v1/pools/{pool}/affinity", tag = "affinity",
    params(("pool" = String, Path, description = "The pool's name"), EntryFilter),
    responses((status = 200, body = [Override]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn entries(
    State(app): State<App>,
    Path(pool): Path<String>,
    Query(filter): Query<EntryFilter>,
) -> Result<Body<Vec<Override>>> {
    Ok(Body(app.pool(&pool)?.entries(filter).await?))
}

/// Gives keys that were placed one by one back to their buckets, pins included; they move there. Those that are being moved
/// stay.
#[utoipa::path(
    delete, path = "/v1/pools/{pool}/affinity", tag = "affinity",
    params(("pool" = String, Path, description = "The pool's name"), EntryFilter),
    responses((status = 200, body = Count, description = "How many were given back"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn clear(
    State(app): State<App>,
    Path(pool): Path<String>,
    Query(filter): Query<EntryFilter>,
) -> Result<Body<Count>> {
    let count = app.pool(&pool)?.clear(filter).await?;
    Ok(Body(Count { count }))
}

/// Pins a session to a node, whatever its key is.
#[utoipa::path(
    put, path = "/v1/pools/{pool}/sessions/{session}", tag = "affinity", request_body = PinRequest,
    params(("pool" = String, Path, description = "The pool's name"), ("session" = String, Path, description = "32 hexadecimal digits")),
    responses((status = 200, body = AffinityView), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn pin_session(
    State(app): State<App>,
    Path((pool, session)): Path<(String, SessionId)>,
    Json(pin): Json<PinRequest>,
) -> Result<Body<AffinityView>> {
    Ok(Body(app.pool(&pool)?.pin_session(session, pin).await?))
}

/// The process and its pools in few words.
#[utoipa::path(
    get, path = "/v1/info", tag = "process",
    responses((status = 200, body = Info), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn info(State(app): State<App>) -> Result<Body<Info>> {
    let mut pools = Vec::new();
    for pool in app.pools.all().values() {
        pools.push(pool.info().await?);
    }
    let draining = *app.draining.borrow();
    Ok(Body(pool::info(app.started_ms, now_ms(), draining, pools)))
}

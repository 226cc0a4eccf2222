//! Sessions: how they begin and end.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use foreshift_store::{Cursor, SessionInfo};
use foreshift_wire::{Problem, SessionFilter, SessionPage, SessionView};

use super::{Desk, place::SessionPlace, who::Who};
use crate::api::{extract::Query, problem::Result};

fn view(info: SessionInfo) -> SessionView {
    SessionView {
        id: info.id,
        pool: info.pool,
        created_ms: info.created_ms,
        used_ms: info.used_ms,
        ends_ms: info.ends_ms,
        owner: info.owner,
        epoch: info.epoch,
        revoked_ms: info.revoked_ms,
    }
}

/// Makes a session, with an id of the system's generator.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions",
    responses(
        (status = 201, body = SessionView, description = "The header Location names it"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(State(desk): State<Desk>, Who(caller): Who) -> Result<Response> {
    let sessions = &desk.store()?.sessions;
    let id = sessions.create(&caller).await?;
    let info = sessions.info(&caller, id).await?;
    let place = [(header::LOCATION, format!("/v1/sessions/{id}"))];
    Ok((StatusCode::CREATED, place, axum::Json(view(info))).into_response())
}

/// Sessions that have state, by pages, in no order.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", params(SessionFilter),
    responses((status = 200, body = SessionPage), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(
    State(desk): State<Desk>,
    Who(caller): Who,
    Query(filter): Query<SessionFilter>,
) -> Result<axum::Json<SessionPage>> {
    let from = filter.after.map(Cursor);
    let (found, next) = desk.store()?.sessions.list(&caller, from).await?;
    Ok(axum::Json(SessionPage {
        sessions: found.into_iter().map(view).collect(),
        next: next.map(|Cursor(next)| next),
    }))
}

/// A session, without its state.
#[utoipa::path(
    get, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session's id")),
    responses(
        (status = 200, body = SessionView),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Nobody issued this id, or the session ended"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was revoked"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(desk): State<Desk>,
    Who(caller): Who,
    SessionPlace(id): SessionPlace,
) -> Result<axum::Json<SessionView>> {
    Ok(axum::Json(view(desk.store()?.sessions.info(&caller, id).await?)))
}

/// Ends a session: its state is deleted, its streams are closed. The same client may begin it anew, empty.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "It is over"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn end(
    State(desk): State<Desk>,
    Who(caller): Who,
    SessionPlace(id): SessionPlace,
) -> Result<StatusCode> {
    desk.store()?.sessions.end(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a session for good: its state is deleted, its streams are closed, and nothing of it is let in until it would have
/// ended at the latest.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/revoke", tag = "sessions",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "It is revoked"), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn revoke(
    State(desk): State<Desk>,
    Who(caller): Who,
    SessionPlace(id): SessionPlace,
) -> Result<StatusCode> {
    desk.store()?.sessions.revoke(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `/v1/reload`

use axum::{Json, extract::State, http::StatusCode};
use foreshift_wire::{Problem, Reloaded};
use tokio::sync::oneshot;

use super::{
    App,
    problem::{ApiError, Result},
};
use crate::reload::ReloadRequest;

/// Reads the configuration file again and takes over what changed; no connection is dropped.
#[utoipa::path(
    post, path = "/v1/reload", tag = "process",
    responses(
        (status = 200, body = Reloaded, description = "What changed, by key"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The file cannot be used: its keys and lines; nothing changed"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn reload(State(app): State<App>) -> Result<Json<Reloaded>> {
    let nobody = || {
        let detail = "nobody here reads a configuration file; restart the process instead";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    let reloads = app.reloads.ok_or_else(nobody)?;
    let (answer, told) = oneshot::channel();
    reloads
        .send(ReloadRequest { answer })
        .await
        .map_err(|_| nobody())?;
    match told.await.map_err(|_| nobody())? {
        Ok(reloaded) => Ok(Json(reloaded)),
        Err(why) => Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why)),
    }
}

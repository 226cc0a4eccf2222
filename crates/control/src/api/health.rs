//! `/healthz` and `/readyz`, for whatever watches this process.

use axum::{extract::State, http::StatusCode};
use foreshift_wire::Problem;

use super::{
    App,
    problem::{ApiError, Result},
};

/// 200 while the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "process", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 while every pool's loop runs and has a ready node that the ingress knows; else 503 with what is missing.
#[utoipa::path(
    get, path = "/readyz", tag = "process",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str> {
    let mut missing = Vec::new();
    if *app.draining.borrow() {
        missing.push("shutting down".to_owned());
    }
    for (name, pool) in app.pools.all().iter() {
        if let Some(why) = pool.not_ready().await? {
            missing.push(format!("pool {name}: {why}"));
        } else if !app.plane.serves(name.clone()).await {
            missing.push(format!("pool {name}: the ingress has not heard of its nodes yet"));
        }
    }
    if missing.is_empty() {
        Ok("ok\n")
    } else {
        Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, missing.join("; ")))
    }
}

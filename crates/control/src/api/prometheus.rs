//! `/metrics` in Prometheus' text format.

use axum::{extract::State, http::header, response::IntoResponse};

use super::{App, problem::Result};
use crate::metrics;

/// Everything measured, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "process", responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")))]
pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse> {
    let running = app.pools.all();
    let mut pools = Vec::with_capacity(running.len());
    for pool in running.values() {
        pools.push(pool.metrics().await?);
    }
    let text = metrics::render(&pools, app.sessions.sessions());
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    ))
}

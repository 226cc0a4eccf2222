//! The HTTP API.
//!
//! One definition a route: [`utoipa::path`] on a handler makes both the route and its entry in
//! `/openapi.json`, so that the document cannot drift from what is served. Every failure is a problem
//! (RFC 9457), those of the router and the extractors included. Only this module knows status codes.

mod affinity;
mod agents;
mod connections;
mod events;
mod extract;
mod forecasts;
mod guard;
mod health;
mod moves;
mod nodes;
mod pools;
mod problem;
mod prometheus;
mod reload;
mod runtime;
mod serve;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::get,
};
use foreshift_secret::Token;
use foreshift_wire::PoolName;
use tokio::sync::{mpsc, watch};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use agents::router as agent_router;
pub(crate) use serve::{Limits, serve, serve_with};
pub use sessions::SessionStore;
pub(crate) use sessions::{Desk, router as session_router};

use crate::{bus::Bus, data_plane::SharedPlane, pool::PoolHandle, pools::Pools, reload::ReloadRequest};
use problem::ApiError;

/// Longest request body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) pools: Pools,
    pub(crate) plane: SharedPlane,
    pub(crate) bus: Bus,
    /// The token of agents, where they are expected.
    pub(crate) agent_token: Option<Arc<Token>>,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) started_ms: u64,
    pub(crate) reloads: Option<mpsc::Sender<ReloadRequest>>,
    /// The state of sessions.
    pub(crate) sessions: Desk,
}

impl App {
    /// The pool named so, or 404 with the names that there are.
    fn pool(&self, name: &str) -> problem::Result<PoolHandle> {
        let pools = self.pools.all();
        pools
            .iter()
            .find_map(|(known, pool)| (known.as_str() == name).then(|| pool.clone()))
            .ok_or_else(|| {
                let known: Vec<_> = pools.keys().map(PoolName::as_str).collect();
                ApiError::not_found(format!("no pool {name:?}; there are: {}", known.join(", ")))
            })
    }

    /// The pool named so, or all where none is named.
    fn pools_of(&self, name: Option<&PoolName>) -> problem::Result<Vec<PoolHandle>> {
        match name {
            Some(name) => Ok(vec![self.pool(name.as_str())?]),
            None => Ok(self.pools.all().values().cloned().collect()),
        }
    }
}

/// All routes, ready to serve.
pub(crate) fn router(app: App) -> Router {
    let info = InfoBuilder::new()
        .title("Foreshift")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Forecasts load and moves clients before a node is overloaded. Every failure is an \
             application/problem+json (RFC 9457).",
        ))
        .build();
    let (router, document) = OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .merge(routes())
        .merge(sessions::routes(app.sessions.clone()))
        .split_for_parts();
    let document = plain_paths(document);
    let document: Arc<str> = document
        .to_json()
        .expect("the document has only string keys")
        .into();
    let openapi = get(move || async move { ([("content-type", "application/json")], document.to_string()) });
    router
        .route("/openapi.json", openapi)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(guard::bounded))
        .layer(from_fn(guard::same_origin))
        .with_state(app)
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(pools::list))
        .routes(routes!(pools::get))
        .routes(routes!(nodes::list, nodes::add))
        .routes(routes!(nodes::remove, runtime::change))
        .routes(routes!(runtime::reset))
        .routes(routes!(runtime::end_sessions))
        .routes(routes!(nodes::set_state))
        .routes(routes!(nodes::report))
        .routes(routes!(agents::report))
        .routes(routes!(nodes::series))
        .routes(routes!(affinity::get, affinity::pin, affinity::unpin))
        .routes(routes!(connections::list))
        .routes(routes!(connections::migrate))
        .routes(routes!(runtime::end_connection))
        .routes(routes!(runtime::entries, runtime::clear))
        .routes(routes!(runtime::pin_session))
        .routes(routes!(runtime::info))
        .routes(routes!(moves::list))
        .routes(routes!(moves::plan))
        .routes(routes!(forecasts::list))
        .routes(routes!(events::stream))
        .routes(routes!(reload::reload))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(prometheus::metrics))
}

/// Paths as OpenAPI writes them: it has no parameter that is the rest of a path.
fn plain_paths(mut document: OpenApi) -> OpenApi {
    let paths = std::mem::take(&mut document.paths.paths).into_iter();
    document.paths.paths = paths
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    document
}

/// The path, without a session's id: problems end up in logs.
fn shown(uri: &Uri) -> &str {
    match uri.path().starts_with("/v1/sessions/") {
        true => "/v1/sessions/...",
        false => uri.path(),
    }
}

async fn unknown_path(uri: Uri) -> ApiError {
    let path = shown(&uri);
    ApiError::not_found(format!(
        "nothing is served at {path:?}; /openapi.json lists what is"
    ))
}

async fn unknown_method(method: Method, uri: Uri) -> Response {
    let detail = format!(
        "{method} is not allowed on {:?}; the header Allow names what is",
        shown(&uri)
    );
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response()
}

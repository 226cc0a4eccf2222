//! `/v1/pools/{pool}/nodes/{id}/agent`: what `foreshift agent` measured, for whoever has its token.

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::post,
};
use foreshift_wire::{AgentReceipt, AgentReport, Problem};

use super::{
    App, BODY_BYTES_MAX,
    extract::{Json, Path},
    guard,
    problem::ApiError,
};

/// Takes what an agent measured. Each sample counts once, however often it is sent; its age is what the agent says, its time
/// that of its arrival.
#[utoipa::path(
    post, path = "/v1/pools/{pool}/nodes/{id}/agent", tag = "nodes", request_body = AgentReport,
    params(
        ("pool" = String, Path, description = "The pool's name"), ("id" = String, Path, description = "The node's id"),
        ("Authorization" = String, Header, description = "`Bearer` and the token of `agent.token_file`"),
    ),
    responses(
        (status = 200, body = AgentReceipt),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "No token, or a wrong one"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A figure is out of its range; nothing was taken"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn report(
    State(app): State<App>,
    Path((pool, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: axum::extract::Request,
) -> Response {
    // Before the body is read: whoever has no token costs nothing.
    if let Some(refused) = refusal(&app, &headers) {
        return refused;
    }
    let taken = async {
        let Json(report) =
            <Json<AgentReport> as axum::extract::FromRequest<App>>::from_request(body, &app).await?;
        app.pool(&pool)?
            .agent_report(id, report)
            .await
            .map_err(ApiError::from)
    };
    match taken.await {
        Ok(receipt) => axum::Json::<AgentReceipt>(receipt).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The answer to whoever has no token.
fn refusal(app: &App, headers: &HeaderMap) -> Option<Response> {
    let Some(token) = &app.agent_token else {
        let detail = "no agent is expected: the configuration has no [agent]";
        return Some(ApiError::new(StatusCode::FORBIDDEN, detail).into_response());
    };
    let sent = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let sent = sent.and_then(|value| value.split_at_checked(7));
    let bearer = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
    match bearer {
        Some((_, sent)) if token.is(sent.trim_ascii()) => None,
        _ => {
            let detail = "send the header Authorization: Bearer with the token of agent.token_file";
            let mut refused = ApiError::new(StatusCode::UNAUTHORIZED, detail).into_response();
            let scheme = header::HeaderValue::from_static("Bearer");
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            Some(refused)
        }
    }
}

/// The route alone, for an address that machines of elsewhere reach.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/pools/{pool}/nodes/{id}/agent", post(report))
        .fallback(super::unknown_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(guard::bounded))
        .with_state(app)
}

//! `/v1/forecasts`

use axum::{Json, extract::State};
use foreshift_wire::{ForecastFilter, NodeForecast, Problem};

use super::{
    App,
    extract::Query,
    problem::{ApiError, Result},
};

/// The nodes' load beside their forecasts.
#[utoipa::path(
    get, path = "/v1/forecasts", tag = "forecasts", params(ForecastFilter),
    responses((status = 200, body = [NodeForecast]), (status = "default", body = Problem, content_type = "application/problem+json")),
)]
pub(super) async fn list(
    State(app): State<App>,
    Query(filter): Query<ForecastFilter>,
) -> Result<Json<Vec<NodeForecast>>> {
    let mut forecasts = Vec::new();
    for pool in app.pools_of(filter.pool.as_ref())? {
        let view = pool.view().await?;
        let wanted = |id: &foreshift_wire::NodeId| filter.node.as_ref().is_none_or(|node| node == id);
        forecasts.extend(
            view.nodes
                .into_iter()
                .filter(|n| wanted(&n.spec.id))
                .map(|node| NodeForecast {
                    pool: view.name.clone(),
                    node: node.spec.id,
                    load_score: node.load_score,
                    forecast: node.forecast,
                }),
        );
    }
    match &filter.node {
        Some(node) if forecasts.is_empty() => {
            Err(ApiError::not_found(format!("no node {:?}", node.as_str())))
        }
        _ => Ok(Json(forecasts)),
    }
}

//! A pool as the API and Prometheus see it.

use foreshift_forecast::{Forecast, Predictor};
use foreshift_telemetry::Point;
use foreshift_wire::{
    Event, ForecastView, NodeId, NodeRecord, NodeState, NodeView, PoolView, QuantilePath, Scored,
    SeriesFilter, SeriesPoint, SeriesView,
};

use super::{
    handle::{Answer, Refusal},
    state::{Node, Pool},
};
use crate::{
    clock::now_ms,
    metrics::{NodeMetrics, PoolMetrics},
};

impl Pool {
    pub(super) fn view(&self) -> PoolView {
        PoolView {
            name: self.settings.name.clone(),
            mode: self.settings.mode,
            map_version: self.routes.map().version(),
            nodes: self.node_views(),
            load_threshold: self.settings.load_threshold,
            forecast_gated: self.is_gated(),
        }
    }

    fn node_views(&self) -> Vec<NodeView> {
        let buckets = self.buckets();
        let view = |record: &NodeRecord| {
            let node = self.nodes.get(&record.spec.id)?;
            Some(self.one_view(record, node, buckets.get(&record.spec.id).copied().unwrap_or(0)))
        };
        self.routes.nodes().filter_map(view).collect()
    }

    pub(super) fn node_view(&self, id: &NodeId) -> Answer<NodeView> {
        let found = self.routes.node(id).zip(self.nodes.get(id));
        let (record, node) = found.ok_or_else(|| Refusal::NotFound(format!("no node {id}")))?;
        Ok(self.one_view(record, node, self.buckets().get(id).copied().unwrap_or(0)))
    }

    fn buckets(&self) -> std::collections::HashMap<NodeId, u32> {
        let map = self.routes.map();
        map.nodes()
            .iter()
            .map(|node| node.id.clone())
            .zip(map.buckets_per_node())
            .collect()
    }

    fn one_view(&self, record: &NodeRecord, node: &Node, buckets: u32) -> NodeView {
        let predicted = node
            .forecast
            .as_ref()
            .and_then(|f| f.predicted_score(self.settings.trigger_quantile));
        NodeView {
            spec: record.spec.clone(),
            observed_state: record.observed,
            state_reason: record.reason.clone(),
            ejected: record.ejected.clone(),
            slow_start_share: record.warming.as_ref().map(|warming| warming.share),
            signals: node.signals,
            load_score: node.score.map(|score| score.score),
            forecast: node
                .forecast
                .as_ref()
                .map(|forecast| forecast_view(forecast, &node.predictor)),
            capacity_score: predicted.map(|predicted| 100.0 - predicted),
            buckets,
            overrides: self.routes.overrides_on(&record.spec.id),
            differs: self.differs(record),
            agent: record.agent.clone(),
            sources: node.load.sources().views(now_ms()),
        }
    }

    /// What was measured of a node before.
    pub(super) fn series(&self, id: &str, filter: SeriesFilter) -> Answer<SeriesView> {
        let SeriesFilter { metric, resolution } = filter;
        let id = self.known(id)?;
        let series = self.nodes.get(&id).map(|node| &node.series);
        let points = series
            .into_iter()
            .flat_map(|series| series.points(metric, resolution, now_ms()));
        Ok(SeriesView {
            pool: self.settings.name.clone(),
            metric,
            resolution,
            step_ms: resolution.step_ms(),
            points: points.map(series_point).collect(),
            node: id,
        })
    }

    /// Tells the loads, where somebody listens.
    pub(super) fn tell_tick(&self) {
        if self.bus.has_listeners() {
            let (at_ms, pool) = (now_ms(), self.settings.name.clone());
            self.bus.tell(Event::Tick {
                at_ms,
                pool,
                nodes: self.node_views(),
            });
        }
    }

    /// What keeps the pool from serving.
    pub(super) fn not_ready(&self) -> Option<String> {
        let serving = self.routes.nodes().any(|node| node.observed == NodeState::Ready);
        (!serving).then(|| format!("none of its {} nodes is ready", self.nodes.len()))
    }

    /// Whether plans use some node's current load because its forecasts were worse.
    pub(super) fn is_gated(&self) -> bool {
        self.nodes.values().any(|node| node.predictor.gated())
    }

    pub(super) fn metrics(&self) -> PoolMetrics {
        let buckets = self.buckets();
        let node = |record: &NodeRecord| {
            let id = &record.spec.id;
            let node = self.nodes.get(id)?;
            let forecast = node.forecast.as_ref();
            Some(NodeMetrics {
                node: id.clone(),
                state: record.observed,
                ejected: record.ejected.is_some(),
                slow_start_share: record.warming.as_ref().map_or(1.0, |warming| warming.share),
                totals: node.totals.clone(),
                load_score: node.score.map(|score| score.score),
                predicted: forecast.map(peaks).unwrap_or_default(),
                forecast_error: forecast.and_then(Forecast::error),
                forecast_error_of_persistence: forecast.and_then(Forecast::error_of_persistence),
                forecast_coverage: forecast.and_then(Forecast::coverage),
                buckets: buckets.get(id).copied().unwrap_or(0),
                overrides: self.routes.overrides_on(id),
            })
        };
        PoolMetrics {
            pool: self.settings.name.clone(),
            map_version: self.routes.map().version(),
            gated: self.is_gated(),
            moves_in_progress: self.log.active_count() as u64,
            counters: self.counters.clone(),
            nodes: self.routes.nodes().filter_map(node).collect(),
        }
    }
}

fn peaks(forecast: &Forecast) -> Vec<(f64, f64)> {
    let quantiles = forecast.quantiles().iter().map(|(q, _)| *q);
    quantiles
        .filter_map(|q| Some((q, forecast.predicted_score(q)?)))
        .collect()
}

fn series_point(point: Point) -> SeriesPoint {
    SeriesPoint {
        start_ms: point.start_ms,
        count: point.count,
        mean: point.mean(),
        min: point.min as f32,
        max: point.max as f32,
    }
}

fn forecast_view(forecast: &Forecast, predictor: &Predictor) -> ForecastView {
    let quantile = |(q, path): &(f64, Vec<f64>)| QuantilePath {
        q: *q,
        path: path.clone(),
    };
    let scored = |scored: foreshift_forecast::Scored| Scored {
        at_ms: scored.at_ms,
        predicted: scored.predicted,
        predicted_q90: scored.predicted_q90,
        actual: scored.actual,
    };
    ForecastView {
        start_ms: forecast.start_ms(),
        step_ms: forecast.step_ms(),
        point: forecast.point().to_vec(),
        quantiles: forecast.quantiles().iter().map(quantile).collect(),
        model: forecast.model().to_owned(),
        period_s: forecast.period_s(),
        error: forecast.error(),
        error_of_persistence: forecast.error_of_persistence(),
        coverage: forecast.coverage(),
        history: predictor.history(),
        scored: predictor.scored().into_iter().map(scored).collect(),
    }
}

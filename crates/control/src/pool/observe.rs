//! From reports to loads and forecasts: one observation, recorded, and one forecast a node and round.

use std::time::Duration;

use foreshift_forecast::{CapacityValues, LoadScore, Signal, SignalValues, load_score};
use foreshift_wire::{Capacity, Event, KeyReport, NodeReport, NodeState, PoolReport, Signals};

use super::{
    plan::predicted,
    reports::Observed,
    state::{Node, Pool},
};
use crate::clock::now_ms;

impl Pool {
    /// Takes in what the ingress saw; `None` where it did not report.
    pub(super) fn observe(&mut self, observed: Option<&Observed>) {
        let now = now_ms();
        for node in self.nodes.values_mut() {
            node.signals = node.load.unseen(now);
        }
        if let Some(Observed { report, interval }) = observed {
            self.counters.refused += report.refused;
            self.observe_nodes(now, *interval, &report.nodes);
            self.loads.observe(now, *interval, &report.keys, &report.buckets);
            self.note_use(report);
            self.observe_outliers(report);
            self.counters.over_retry_budget += report.over_retry_budget;
        }
        let capacities = self
            .routes
            .nodes()
            .map(|record| (&record.spec.id, &record.spec.capacity));
        for (id, capacity) in capacities {
            if let Some(node) = self.nodes.get_mut(id) {
                node.forecast(now, capacity, &self.settings);
                let score = node.score.map(|score| score.score);
                node.series.record(now, &node.signals, score);
            }
        }
        if let Some(fault) = self.models.end_round() {
            let pool = &self.settings.name;
            tracing::warn!(%pool, fault, "the model of forecast.model_path is dropped");
        }
    }

    fn observe_nodes(&mut self, now: u64, interval: Duration, reports: &[NodeReport]) {
        for report in reports {
            let Some(node) = self.nodes.get_mut(&report.node) else {
                continue;
            };
            node.totals.add(report);
            match node.load.observe(now, interval, report) {
                Ok(signals) => node.signals = signals,
                Err(error) => {
                    tracing::warn!(pool = %self.settings.name, node = %report.node, %error, "a report that cannot be read");
                }
            }
        }
    }

    /// Notes which placed keys were used; the report lists the heaviest.
    fn note_use(&mut self, report: &PoolReport) {
        let now = now_ms();
        let used = |key: &&KeyReport| key.requests > 0 || key.open > 0;
        for key in report.keys.iter().filter(used) {
            if self.routes.override_of(key.session).is_some() {
                self.used_ms.insert(key.session, now);
            }
        }
    }

    /// Tells, once, that a draining node has nothing left.
    pub(super) fn tell_empty(&mut self) {
        let draining = self
            .routes
            .nodes()
            .filter(|record| record.observed == NodeState::Draining);
        for record in draining {
            let id = &record.spec.id;
            let Some(node) = self.nodes.get_mut(id) else {
                continue;
            };
            if node.told_empty || !node.totals.is_idle() || self.routes.overrides_on(id) > 0 {
                continue;
            }
            node.told_empty = true;
            let (pool, state) = (self.settings.name.clone(), record.observed);
            tracing::info!(%pool, node = %id, "drained: nothing is left");
            let reason = "drained: nothing is left".into();
            self.bus.tell(Event::Node {
                at_ms: now_ms(),
                pool,
                node: id.clone(),
                state,
                reason,
            });
        }
    }
}

impl Node {
    fn forecast(&mut self, now: u64, capacity: &Capacity, pool: &foreshift_wire::Pool) {
        let signals = signal_values(&self.signals);
        self.score = load_score(&signals, &capacity_values(capacity));
        if capacity.response_time_ms.is_none() {
            self.believe_latency();
        }
        let score = self.score.map(|LoadScore { score, .. }| score);
        self.predictor.observe_with(now, score, &signals);
        self.forecast = self.predictor.forecast();
        self.predicted = self
            .forecast
            .as_ref()
            .and_then(|forecast| predicted(forecast, pool));
    }
}

impl Node {
    /// A node that says of itself that it is idle while it answers more slowly than it used to is not idle.
    fn believe_latency(&mut self) {
        let Signals {
            cpu,
            memory,
            utilisation,
            ..
        } = self.signals;
        let speaks = cpu.or(memory).or(utilisation).is_some();
        if let Some(score) = self.load.latency_score().filter(|_| speaks)
            && self.score.is_none_or(|known| known.score < score)
        {
            self.score = Some(LoadScore {
                score,
                signal: Signal::ResponseMsP99,
            });
        }
    }
}

fn signal_values(signals: &Signals) -> SignalValues {
    SignalValues {
        cpu: signals.cpu,
        memory: signals.memory,
        utilisation: signals.utilisation,
        requests_in_flight: signals.in_flight,
        requests_per_s: signals.requests_per_s,
        response_ms_p99: signals.response_ms_p99,
        connections: signals.connections,
        bytes_per_s: signals.bytes_per_s,
    }
}

fn capacity_values(capacity: &Capacity) -> CapacityValues {
    CapacityValues {
        requests_in_flight: capacity.requests_in_flight.map(f64::from),
        requests_per_s: capacity.requests_per_second,
        response_ms_p99: capacity.response_time_ms,
        connections: capacity.connections.map(f64::from),
        bytes_per_s: capacity.bytes_per_second,
        ..Default::default()
    }
}

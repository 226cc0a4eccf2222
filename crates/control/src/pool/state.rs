//! Everything that a pool's task owns.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
};

use foreshift_forecast::{Forecast, LoadScore, Predictor, PredictorOptions};
use foreshift_meta::{Meta, routes};
use foreshift_placement::{Keyed, Predicted, Secret};
use foreshift_telemetry::{KeyLoadOptions, KeyLoads, NodeLoad, NodeSeries};
use foreshift_wire::{
    AgentWish, Event, ForecastConfig, HealthOrder, MoveId, NodeId, NodeRecord, NodeSpec, NodeState, Override,
    SessionId, Signals,
};
use rand_pcg::Pcg64Mcg;

use super::{
    agents::Runs,
    log::MoveLog,
    models::Models,
    plan::Planner,
    routes::{Edit, Routes},
    wishes::joined,
};
use crate::{
    Error,
    bus::Bus,
    clock::now_ms,
    collect::Collector,
    data_plane::SharedPlane,
    health::{Checker, Verdict, observed},
    metrics::{Counters, NodeTotals},
    outlier::Judge,
};

/// One pool.
pub(super) struct Pool {
    pub(super) settings: foreshift_wire::Pool,
    pub(super) models: Models,
    pub(super) keyed: Keyed,
    pub(super) routes: Routes,
    pub(super) nodes: HashMap<NodeId, Node>,
    pub(super) loads: KeyLoads,
    pub(super) log: MoveLog,
    pub(super) planner: Planner,
    pub(super) outliers: Option<Judge>,
    pub(super) checker: Option<Checker>,
    pub(super) collector: Collector,
    pub(super) plane: SharedPlane,
    pub(super) bus: Bus,
    pub(super) counters: Counters,
    pub(super) rng: Pcg64Mcg,
    /// When overrides were last used, where that is known better than from metadata.
    pub(super) used_ms: HashMap<SessionId, u64>,
    /// What moves of keys that had an override replaced, to give it back where they fail.
    pub(super) formers: HashMap<MoveId, Override>,
    /// Nodes that left the configuration, and are removed once nothing is left on them.
    pub(super) leaving: BTreeSet<NodeId>,
}

/// One node as the loop knows it, beside its record in metadata.
pub(super) struct Node {
    pub(super) verdict: Verdict,
    /// What the last failed check said.
    pub(super) reason: Option<String>,
    pub(super) predictor: Predictor,
    pub(super) forecast: Option<Forecast>,
    /// The forecast as the planner wants it.
    pub(super) predicted: Option<Predicted>,
    pub(super) signals: Signals,
    pub(super) score: Option<LoadScore>,
    pub(super) load: NodeLoad,
    /// What was measured before.
    pub(super) series: NodeSeries,
    pub(super) totals: NodeTotals,
    /// It was told that a draining node has nothing left.
    pub(super) told_empty: bool,
    /// What its agent wishes.
    pub(super) agent: AgentWish,
    /// Which samples of `foreshift agent` came.
    pub(super) agent_runs: Runs,
}

/// What a pool is made from, apart from its configuration.
pub(crate) struct Parts {
    pub(crate) meta: Meta,
    pub(crate) secret: Secret,
    pub(crate) plane: SharedPlane,
    pub(crate) bus: Bus,
    pub(crate) models: Models,
}

impl Pool {
    /// Reads what a former run left, joins it with the configuration, and writes that back.
    pub(super) async fn open(
        settings: foreshift_wire::Pool,
        parts: Parts,
        checker: Option<Checker>,
        collector: Collector,
    ) -> Result<Self, Error> {
        let name = settings.name.clone();
        let mut pool = Self {
            keyed: Keyed::new(&parts.secret, &name),
            routes: Routes::load(parts.meta.clone(), name.clone(), settings.balance_factor).await?,
            log: MoveLog::restore(routes::moves(&parts.meta, &name).await?),
            planner: Planner::new(&settings),
            outliers: None,
            loads: KeyLoads::new(KeyLoadOptions::default()),
            settings,
            models: parts.models,
            nodes: HashMap::new(),
            checker,
            collector,
            plane: parts.plane,
            bus: parts.bus,
            counters: Counters::default(),
            rng: rand::make_rng(),
            used_ms: HashMap::new(),
            formers: HashMap::new(),
            leaving: BTreeSet::new(),
        };
        pool.adopt_nodes(&parts.meta).await?;
        pool.adopt_moves().await?;
        pool.renew_outliers();
        pool.remember_recent();
        Ok(pool)
    }

    /// Begins to observe a node, or goes on with what has changed about it.
    pub(super) fn track(&mut self, spec: &NodeSpec, verdict: Verdict) {
        let stagger = self.nodes.len() as u64;
        // What its agent wished of a former run, until it is asked again.
        let agent = self.routes.node(&spec.id).map(|record| record.agent.clone());
        let node = self.nodes.entry(spec.id.clone()).or_insert_with(|| Node {
            verdict,
            reason: None,
            predictor: self.models.predictor(stagger),
            forecast: None,
            predicted: None,
            signals: Signals::default(),
            score: None,
            load: NodeLoad::new(),
            agent: agent.unwrap_or_default(),
            agent_runs: Runs::default(),
            series: NodeSeries::default(),
            totals: NodeTotals::default(),
            told_empty: false,
        });
        let address = spec.address.parse::<SocketAddr>().ok();
        // A node that is meant to be down is not asked how it is.
        let Some(address) = address.filter(|_| spec.state != NodeState::Down) else {
            self.ask_no_more(&spec.id);
            return;
        };
        self.collector.watch(&spec.id, address);
        let Some(checker) = &mut self.checker else { return };
        match spec.runtime.health {
            // The operator says how it is.
            Some(_) => checker.forget(&spec.id),
            None => checker.watch(&spec.id, address, node.verdict),
        }
    }

    /// No longer observes a node.
    pub(super) fn untrack(&mut self, id: &NodeId) {
        self.nodes.remove(id);
        self.ask_no_more(id);
    }

    fn ask_no_more(&mut self, id: &NodeId) {
        self.collector.forget(id);
        if let Some(checker) = &mut self.checker {
            checker.forget(id);
        }
    }

    /// The record of a node that is tracked: its wish joined with its health.
    pub(super) fn record(&self, spec: NodeSpec) -> NodeRecord {
        let node = self.nodes.get(&spec.id);
        let verdict = match spec.runtime.health {
            Some(HealthOrder::Up) => Some(Verdict::Healthy),
            Some(HealthOrder::Down) => Some(Verdict::Unhealthy),
            Some(HealthOrder::Frozen) | None => self.checker.as_ref().and(node).map(|node| node.verdict),
        };
        let asked = self.settings.agent_check.as_ref().and(node);
        let agent = asked.map(|node| node.agent.clone()).unwrap_or_default();
        let (wish, agents) = joined(spec.state, &agent);
        let state = observed(wish, verdict);
        let reason = match (state, spec.state) {
            (NodeState::Ready, _) => None,
            (NodeState::Draining, _) if self.leaving.contains(&spec.id) => {
                Some("it left the configuration".into())
            }
            _ if agents.is_some() => agents,
            (NodeState::Joining, _) => Some("waiting for its health checks".into()),
            (NodeState::Draining, _) | (NodeState::Down, NodeState::Down) => {
                Some("as the operator asked".into())
            }
            (NodeState::Down, _) if spec.runtime.health == Some(HealthOrder::Down) => {
                Some("the operator says that it is down".into())
            }
            (NodeState::Down, _) => node.and_then(|node| node.reason.clone()),
        };
        let before = self.routes.node(&spec.id);
        let was_ready =
            before.filter(|before| before.observed == NodeState::Ready && state == NodeState::Ready);
        NodeRecord {
            ejected: was_ready.and_then(|before| before.ejected.clone()),
            warming: match was_ready {
                Some(before) => before.warming.clone(),
                None if state == NodeState::Ready => self.begins(&spec.id),
                None => None,
            },
            spec,
            observed: state,
            reason,
            agent,
        }
    }

    /// Writes `edit` and tells which nodes changed their state.
    pub(super) async fn commit(&mut self, edit: Edit) -> Result<(), foreshift_meta::Error> {
        let changed: Vec<NodeRecord> = edit
            .set_nodes
            .iter()
            .filter(|record| {
                let before = self.routes.node(&record.spec.id);
                before.is_none_or(|before| before.observed != record.observed)
            })
            .cloned()
            .collect();
        self.routes.commit(edit).await?;
        for record in changed {
            self.tell_state(&record);
        }
        Ok(())
    }

    fn tell_state(&self, record: &NodeRecord) {
        let (pool, node) = (self.settings.name.clone(), record.spec.id.clone());
        let reason = record.reason.clone().unwrap_or_else(|| match self.checker {
            Some(_) => "health checks pass".into(),
            None => "no health checks".into(),
        });
        tracing::info!(%pool, %node, state = ?record.observed, %reason, "node");
        self.bus.tell(Event::Node {
            at_ms: now_ms(),
            pool,
            node,
            state: record.observed,
            reason,
        });
    }
}

/// How a pool's nodes are forecast.
pub(super) fn predictor_options(pool: &foreshift_wire::Pool, forecast: &ForecastConfig) -> PredictorOptions {
    PredictorOptions {
        step: pool.check_interval.get(),
        horizon: forecast.prediction_horizon.get(),
        quantiles: quantiles(pool.trigger_quantile),
        model: forecast.model.clone(),
        ..Default::default()
    }
}

/// The quantiles of every forecast, and the one that triggers.
fn quantiles(trigger: f64) -> Vec<f64> {
    let mut quantiles = vec![0.5, 0.9, 0.99];
    if !quantiles.iter().any(|q| (q - trigger).abs() < 1e-9) {
        quantiles.push(trigger);
    }
    quantiles
}

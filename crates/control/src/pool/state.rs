//! Everything that a pool's task owns.

use std::{collections::HashMap, net::SocketAddr};

use foreshift_forecast::{Forecast, LoadScore, Predictor, PredictorOptions};
use foreshift_meta::{Meta, Txn, routes};
use foreshift_placement::{Keyed, Predicted, Secret};
use foreshift_telemetry::{KeyLoadOptions, KeyLoads, NodeLoad};
use foreshift_wire::{
    Event, ForecastConfig, Move, MoveId, MoveOutcome, MoveState, NodeConfig, NodeId, NodeRecord, NodeSpec,
    NodeState, Override, PoolName, SessionId, Signals,
};
use rand_pcg::Pcg64Mcg;

use super::{
    log::MoveLog,
    observe::REPORT_COUNTS_FOR,
    plan::Planner,
    routes::{Edit, Routes},
};
use crate::{
    Error,
    bus::Bus,
    clock::now_ms,
    data_plane::SharedPlane,
    health::{Checker, Verdict, observed},
    metrics::{Counters, NodeTotals},
};

/// One pool.
pub(super) struct Pool {
    pub(super) settings: foreshift_wire::Pool,
    predictors: PredictorOptions,
    pub(super) keyed: Keyed,
    pub(super) routes: Routes,
    pub(super) nodes: HashMap<NodeId, Node>,
    pub(super) loads: KeyLoads,
    pub(super) log: MoveLog,
    pub(super) planner: Planner,
    pub(super) checker: Option<Checker>,
    pub(super) plane: SharedPlane,
    pub(super) bus: Bus,
    pub(super) counters: Counters,
    pub(super) rng: Pcg64Mcg,
    /// When overrides were last used, where that is known better than from metadata.
    pub(super) used_ms: HashMap<SessionId, u64>,
    /// What moves of keys that had an override replaced, to give it back where they fail.
    pub(super) formers: HashMap<MoveId, Override>,
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
    pub(super) totals: NodeTotals,
    /// It was told that a draining node has nothing left.
    pub(super) told_empty: bool,
}

/// What a pool is made from, apart from its configuration.
pub(crate) struct Parts {
    pub(crate) meta: Meta,
    pub(crate) secret: Secret,
    pub(crate) plane: SharedPlane,
    pub(crate) bus: Bus,
    pub(crate) forecast: ForecastConfig,
}

impl Pool {
    /// Reads what a former run left, joins it with the configuration, and writes that back.
    pub(super) async fn open(
        settings: foreshift_wire::Pool,
        parts: Parts,
        checker: Option<Checker>,
    ) -> Result<Self, Error> {
        let name = settings.name.clone();
        let predictors = PredictorOptions {
            step: settings.check_interval.get(),
            horizon: parts.forecast.prediction_horizon.get(),
            quantiles: quantiles(settings.trigger_quantile),
            model: parts.forecast.model,
            ..Default::default()
        };
        // Checked once here, so that making one for a node cannot fail later.
        Predictor::new(predictors.clone()).map_err(|source| Error::Forecast {
            pool: name.clone(),
            source,
        })?;
        let mut pool = Self {
            keyed: Keyed::new(&parts.secret, &name),
            routes: Routes::load(parts.meta.clone(), name.clone(), settings.balance_factor).await?,
            log: MoveLog::restore(routes::moves(&parts.meta, &name).await?),
            planner: Planner::new(&settings),
            loads: KeyLoads::new(KeyLoadOptions::default()),
            settings,
            predictors,
            nodes: HashMap::new(),
            checker,
            plane: parts.plane,
            bus: parts.bus,
            counters: Counters::default(),
            rng: rand::make_rng(),
            used_ms: HashMap::new(),
            formers: HashMap::new(),
        };
        pool.adopt_nodes(&parts.meta).await?;
        pool.adopt_moves().await?;
        pool.remember_recent();
        Ok(pool)
    }

    /// The configuration wins on what it says of a node, and a node that left it is removed; the operator's wish
    /// and nodes added over the API stay.
    async fn adopt_nodes(&mut self, meta: &Meta) -> Result<(), Error> {
        let configured: Vec<NodeId> = self.settings.node.iter().map(|node| node.id.clone()).collect();
        let left = self.left_configuration(meta, &configured).await?;
        let known: Vec<NodeRecord> = self
            .routes
            .nodes()
            .filter(|record| !left.contains(&record.spec.id))
            .cloned()
            .collect();
        for record in &known {
            self.track(&record.spec, first_verdict(Some(record.observed)));
        }
        let mut edit = Edit {
            remove_nodes: left.clone(),
            ..Default::default()
        };
        edit.clear_overrides = self
            .routes
            .overrides()
            .filter(|set| left.contains(&set.node))
            .map(|set| set.session)
            .collect();
        edit.clear_buckets = self
            .routes
            .moved_buckets()
            .filter(|set| left.contains(&set.node))
            .map(|set| set.bucket)
            .collect();
        for config in self.settings.node.clone() {
            let former = known.iter().find(|record| record.spec.id == config.id);
            let spec = merged(&config, former);
            self.track(&spec, first_verdict(former.map(|record| record.observed)));
            edit.set_nodes.push(self.record(spec));
        }
        for record in known
            .iter()
            .filter(|record| !configured.contains(&record.spec.id))
        {
            edit.set_nodes.push(self.record(record.spec.clone()));
        }
        edit.set_nodes.retain(|record| !known.contains(record));
        self.routes.commit(edit).await?;
        let list = serde_json::to_vec(&configured).expect("a list of names is always JSON");
        meta.commit(Txn::new().put(configured_key(&self.settings.name), list))
            .await?;
        Ok(())
    }

    /// Nodes that the configuration of the former run had and this one has not.
    async fn left_configuration(&self, meta: &Meta, now: &[NodeId]) -> Result<Vec<NodeId>, Error> {
        let key = configured_key(&self.settings.name);
        let Some(found) = meta.get(&key).await? else {
            return Ok(Vec::new());
        };
        let former: Vec<NodeId> =
            serde_json::from_slice(&found.value).map_err(|e| foreshift_meta::Error::Malformed {
                key,
                detail: e.to_string(),
            })?;
        let left = former
            .into_iter()
            .filter(|id| !now.contains(id) && self.routes.node(id).is_some());
        Ok(left.collect())
    }

    /// Moves that a former run left open. Their routes were committed; every client of then has to connect anew
    /// and is handed over by the route, so that nothing is left to switch.
    async fn adopt_moves(&mut self) -> Result<(), Error> {
        let ended_ms = now_ms();
        let end = |made: &Move| Move {
            state: MoveState::Done,
            outcome: Some(MoveOutcome {
                ended_ms,
                connections: 0,
                pause_us_max: 0,
                failure: None,
            }),
            ..made.clone()
        };
        let ended: Vec<Move> = self.log.all_active().map(end).collect();
        let settled = self.routes.overrides().filter(|set| {
            set.moving_from
                .as_ref()
                .is_some_and(|from| self.routes.node(from).is_none())
        });
        let set_overrides = settled.map(|set| Override {
            moving_from: None,
            ..set.clone()
        });
        let edit = Edit {
            moves: ended.clone(),
            set_overrides: set_overrides.collect(),
            ..Default::default()
        };
        self.routes.commit(edit).await?;
        for made in ended {
            tracing::info!(pool = %self.settings.name, id = %made.id, "ended a move of a former run");
            self.log.end(made);
        }
        Ok(())
    }

    /// Begins to observe a node, or goes on with what has changed about it.
    pub(super) fn track(&mut self, spec: &NodeSpec, verdict: Verdict) {
        let stagger = self.nodes.len() as u64;
        let node = self.nodes.entry(spec.id.clone()).or_insert_with(|| Node {
            verdict,
            reason: None,
            predictor: Predictor::new(PredictorOptions {
                stagger,
                ..self.predictors.clone()
            })
            .expect("these options were accepted when the pool was opened"),
            forecast: None,
            predicted: None,
            signals: Signals::default(),
            score: None,
            load: NodeLoad::new(REPORT_COUNTS_FOR),
            totals: NodeTotals::default(),
            told_empty: false,
        });
        let Some(checker) = &mut self.checker else { return };
        match (spec.state, spec.address.parse::<SocketAddr>()) {
            // A node that is meant to be down is not asked how it is.
            (NodeState::Down, _) | (_, Err(_)) => checker.forget(&spec.id),
            (_, Ok(address)) => checker.watch(&spec.id, address, node.verdict),
        }
    }

    /// No longer observes a node.
    pub(super) fn untrack(&mut self, id: &NodeId) {
        self.nodes.remove(id);
        if let Some(checker) = &mut self.checker {
            checker.forget(id);
        }
    }

    /// The record of a node that is tracked: its wish joined with its health.
    pub(super) fn record(&self, spec: NodeSpec) -> NodeRecord {
        let node = self.nodes.get(&spec.id);
        let verdict = self.checker.as_ref().and(node).map(|node| node.verdict);
        let state = observed(spec.state, verdict);
        let reason = match (state, spec.state) {
            (NodeState::Ready, _) => None,
            (NodeState::Joining, _) => Some("waiting for its health checks".into()),
            (NodeState::Draining, _) | (NodeState::Down, NodeState::Down) => {
                Some("as the operator asked".into())
            }
            (NodeState::Down, _) => node.and_then(|node| node.reason.clone()),
        };
        NodeRecord {
            spec,
            observed: state,
            reason,
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

/// Where it is noted which nodes came from the configuration, to tell them from those added over the API.
fn configured_key(pool: &PoolName) -> String {
    format!("{}configured", routes::keys::pool(pool))
}

/// What is believed of a node before its first check: what a former run saw.
fn first_verdict(former: Option<NodeState>) -> Verdict {
    match former {
        Some(NodeState::Ready | NodeState::Draining) => Verdict::Healthy,
        Some(NodeState::Down) => Verdict::Unhealthy,
        Some(NodeState::Joining) | None => Verdict::Unknown,
    }
}

/// A node of the configuration with the wish that a former run left.
fn merged(config: &NodeConfig, former: Option<&NodeRecord>) -> NodeSpec {
    NodeSpec {
        id: config.id.clone(),
        address: config.address.to_string(),
        zone: config.zone.clone(),
        weight: config.weight,
        capacity: config.capacity.clone(),
        state: former.map_or(NodeState::Ready, |former| former.spec.state),
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

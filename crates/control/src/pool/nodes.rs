//! Adding, removing and draining nodes; what their health and their own reports say.

use std::net::SocketAddr;

use foreshift_telemetry::{AMOUNT_MAX, NodeLoad, SHARE_MAX, Said, figure};
use foreshift_wire::{
    Event, MoveFailure, NodeId, NodeSpec, NodeState, NodeView, Override, OwnLoad, Signals, SourceKind,
};

use super::{
    handle::{Answer, Refusal},
    routes::Edit,
    state::Pool,
};
use crate::{
    clock::now_ms,
    health::{HealthChange, Verdict},
};

/// Nodes of one pool at most; the affinity map's limit is higher.
const NODES_MAX: usize = 10_000;

impl Pool {
    /// Adds a node.
    pub(super) async fn add_node(&mut self, spec: NodeSpec) -> Answer<NodeView> {
        check(&spec)?;
        let id = spec.id.clone();
        if self.nodes.contains_key(&id) {
            return Err(Refusal::Conflict(format!(
                "pool {} has a node {id} already",
                self.settings.name
            )));
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(Refusal::Conflict(format!("a pool has at most {NODES_MAX} nodes")));
        }
        self.track(&spec, Verdict::Unknown);
        let record = self.record(spec);
        if let Err(error) = self
            .commit(Edit {
                set_nodes: vec![record],
                ..Default::default()
            })
            .await
        {
            self.untrack(&id);
            return Err(not_written(&error));
        }
        self.node_view(&id)
    }

    /// Removes a node with all that is placed on it.
    pub(super) async fn remove_node(&mut self, id: &str, force: bool) -> Answer<()> {
        let id = self.known(id)?;
        let idle = self.nodes.get(&id).is_none_or(|node| node.totals.is_idle());
        if !idle && !force {
            return Err(Refusal::Conflict(format!(
                "connections are open to {id}: drain it first (PUT …/nodes/{id}/state {{\"state\":\"draining\"}}), \
                 or remove it with ?force=true"
            )));
        }
        let placed = self
            .routes
            .overrides()
            .filter(|set| set.node == id)
            .map(|set| set.session);
        let buckets = self
            .routes
            .moved_buckets()
            .filter(|set| set.node == id)
            .map(|set| set.bucket);
        let settled = self
            .routes
            .overrides()
            .filter(|set| set.moving_from.as_ref() == Some(&id) && set.node != id);
        let edit = Edit {
            remove_nodes: vec![id.clone()],
            clear_overrides: placed.collect(),
            clear_buckets: buckets.collect(),
            set_overrides: settled
                .map(|set| Override {
                    moving_from: None,
                    ..set.clone()
                })
                .collect(),
            ..Default::default()
        };
        self.commit(edit).await.map_err(|error| not_written(&error))?;
        self.untrack(&id);
        self.cancel_moves(|made| made.from == id || made.to == id, "the node was removed")
            .await;
        let pool = self.settings.name.clone();
        tracing::info!(%pool, node = %id, "node removed");
        let reason = "removed".into();
        self.bus.tell(Event::Node {
            at_ms: now_ms(),
            pool,
            node: id,
            state: NodeState::Down,
            reason,
        });
        Ok(())
    }

    /// Takes the operator's wish for a node.
    pub(super) async fn set_state(&mut self, id: &str, state: NodeState) -> Answer<NodeView> {
        let id = self.known(id)?;
        if state == NodeState::Joining {
            let detail = "a node becomes joining by itself; wish for ready, draining or down";
            return Err(Refusal::Invalid(detail.into()));
        }
        let Some(before) = self.routes.node(&id).cloned() else {
            return Err(Refusal::NotFound(format!("no node {id}")));
        };
        let spec = NodeSpec {
            state,
            ..before.spec.clone()
        };
        if before.spec.state == NodeState::Down
            && let Some(node) = self.nodes.get_mut(&id)
        {
            // Nobody looked meanwhile.
            node.verdict = Verdict::Unknown;
        }
        self.track(&spec, Verdict::Unknown);
        let edit = Edit {
            set_nodes: vec![self.record(spec)],
            ..Default::default()
        };
        self.commit(edit).await.map_err(|error| {
            self.track(&before.spec, Verdict::Unknown);
            not_written(&error)
        })?;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.told_empty = false;
        }
        if state == NodeState::Down {
            self.cancel_moves(|made| made.to == id, "the target was taken down")
                .await;
        }
        self.node_view(&id)
    }

    /// Takes what a node says of itself.
    pub(super) fn report(&mut self, id: &str, signals: Signals) -> Answer<()> {
        let id = self.known(id)?;
        for (name, value, max) in figures(&signals) {
            if let Some(value) = value {
                figure(name, value, max).map_err(|error| Refusal::Invalid(error.to_string()))?;
            }
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            let load = OwnLoad {
                cpu: signals.cpu,
                memory: signals.memory,
                utilisation: signals.utilisation,
            };
            let said = Said::now(SourceKind::Api, NodeLoad::TOLD_COUNTS_FOR, load);
            node.load.sources_mut().heard(now_ms(), &said);
        }
        Ok(())
    }

    /// Takes a verdict of the health checks.
    pub(super) async fn on_health(&mut self, change: HealthChange) -> Result<(), foreshift_meta::Error> {
        if !self
            .checker
            .as_ref()
            .is_some_and(|checker| checker.is_current(&change))
        {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(&change.node) else {
            return Ok(());
        };
        node.verdict = change.verdict;
        node.reason = change.reason;
        self.restate(&change.node, "the target went down").await
    }

    /// The id where the pool has such a node. Found by text, so that a request may name anything.
    pub(super) fn known(&self, id: &str) -> Answer<NodeId> {
        let found = NodeId::new(id).ok().filter(|id| self.routes.node(id).is_some());
        found.ok_or_else(|| {
            let ids: Vec<_> = self
                .routes
                .nodes()
                .map(|record| record.spec.id.as_str())
                .collect();
            let known = if ids.is_empty() {
                "none".into()
            } else {
                ids.join(", ")
            };
            let pool = &self.settings.name;
            Refusal::NotFound(format!("pool {pool} has no node {id:?}; there are: {known}"))
        })
    }

    pub(super) async fn cancel_moves(&mut self, which: impl Fn(&foreshift_wire::Move) -> bool, why: &str) {
        let ids: Vec<_> = self
            .log
            .all_active()
            .filter(|made| which(made))
            .map(|made| made.id)
            .collect();
        let failure = MoveFailure::Cancelled { detail: why.into() };
        if let Err(error) = self.fail_moves(&ids, &failure).await {
            tracing::warn!(pool = %self.settings.name, %error, "cannot end moves; trying again at their deadline");
        }
    }
}

/// Says that nothing was written, and why.
pub(super) fn not_written(error: &foreshift_meta::Error) -> Refusal {
    match error {
        foreshift_meta::Error::Conflict { .. } => {
            Refusal::Conflict("somebody else changed it at the same moment; try again".into())
        }
        other => Refusal::Unavailable(format!("metadata: {other}")),
    }
}

fn check(spec: &NodeSpec) -> Answer<()> {
    let invalid = |what: String| Err(Refusal::Invalid(what));
    if spec.address.parse::<SocketAddr>().is_err() {
        return invalid(format!(
            "address: {:?} is not an IP address and a port, as in 10.0.0.7:9001",
            spec.address
        ));
    }
    if !(spec.weight.is_finite() && spec.weight > 0.0) {
        return invalid(format!("weight: {} is not above 0", spec.weight));
    }
    if spec.zone.len() > 64 {
        return invalid("zone: at most 64 characters".into());
    }
    if spec.state == NodeState::Joining {
        return invalid("state: ready, draining or down; a node becomes joining by itself".into());
    }
    let capacity = &spec.capacity;
    for (name, value) in [
        ("requests_in_flight", capacity.requests_in_flight.map(f64::from)),
        ("connections", capacity.connections.map(f64::from)),
        ("requests_per_second", capacity.requests_per_second),
        ("bytes_per_second", capacity.bytes_per_second),
        ("response_time_ms", capacity.response_time_ms),
    ] {
        if value.is_some_and(|value| !value.is_finite() || value <= 0.0) {
            return invalid(format!("capacity.{name}: must be above 0"));
        }
    }
    Ok(())
}

fn figures(signals: &Signals) -> [(&'static str, Option<f64>, f64); 11] {
    [
        ("cpu", signals.cpu, SHARE_MAX),
        ("memory", signals.memory, SHARE_MAX),
        ("utilisation", signals.utilisation, SHARE_MAX),
        ("requests_per_s", signals.requests_per_s, AMOUNT_MAX),
        ("response_ms_mean", signals.response_ms_mean, AMOUNT_MAX),
        ("response_ms_p50", signals.response_ms_p50, AMOUNT_MAX),
        ("response_ms_p99", signals.response_ms_p99, AMOUNT_MAX),
        ("connections", signals.connections, AMOUNT_MAX),
        ("in_flight", signals.in_flight, AMOUNT_MAX),
        ("errors_per_s", signals.errors_per_s, AMOUNT_MAX),
        ("bytes_per_s", signals.bytes_per_s, AMOUNT_MAX),
    ]
}

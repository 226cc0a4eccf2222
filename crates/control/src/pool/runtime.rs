//! What operators set at run time: weights, health, and keys placed one by one.
//!
//! It is kept in metadata beside what was configured, and shown as differing from it, so that neither a reload nor a restart
//! loses it in silence.

use foreshift_wire::{
    AffinityView, EntryFilter, HealthOrder, Info, NodeChange, NodeId, NodeRecord, NodeSpec, NodeState,
    NodeView, Override, PinRequest, PoolInfo, Runtime, SessionId, WeightOrder,
};

use super::{
    handle::{Answer, Refusal},
    nodes::not_written,
    routes::Edit,
    state::Pool,
};
use crate::health::Verdict;

/// Entries listed where nobody says how many, and at most.
const ENTRIES: usize = 1_000;
const ENTRIES_MAX: usize = 10_000;
/// As in the configuration.
const MAXCONN_MAX: u32 = 10_000_000;
/// Entries given back in one transaction.
const CLEARED_AT_ONCE: usize = 10_000;

impl Pool {
    /// Sets what `change` names.
    pub(super) async fn change_node(&mut self, id: &str, change: NodeChange) -> Answer<NodeView> {
        let id = self.known(id)?;
        let Some(record) = self.routes.node(&id) else {
            return Err(Refusal::NotFound(format!("no node {id}")));
        };
        let mut runtime = record.spec.runtime;
        match change.weight {
            Some(WeightOrder::Absolute(weight)) => runtime.weight = Some(weight),
            Some(WeightOrder::Percent(percent)) => {
                runtime.weight = Some(record.spec.weight * percent / 100.0);
            }
            None => {}
        }
        if runtime.weight == Some(record.spec.weight) {
            runtime.weight = None;
        }
        if let Some(maxconn) = change.maxconn {
            if !(1..=MAXCONN_MAX).contains(&maxconn) {
                return Err(Refusal::Invalid(format!(
                    "maxconn: {maxconn} is out of range: 1 to {MAXCONN_MAX}"
                )));
            }
            runtime.maxconn = Some(maxconn).filter(|_| record.spec.maxconn != Some(maxconn));
        }
        if let Some(health) = change.health {
            runtime.health = health.order();
        }
        self.set_runtime(&id, runtime).await
    }

    /// Has everything as it was configured again, but for the state that was wished.
    pub(super) async fn reset_node(&mut self, id: &str) -> Answer<NodeView> {
        let id = self.known(id)?;
        self.set_runtime(&id, Runtime::default()).await
    }

    async fn set_runtime(&mut self, id: &NodeId, runtime: Runtime) -> Answer<NodeView> {
        let Some(before) = self.routes.node(id).cloned() else {
            return Err(Refusal::NotFound(format!("no node {id}")));
        };
        let spec = NodeSpec {
            runtime,
            ..before.spec.clone()
        };
        self.track(&spec, Verdict::Unknown);
        let edit = Edit {
            set_nodes: vec![self.record(spec)],
            ..Default::default()
        };
        self.commit(edit).await.map_err(|error| {
            self.track(&before.spec, Verdict::Unknown);
            not_written(&error)
        })?;
        self.node_view(id)
    }

    /// What a node's record says otherwise than the configuration, in words.
    pub(super) fn differs(&self, record: &NodeRecord) -> Vec<String> {
        let spec = &record.spec;
        if !self.is_configured(&spec.id) {
            let why = if self.leaving.contains(&spec.id) {
                "it left the configuration"
            } else {
                "added at run time"
            };
            return vec![why.into()];
        }
        let mut differs = Vec::new();
        if let Some(weight) = spec.runtime.weight {
            differs.push(format!("weight {weight}, configured {}", spec.weight));
        }
        if let Some(maxconn) = spec.runtime.maxconn {
            let configured = spec
                .maxconn
                .map_or_else(|| "none".into(), |maxconn| maxconn.to_string());
            differs.push(format!("maxconn {maxconn}, configured {configured}"));
        }
        if let Some(health) = spec.runtime.health {
            let health = match health {
                HealthOrder::Up => "up",
                HealthOrder::Down => "down",
                HealthOrder::Frozen => "frozen",
            };
            differs.push(format!("health {health}"));
        }
        match spec.state {
            NodeState::Draining => differs.push("state draining".into()),
            NodeState::Down => differs.push("state down".into()),
            NodeState::Ready | NodeState::Joining => {}
        }
        differs
    }

    /// Keys that were placed one by one, by session.
    pub(super) fn entries(&self, filter: &EntryFilter) -> Vec<Override> {
        let mut found: Vec<&Override> = self.matching(filter).collect();
        found.sort_unstable_by_key(|set| set.session);
        let limit = filter.limit.unwrap_or(ENTRIES).min(ENTRIES_MAX);
        found.into_iter().take(limit).cloned().collect()
    }

    fn matching<'a>(&'a self, filter: &'a EntryFilter) -> impl Iterator<Item = &'a Override> {
        self.routes.overrides().filter(|set| {
            filter.node.as_ref().is_none_or(|node| set.node == *node)
                && filter.session.is_none_or(|session| set.session == session)
                && filter.pinned.is_none_or(|pinned| set.pinned == pinned)
        })
    }

    /// Gives keys back to their buckets, pins included; those that are being moved stay. How many.
    pub(super) async fn clear(&mut self, filter: &EntryFilter) -> Answer<u64> {
        let sessions: Vec<SessionId> = self.matching(filter).map(|set| set.session).collect();
        let mut count = 0;
        for some in sessions.chunks(CLEARED_AT_ONCE) {
            let resting = some
                .iter()
                .copied()
                .filter(|session| !self.log.is_moving(*session));
            let clear_overrides: Vec<SessionId> = resting.collect();
            count += clear_overrides.len() as u64;
            let edit = Edit {
                clear_overrides,
                ..Default::default()
            };
            self.commit(edit).await.map_err(|error| not_written(&error))?;
        }
        Ok(count)
    }

    /// Keeps a session, of whatever key, on a node.
    pub(super) async fn pin_session(&mut self, session: SessionId, pin: PinRequest) -> Answer<AffinityView> {
        self.pin_as(session, &session.to_string(), pin).await?;
        Ok(self.affinity_of(session.to_string(), session))
    }

    pub(super) fn info(&self) -> PoolInfo {
        let nodes = || self.routes.nodes();
        let totals = || self.nodes.values().map(|node| &node.totals);
        PoolInfo {
            pool: self.settings.name.clone(),
            nodes: nodes().count(),
            ready: nodes().filter(|node| node.observed == NodeState::Ready).count(),
            differ: nodes().filter(|node| !self.differs(node).is_empty()).count(),
            connections: totals().map(|totals| u64::from(totals.connections)).sum(),
            in_flight: totals().map(|totals| u64::from(totals.in_flight)).sum(),
            overrides: self.routes.overrides().count() as u64,
            map_version: self.routes.map().version(),
        }
    }
}

/// The process in few words.
pub(crate) fn info(started_ms: u64, now_ms: u64, draining: bool, pools: Vec<PoolInfo>) -> Info {
    Info {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        started_ms,
        uptime_s: now_ms.saturating_sub(started_ms) / 1_000,
        draining,
        pools,
    }
}

//! Nodes and pools as they are told over the API and kept in metadata.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ForecastView, Mode, NodeId, PartitionPattern, PoolName, Runtime, SourceView};

/// Where a node is in its life. Only `ready` nodes are given new keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Added, not yet found healthy.
    Joining,
    /// Healthy: serves and is given new keys.
    Ready,
    /// Being emptied: serves what it has until that has moved.
    Draining,
    /// Not healthy or taken out: serves nothing.
    Down,
}

/// What a node can carry. A signal without a capacity does not count towards the load score.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capacity {
    /// Requests that the node works on at once.
    pub requests_in_flight: Option<u32>,
    /// Open client connections.
    pub connections: Option<u32>,
    /// Requests per second; every WebSocket data message from a client counts as one.
    pub requests_per_second: Option<f64>,
    /// Bytes per second, both directions together.
    pub bytes_per_second: Option<f64>,
    /// The p99 response time, in milliseconds, at which the node counts as fully loaded.
    pub response_time_ms: Option<f64>,
}

/// A node as configured or added over the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeSpec {
    /// Unique within the pool.
    #[schema(value_type = String)]
    pub id: NodeId,
    /// `host:port`; an IP address and a port.
    pub address: String,
    /// Failure domain; nodes of one zone fail together.
    #[serde(default)]
    pub zone: String,
    /// Share of the keys relative to the other nodes, above 0; default 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Connections in use at most, over all workers of an ingress: requests under way, open WebSockets and event
    /// streams. The pool's `circuit.connections` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxconn: Option<u32>,
    /// What it can carry.
    #[serde(default)]
    pub capacity: Capacity,
    /// Partitions of a session's state that it needs when the session moves to it: `auth`, `game/*`, `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub required_partitions: Vec<PartitionPattern>,
    /// State wished by the operator: `ready`, `draining` or `down`. Health checks decide between `ready` and
    /// what is observed; they never override `draining` or `down`.
    #[serde(default = "ready")]
    pub state: NodeState,
    /// What an operator set at run time.
    #[serde(default, skip_serializing_if = "Runtime::is_empty")]
    pub runtime: Runtime,
}

impl NodeSpec {
    /// The weight that counts: what was set at run time, or else what was configured.
    pub fn effective_weight(&self) -> f64 {
        self.runtime.weight.unwrap_or(self.weight)
    }

    /// The limit of connections that counts, where there is one of the node's own.
    pub fn effective_maxconn(&self) -> Option<u32> {
        self.runtime.maxconn.or(self.maxconn)
    }
}

fn one() -> f64 {
    1.0
}

fn ready() -> NodeState {
    NodeState::Ready
}

/// A node as metadata keeps it: what was configured or added, and what was observed since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What was configured.
    pub spec: NodeSpec,
    /// The state that counts: the operator's wish joined with health.
    pub observed: NodeState,
    /// Why it is not ready, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It failed more than others and is left out for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected: Option<Ejection>,
    /// It became ready a short while ago and has a part of its keys only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warming: Option<Warming>,
    /// What its agent wishes, where one is asked.
    #[serde(default, skip_serializing_if = "AgentWish::is_none")]
    pub agent: AgentWish,
}

impl NodeRecord {
    /// Its weight in the affinity map: a part of the configured one while it is new.
    pub fn map_weight(&self) -> f64 {
        self.weight() * self.warming.as_ref().map_or(1.0, |warming| warming.share)
    }

    /// The weight that counts: its agent's, else the configured one. 0 is given no keys.
    pub fn weight(&self) -> f64 {
        self.agent.weight.unwrap_or(self.spec.effective_weight())
    }

    /// Connections in use at most: its agent's figure, else the configured one. `None` is without a limit of its own.
    pub fn maxconn(&self) -> Option<u32> {
        match self.agent.maxconn {
            Some(maxconn) => Some(maxconn).filter(|maxconn| *maxconn > 0),
            None => self.spec.effective_maxconn(),
        }
    }
}

/// What a node's agent wishes for it (HAProxy's agent-check). What it does not say is as configured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AgentWish {
    /// In place of the configured weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Connections that it takes at most; 0 is without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxconn: Option<u32>,
    /// `draining` after the word `drain`, `down` after `maint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<NodeState>,
    /// Why it says that it does not work, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

impl AgentWish {
    /// It wishes for nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Why and until when a node is left out. Its open connections stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ejection {
    /// From then on, in Unix milliseconds.
    pub since_ms: u64,
    /// Until then, in Unix milliseconds.
    pub until_ms: u64,
    /// The how-manieth in a row: each is longer than the one before.
    pub times: u32,
    /// What was seen.
    pub reason: String,
}

/// How far a new node has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warming {
    /// When it became ready, in Unix milliseconds.
    pub since_ms: u64,
    /// Share of its weight that counts, above 0 and below 1.
    pub share: f64,
}

/// One node's load as measured over the last interval. `None` is "not measured", never zero.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Signals {
    /// Share of the CPU in use, 0 to 1 (above 1 where the report means it so).
    pub cpu: Option<f64>,
    /// Share of the memory in use, 0 to 1.
    pub memory: Option<f64>,
    /// The application's own figure for how full it is, 0 to 1.
    pub utilisation: Option<f64>,
    /// Requests (and WebSocket data messages from clients) per second.
    pub requests_per_s: Option<f64>,
    /// Mean response time over the interval, in milliseconds.
    pub response_ms_mean: Option<f64>,
    /// Median response time over the interval, in milliseconds.
    pub response_ms_p50: Option<f64>,
    /// 99th percentile of the response time over the interval, in milliseconds.
    pub response_ms_p99: Option<f64>,
    /// Client connections open to the node.
    pub connections: Option<f64>,
    /// Requests in flight, time-weighted mean over the interval.
    pub in_flight: Option<f64>,
    /// Failed requests per second (connect errors, timeouts, 5xx).
    pub errors_per_s: Option<f64>,
    /// Bytes per second, both directions together.
    pub bytes_per_s: Option<f64>,
}

/// A node as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// What was configured.
    #[serde(flatten)]
    pub spec: NodeSpec,
    /// The state that counts: the operator's wish joined with health.
    pub observed_state: NodeState,
    /// Why it is not ready, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// It failed more than others and is left out for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected: Option<Ejection>,
    /// Share of its weight that counts while it is new; absent where all of it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start_share: Option<f64>,
    /// Measured over the last interval.
    pub signals: Signals,
    /// Load score now, 0 to 100 (above 100 is overload).
    pub load_score: Option<f64>,
    /// Forecast over the horizon.
    pub forecast: Option<ForecastView>,
    /// 100 − highest predicted load score at the trigger quantile.
    pub capacity_score: Option<f64>,
    /// Buckets of the affinity map that the node owns, of 65,536.
    pub buckets: u32,
    /// Keys placed on it by an override.
    pub overrides: u64,
    /// What differs from the configuration, in words: what was set at run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// What its agent wishes, where one is asked.
    #[serde(default, skip_serializing_if = "AgentWish::is_none")]
    pub agent: AgentWish,
    /// Where what it says of itself comes from; none where it only is measured.
    #[serde(default)]
    pub sources: Vec<SourceView>,
}

/// A pool as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PoolView {
    /// Unique within the configuration.
    #[schema(value_type = String)]
    pub name: PoolName,
    /// What it may do: observe, advise or act.
    pub mode: Mode,
    /// Version of its affinity map.
    pub map_version: u64,
    /// Its nodes, by id.
    pub nodes: Vec<NodeView>,
    /// Load score over which a node counts as about to be overloaded.
    pub load_threshold: f64,
    /// True while recent forecasts were worse than "the load stays as it is", so that plans use current load.
    pub forecast_gated: bool,
}

//! What is asked of the API, and the answers that are no thing of their own.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Capacity, ForecastView, Mode, NodeId, NodeSpec, NodeState, PartitionPattern, Plan, PoolName};

/// Body of `PUT /v1/pools/{pool}/nodes/{id}/state`: the operator's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateRequest {
    /// `ready`, `draining` or `down`.
    pub state: NodeState,
}

/// Which pools to answer for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PoolFilter {
    /// Only this pool.
    #[param(value_type = Option<String>)]
    pub pool: Option<PoolName>,
}

/// Which moves to list, newest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MoveFilter {
    /// Only of this pool.
    #[param(value_type = Option<String>)]
    pub pool: Option<PoolName>,
    /// At most so many, up to 10,000; 100 where absent.
    pub limit: Option<usize>,
}

/// Which forecasts to list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForecastFilter {
    /// Only of this pool.
    #[param(value_type = Option<String>)]
    pub pool: Option<PoolName>,
    /// Only of this node.
    #[param(value_type = Option<String>)]
    pub node: Option<NodeId>,
}

/// One node's load beside its forecast: an element of `GET /v1/forecasts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeForecast {
    /// The pool.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Load score now.
    pub load_score: Option<f64>,
    /// Forecast over the horizon; `None` while too little was measured.
    pub forecast: Option<ForecastView>,
}

/// What a pool's loop would do now: an element of `GET /v1/plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// The pool.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// When it was asked, in Unix milliseconds.
    pub at_ms: u64,
    /// What the pool may do.
    pub mode: Mode,
    /// True while recent forecasts were worse than "the load stays as it is", so that plans use current load.
    pub forecast_gated: bool,
    /// The moves and, for all that was left alone, why.
    pub plan: Plan,
}

/// Body of `POST /v1/pools/{pool}/nodes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeRequest {
    /// Unique within the pool.
    #[schema(value_type = String)]
    pub id: NodeId,
    /// An IP address and a port.
    pub address: String,
    /// Failure domain; nodes of one zone fail together.
    #[serde(default)]
    pub zone: String,
    /// Share of the keys relative to the other nodes, above 0; default 1.
    #[serde(default)]
    pub weight: Option<f64>,
    /// Connections in use at most; the pool's `circuit.connections` where absent.
    #[serde(default)]
    pub maxconn: Option<u32>,
    /// What it can carry.
    #[serde(default)]
    pub capacity: Capacity,
    /// Partitions of a session's state that it needs when the session moves to it: `auth`, `game/*`, `*`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub required_partitions: Vec<PartitionPattern>,
    /// `ready` (the default), `draining` or `down`.
    #[serde(default)]
    pub state: Option<NodeState>,
}

impl From<NodeRequest> for NodeSpec {
    fn from(request: NodeRequest) -> Self {
        Self {
            id: request.id,
            address: request.address,
            zone: request.zone,
            weight: request.weight.unwrap_or(1.0),
            maxconn: request.maxconn,
            capacity: request.capacity,
            required_partitions: request.required_partitions,
            state: request.state.unwrap_or(NodeState::Ready),
            runtime: crate::Runtime::default(),
        }
    }
}

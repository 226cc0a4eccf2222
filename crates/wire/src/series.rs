//! A node's recent past as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{NodeId, PoolName};

/// What is kept of a node's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesMetric {
    /// The load score, 0 to 100 and above.
    #[default]
    LoadScore,
    /// Requests per second.
    RequestsPerS,
    /// 99th percentile of the response time, in milliseconds.
    ResponseMsP99,
    /// Open client connections.
    Connections,
    /// Requests in flight.
    InFlight,
    /// Share of the CPU that the node says it uses.
    Cpu,
    /// Share of the memory that the node says it uses.
    Memory,
}

impl SeriesMetric {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::LoadScore,
        Self::RequestsPerS,
        Self::ResponseMsP99,
        Self::Connections,
        Self::InFlight,
        Self::Cpu,
        Self::Memory,
    ];
}

/// Over how long each point sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
pub enum Resolution {
    /// A second; kept for 10 minutes.
    #[default]
    #[serde(rename = "1s")]
    Second,
    /// 5 seconds; kept for an hour.
    #[serde(rename = "5s")]
    FiveSeconds,
    /// A minute; kept for a day.
    #[serde(rename = "1m")]
    Minute,
}

impl Resolution {
    /// Width of a point, in milliseconds.
    pub fn step_ms(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::FiveSeconds => 5_000,
            Self::Minute => 60_000,
        }
    }
}

/// Which of a node's series to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesFilter {
    /// The metric; `load_score` where absent.
    #[param(inline)]
    pub metric: SeriesMetric,
    /// The resolution; `1s` where absent.
    #[param(inline)]
    pub resolution: Resolution,
}

/// One metric of a node over time. A step in which nothing was measured has no point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeriesView {
    /// The pool.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The metric.
    pub metric: SeriesMetric,
    /// The resolution.
    pub resolution: Resolution,
    /// Width of a point, in milliseconds.
    pub step_ms: u64,
    /// Oldest first; the last one may still change.
    pub points: Vec<SeriesPoint>,
}

/// What was measured from `start_ms` for one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeriesPoint {
    /// Begin of the step, in Unix milliseconds; a multiple of the step.
    pub start_ms: u64,
    /// Rounds of the loop that measured it; at least 1.
    pub count: u32,
    /// Mean over these rounds.
    pub mean: f64,
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

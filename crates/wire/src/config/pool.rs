//! `[[pool]]`: a service, its nodes, and when and how its clients are moved.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AgentCheck, Orca, PrometheusScrape};
use super::{Circuit, Duration, Outlier, PoolTls, ProxyVersion, Retry, SlowStart};
use crate::{Capacity, NodeId, PartitionPattern, PoolName};

/// `[[pool]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Unique among the pools.
    pub name: PoolName,
    /// What may be done: `observe`, `advise` or `act`.
    #[serde(default)]
    pub mode: Mode,
    /// Load score, 1 to 100, that a node's predicted score must not cross.
    #[serde(default = "load_threshold")]
    pub load_threshold: f64,
    /// Which score is held against the threshold: the predicted one, or the current one as reactive balancers do.
    #[serde(default)]
    pub trigger: Trigger,
    /// How far under the threshold a relieved node is brought, in score points.
    #[serde(default = "headroom")]
    pub headroom: f64,
    /// The quantile of the forecast that is held against the threshold: 0.5, 0.9 or 0.99.
    #[serde(default = "trigger_quantile")]
    pub trigger_quantile: f64,
    /// A key moves at most once in this time.
    #[serde(default = "migration_interval")]
    pub migration_interval: Duration,
    /// Who moves a connection: `proxy` (the client notices nothing), `client` or `auto`.
    #[serde(default)]
    pub migration_strategy: Strategy,
    /// Time for a client to follow an instruction, from the end of the delay it was given; then the proxy moves it.
    #[serde(default = "migration_within")]
    pub migration_within: Duration,
    /// Told clients that arrive at one node in any second at most; 1 to 100,000.
    #[serde(default = "reconnects_per_second")]
    pub reconnects_per_second: u32,
    /// Deadline of one hand-over; then the old node serves on.
    #[serde(default = "migration_deadline")]
    pub migration_deadline: Duration,
    /// How often loads are scored and plans made, 100 ms to 1 min.
    #[serde(default = "check_interval")]
    pub check_interval: Duration,
    /// Moves planned in one round at most.
    #[serde(default = "max_moves_per_tick")]
    pub max_moves_per_tick: u32,
    /// No node gets more than this factor of its weighted share of the buckets; 1.05 to 10.
    #[serde(default = "balance_factor")]
    pub balance_factor: f64,
    /// What the nodes are forecast with beside the models of `foreshift`.
    #[serde(default)]
    pub forecast: PoolForecast,
    /// How the nodes' health is checked; not at all where absent.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// Path of the old node's hand-over hook.
    #[serde(default)]
    pub handoff_path: Option<String>,
    /// Path at which the new node is given the state.
    #[serde(default)]
    pub resume_path: Option<String>,
    /// How a node that a session moves to comes by the partitions that it requires. Needs `[session]`.
    #[serde(default)]
    pub replay: ReplayWay,
    /// Path below which nodes are sent partitions, where `replay` is `push`.
    #[serde(default)]
    pub replay_path: Option<String>,
    /// What happens to the WebSockets of a node that dies.
    #[serde(default)]
    pub failover: Failover,
    /// What is spoken to the nodes.
    #[serde(default)]
    pub upstream_protocol: UpstreamProtocol,
    /// Begin connections to the nodes with a PROXY protocol header that names the client. They are not shared by clients then.
    #[serde(default)]
    pub send_proxy_protocol: Option<ProxyVersion>,
    /// How connections to the nodes are protected; in the clear where absent.
    #[serde(default)]
    pub tls: Option<PoolTls>,
    /// Time to connect to a node, a TLS handshake included.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: Duration,
    /// Time for a node to begin its answer.
    #[serde(default = "request_timeout")]
    pub request_timeout: Duration,
    /// What is sent again where a node fails.
    #[serde(default)]
    pub retry: Retry,
    /// How much each node is asked for at once; without limit where absent.
    #[serde(default)]
    pub circuit: Option<Circuit>,
    /// When a node that fails more than others is left out for a while; never where absent.
    #[serde(default)]
    pub outlier: Option<Outlier>,
    /// How a node that became ready gets its share of the keys; all at once where absent.
    #[serde(default)]
    pub slow_start: Option<SlowStart>,
    /// Issues keys of nodes in the ingress' own zone, while these have no more than this factor of their weighted share; 1 to
    /// 100. Zones do not matter where absent.
    #[serde(default)]
    pub zone_preference: Option<f64>,
    /// Reads the load reports that nodes put in their answers or give over gRPC.
    #[serde(default, deserialize_with = "super::signals::orca")]
    pub orca: Option<Orca>,
    /// Asks each node's agent for its weight and state.
    #[serde(default)]
    pub agent_check: Option<AgentCheck>,
    /// Makes signals of each node's page of metrics.
    #[serde(default)]
    pub prometheus: Option<Box<PrometheusScrape>>,
    /// The nodes.
    #[serde(default)]
    pub node: Vec<NodeConfig>,
}

fn load_threshold() -> f64 {
    80.0
}
fn headroom() -> f64 {
    5.0
}
fn trigger_quantile() -> f64 {
    0.9
}
fn migration_interval() -> Duration {
    Duration::from_secs(30)
}
fn migration_within() -> Duration {
    Duration::from_secs(30)
}
fn reconnects_per_second() -> u32 {
    100
}
fn migration_deadline() -> Duration {
    Duration::from_secs(5)
}
fn check_interval() -> Duration {
    Duration::from_millis(500)
}
fn max_moves_per_tick() -> u32 {
    200
}
fn balance_factor() -> f64 {
    1.25
}
fn connect_timeout() -> Duration {
    Duration::from_secs(2)
}
fn request_timeout() -> Duration {
    Duration::from_secs(60)
}

/// What a pool's control loop may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Measure and forecast.
    Observe,
    /// Show plans; nothing moves.
    #[default]
    Advise,
    /// Move.
    Act,
}

/// What sets off a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The highest score within the horizon at `trigger_quantile`.
    #[default]
    Predicted,
    /// The score as it is now; every decision of the plan is then made on current scores. For comparison, and
    /// for pools whose load nothing announces.
    Current,
}

/// Who moves a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The ingress switches it to the new node; the client notices nothing.
    #[default]
    Proxy,
    /// The client is told and reconnects. A session with a stream that cannot be told stays until that ends.
    Client,
    /// The client where all its streams can be told, else the proxy.
    Auto,
}

/// How a node comes by the partitions of a session that moves to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayWay {
    /// It is sent them at `replay_path` where there is one; else it fetches them.
    #[default]
    Auto,
    /// It is sent them before the switch.
    Push,
    /// It fetches them, with the one-time token that comes with the request that it resumes.
    Pull,
}

/// What happens to the WebSockets of a node that dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    /// Closed with 1012, so that the client reconnects.
    #[default]
    Close,
    /// Opened on another node with `Foreshift-Failover`; messages under way to the dead node are lost.
    Resume,
}

/// What is spoken to a pool's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocol {
    /// HTTP/1.1, except gRPC, which needs HTTP/2.
    #[default]
    Auto,
    /// HTTP/2 in the clear for all but WebSockets.
    H2c,
    /// HTTP/2 over TLS for all but WebSockets; the node must agree to it (ALPN).
    H2,
}

impl UpstreamProtocol {
    /// Whether it is HTTP/2 for all but WebSockets.
    pub fn is_http2(self) -> bool {
        self != Self::Auto
    }
}

/// `[pool.forecast]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolForecast {
    /// An `.onnx` file, or a `.safetensors` file of `foreshift forecast train`: one more model, weighed as all others.
    pub model_path: Option<std::path::PathBuf>,
    /// In which units an ONNX model reads and answers.
    pub scaling: ModelScaling,
    /// The signals that the model reads beside the load score, in its order.
    pub signals: Vec<ModelSignal>,
}

/// In which units an ONNX model reads and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelScaling {
    /// As distances from the window's mean, in its standard deviations.
    #[default]
    Window,
    /// As it is measured.
    None,
}

/// A signal that a model can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSignal {
    /// Share of the CPU.
    Cpu,
    /// Share of the memory.
    Memory,
    /// The application's own figure.
    Utilisation,
    /// Requests in flight.
    RequestsInFlight,
    /// Requests per second.
    RequestsPerS,
    /// 99th percentile of the response time, in milliseconds.
    ResponseMsP99,
    /// Open client connections.
    Connections,
    /// Bytes per second, both directions together.
    BytesPerS,
}

/// How a node's health is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// Path for an HTTP check (2xx and 3xx are healthy); a TCP connect is enough where absent.
    pub path: Option<String>,
    /// Time between checks.
    pub interval: Duration,
    /// Time for a whole check.
    pub timeout: Duration,
    /// Checks in a row that must pass before a node is ready.
    pub rise: u16,
    /// Checks in a row that must fail before a node is down.
    pub fall: u16,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }
}

/// `[[pool.node]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Unique within the pool.
    pub id: NodeId,
    /// IP address and port.
    pub address: std::net::SocketAddr,
    /// Failure domain.
    #[serde(default)]
    pub zone: String,
    /// Share of the keys relative to the others.
    #[serde(default = "weight")]
    pub weight: f64,
    /// Connections in use at most, over all workers; `circuit.connections` where absent.
    #[serde(default)]
    pub maxconn: Option<u32>,
    /// What it can carry.
    #[serde(default)]
    pub capacity: Capacity,
    /// Partitions of a session's state that it needs when the session moves to it: `auth`, `game/*`, `*`.
    #[serde(default)]
    pub required_partitions: Vec<PartitionPattern>,
}

fn weight() -> f64 {
    1.0
}

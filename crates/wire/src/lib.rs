//! The types that travel: configuration, API bodies, events, and what ingress and control tell each other.
//!
//! `ingress` and `control` meet only here and in `meta`, so that either can be replaced, or moved to
//! another machine, without the other noticing. Serde only: no sockets, no clock, no logic beyond the
//! checks that make a value well-formed.

mod affinity;
mod agent;
mod config;
mod connection;
pub mod entries;
mod event;
mod forecast;
mod id;
mod moves;
mod node;
mod own;
mod problem;
mod reload;
mod report;
mod request;
mod runtime;
mod series;
mod session;
mod source;

pub use affinity::{AffinityView, MovedBucket, Override, PinRequest};
pub use agent::{AgentReceipt, AgentReport, AgentSample};
pub use config::{
    AccessLog, Api, CertificateField, ClientAuth, Config, ConfigError, ConfigWarning, Cookie, Duration,
    Failover, ForecastConfig, Framing, HealthCheck, IngressConfig, KeySelector, Limits, Listener,
    ListenerCertificate, MetaConfig, MetaStore, Mode, ModelScaling, ModelSignal, NodeConfig, Pool,
    PoolForecast, PoolTls, Protocol, ProxyVersion, ReplayWay, SameSite, Strategy, Traces, Trigger,
    UpstreamProtocol,
};
pub use config::{
    AgentCheck, AgentReports, LabelMatcher, MetricMapping, MetricSelector, Orca, PrometheusScrape, SignalMap,
};
pub use config::{Circuit, EjectedSessions, Outlier, Overflow, Retry, RetryOn, SlowStart};
pub use config::{Session, SessionAccess, SessionEngine, SessionPartition, SessionToken, Undeclared};
pub use connection::{ConnectionFilter, ConnectionInfo, ConnectionKind, MigrateRequest};
pub use event::{Event, IngressEvent};
pub use forecast::{ForecastView, QuantilePath, Scored};
pub use id::{ConnectionId, InvalidId, MoveId, NodeId, PoolName, SessionId};
pub use moves::{
    Answer, Move, MoveFailure, MoveOutcome, MoveReason, MoveState, Plan, Stay, StayReason, Told, Unit,
};
pub use node::{
    AgentWish, Capacity, Ejection, NodeRecord, NodeSpec, NodeState, NodeView, PoolView, Signals, Warming,
};
pub use own::OwnLoad;
pub use problem::Problem;
pub use reload::{ChangeKind, KeyChange, Reloaded};
pub use report::{
    BucketReport, InBandReport, IngressReport, KeyReport, LatencyBuckets, NodeReport, NodeResilience,
    PoolReport,
};
pub use request::{
    ForecastFilter, MoveFilter, NodeForecast, NodeRequest, PlanView, PoolFilter, StateRequest,
};
pub use runtime::{
    Count, EntryFilter, HealthChange, HealthOrder, Info, NodeChange, PoolInfo, Runtime, WeightOrder,
};
pub use series::{Resolution, SeriesFilter, SeriesMetric, SeriesPoint, SeriesView};
pub use session::{
    EntryView, EntryWrite, Epoch, ExpireRequest, FencedProblem, InvalidPartition, PartitionData,
    PartitionName, PartitionPattern, PartitionStats, PartitionView, PartitionWrite, ReplayCounts,
    SessionFilter, SessionPage, SessionStats, SessionView, SinceFilter, SplitDecision, SplitStats, Version,
    WrittenView,
};
pub use source::{SourceKind, SourceView};

//! The configuration file: one TOML document, every key with a default where one makes sense.
//!
//! [`Config::parse`] is the only way in, so a `Config` that exists is one that makes sense: ids are unique,
//! every listener's pool exists, every number is in its range. `docs/configuration.md` lists the keys.

mod changes;
mod check;
mod circuit;
mod duration;
mod error;
mod listener;
mod log;
mod metric;
mod outlier;
mod pool;
mod proxy;
mod retry;
mod session;
mod signals;
mod tls;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use circuit::{Circuit, Overflow};
pub use duration::Duration;
pub use error::{ConfigError, ConfigWarning};
pub use listener::{CertificateField, Cookie, Framing, KeySelector, Listener, Protocol, SameSite};
pub use log::{AccessLog, Traces};
pub use metric::{LabelMatcher, MetricMapping, MetricSelector};
pub use outlier::{EjectedSessions, Outlier, SlowStart};
pub use pool::{
    Failover, HealthCheck, Mode, ModelScaling, ModelSignal, NodeConfig, Pool, PoolForecast, ReplayWay,
    Strategy, Trigger, UpstreamProtocol,
};
pub use proxy::ProxyVersion;
pub use retry::{Retry, RetryOn};
pub use session::{Session, SessionAccess, SessionEngine, SessionPartition, SessionToken, Undeclared};
pub use signals::{AgentCheck, AgentReports, Orca, PrometheusScrape, SignalMap};
pub use tls::{ClientAuth, ListenerCertificate, PoolTls};

/// Everything that `foreshift run` needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP API.
    #[serde(default)]
    pub api: Api,
    /// Where the shared truth is kept.
    #[serde(default)]
    pub meta: MetaConfig,
    /// How loads are forecast.
    #[serde(default)]
    pub forecast: ForecastConfig,
    /// The data plane.
    #[serde(default)]
    pub ingress: IngressConfig,
    /// Takes the reports of `foreshift agent`; not at all where absent.
    #[serde(default)]
    pub agent: Option<AgentReports>,
    /// Keeps the state of sessions; not at all where absent.
    #[serde(default)]
    pub session: Option<Session>,
    /// Where clients connect; at least one.
    #[serde(default)]
    pub listener: Vec<Listener>,
    /// The services behind; at least one.
    #[serde(default)]
    pub pool: Vec<Pool>,
}

/// `[api]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Where the API listens; loopback only until it has tokens and TLS.
    pub address: SocketAddr,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8090)),
        }
    }
}

/// `[meta]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetaConfig {
    /// Which store.
    pub store: MetaStore,
    /// Its file; made on first start, with its folder.
    pub path: PathBuf,
}

impl Default for MetaConfig {
    fn default() -> Self {
        Self {
            store: MetaStore::Embedded,
            path: "var/meta.redb".into(),
        }
    }
}

/// Which metadata store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetaStore {
    /// A redb file of this process.
    Embedded,
}

/// `[forecast]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForecastConfig {
    /// How far ahead, 1 s to 10 min.
    pub prediction_horizon: Duration,
    /// Which model: `auto` weighs all by their recent errors; else a model's name.
    pub model: String,
}

impl Default for ForecastConfig {
    fn default() -> Self {
        Self {
            prediction_horizon: Duration::from_secs(10),
            model: "auto".into(),
        }
    }
}

/// `[ingress]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngressConfig {
    /// Worker threads, 1 to 1,024; one for each core where absent.
    pub workers: Option<u16>,
    /// The failure domain that this ingress is in, as the nodes' `zone` names it; for `zone_preference`.
    pub zone: Option<String>,
    /// How long a graceful shutdown waits for connections to end, before it closes them.
    pub drain_timeout: Duration,
    /// A Unix socket at which a new process asks to take over; beside the metadata where absent.
    pub handover_socket: Option<PathBuf>,
    /// Whether and how to write one line for each request to standard output.
    pub access_log: AccessLog,
    /// Distributed traces; `traceparent` passes as it came where absent.
    pub traces: Option<Traces>,
    /// What a client may ask for at most.
    pub limits: Limits,
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self {
            workers: None,
            zone: None,
            drain_timeout: Duration::from_secs(30),
            handover_socket: None,
            access_log: AccessLog::Off,
            traces: None,
            limits: Limits::default(),
        }
    }
}

/// `[ingress.limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request's or response's head, 1 KiB to 1 MiB; more is answered with 431.
    pub header_bytes: u32,
    /// Header fields in a head, at most 1,000; more is answered with 431.
    pub headers: u16,
    /// Bytes of a request's body; more is answered with 413. 0 is without limit.
    pub body_bytes: u64,
    /// Client connections open at once, in all.
    pub connections: u32,
    /// Client connections open at once from one source address.
    pub connections_per_source: u32,
    /// Bytes of client input held while a WebSocket is being handed over, for each connection, 1 KiB to
    /// 64 MiB; beyond it the client is slowed down, not cut.
    pub pause_buffer_bytes: u32,
    /// Bytes of one WebSocket message; more closes with 1009. 0 is without limit.
    pub message_bytes: u64,
    /// Time for a client to send a whole head.
    pub header_timeout: Duration,
    /// Time that a kept-alive client connection may idle.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            headers: 100,
            body_bytes: 0,
            connections: 100_000,
            connections_per_source: 10_000,
            pause_buffer_bytes: 256 * 1024,
            message_bytes: 64 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
        }
    }
}

//! `[session]`: where sessions' state is kept, for how long, and who may read and write it.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Duration, ListenerCertificate};
use crate::{NodeId, PartitionPattern, PoolName};

/// `[session]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// Which store.
    pub engine: SessionEngine,
    /// The embedded engine's file; made on first start, with its folder.
    pub path: PathBuf,
    /// Servers of the Redis engine, `redis://[user:password@]host:port`; of a cluster, some that are likely to be there.
    pub urls: Vec<String>,
    /// The servers are a Redis or Valkey Cluster.
    pub cluster: bool,
    /// Replicas that must have a write before it is acknowledged (`WAIT`); 0 leaves it to the servers.
    pub wait_replicas: u8,
    /// Time for them to have it.
    pub wait_timeout: Duration,
    /// Time for an operation of the Redis engine, with all its attempts.
    pub timeout: Duration,
    /// Where any Redis client can read and write sessions; nowhere where absent.
    pub redis_view: Option<SocketAddr>,
    /// Where nodes of other machines reach `/v1/sessions`; only the API's address where absent.
    pub address: Option<SocketAddr>,
    /// Protects `redis_view` and `address`; in the clear where absent.
    pub tls: Option<ListenerCertificate>,
    /// A session that nobody read or wrote for so long ends.
    pub idle_timeout: Duration,
    /// A session ends so long after its begin, whatever happens.
    pub absolute_timeout: Duration,
    /// The master keys, with which the sessions' own keys are sealed. Made on first start, for the owner only.
    pub key_file: PathBuf,
    /// What happens to partitions that no `[[session.partition]]` declares.
    pub undeclared: Undeclared,
    /// Bytes of keys and values in an undeclared partition at most.
    pub max_bytes: u64,
    /// Bytes of keys and values in one session at most.
    pub max_session_bytes: u64,
    /// Bytes of one value at most.
    pub max_value_bytes: u64,
    /// Memory for what is kept of sessions in this process, in bytes.
    pub cache_bytes: u64,
    /// Replays of more bytes than these are compressed (zstd).
    pub compress_over: u64,
    /// Partitions whose parts are used apart are replayed in parts.
    pub split: bool,
    /// What is known of partitions beforehand.
    pub partition: Vec<SessionPartition>,
    /// Who may read and write; everybody who reaches the listeners where there is none.
    pub token: Vec<SessionToken>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            engine: SessionEngine::Embedded,
            path: "var/sessions.redb".into(),
            urls: Vec::new(),
            cluster: false,
            wait_replicas: 0,
            wait_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            redis_view: None,
            address: None,
            tls: None,
            idle_timeout: Duration::from_secs(30 * 60),
            absolute_timeout: Duration::from_secs(12 * 3600),
            key_file: "var/session.keys".into(),
            undeclared: Undeclared::Allow,
            max_bytes: 1024 * 1024,
            max_session_bytes: 16 * 1024 * 1024,
            max_value_bytes: 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            compress_over: 1024,
            split: false,
            partition: Vec::new(),
            token: Vec::new(),
        }
    }
}

/// Which store of sessions' state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEngine {
    /// A redb file of this process.
    #[default]
    Embedded,
    /// Redis or Valkey, one server or a cluster.
    Redis,
}

/// What happens to partitions that are not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undeclared {
    /// They are kept as any other.
    #[default]
    Allow,
    /// Writing one is refused.
    Refuse,
}

/// `[[session.partition]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionPartition {
    /// The partition, or several: `game/*` is every partition below `game`.
    pub name: PartitionPattern,
    /// Only of sessions of this pool; of all where absent.
    #[serde(default)]
    pub pool: Option<PoolName>,
    /// Bytes of keys and values at most; `session.max_bytes` where absent.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// It ends so long after its last write; with its session where absent.
    #[serde(default)]
    pub lifetime: Option<Duration>,
    /// Nodes that need it beside those that say so themselves; `*` is all.
    #[serde(default)]
    pub required_by: Vec<String>,
    /// Only who is allowed to by its name, not by `*`, may read it; it is never shown to operators.
    #[serde(default)]
    pub secret: bool,
}

/// `[[session.token]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionToken {
    /// The file that holds the token; made on first start, for the owner only.
    pub file: PathBuf,
    /// The node that has it: it may read and write only sessions that it serves. Any session where absent.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// Partitions that it may read and write.
    #[serde(default = "all_partitions")]
    pub partitions: Vec<PartitionPattern>,
    /// What it may do with them.
    #[serde(default)]
    pub access: SessionAccess,
}

fn all_partitions() -> Vec<PartitionPattern> {
    vec![PartitionPattern::all()]
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionAccess {
    /// To read.
    Read,
    /// To read and write.
    #[default]
    Write,
    /// That, and to make, end and revoke sessions.
    Admin,
}

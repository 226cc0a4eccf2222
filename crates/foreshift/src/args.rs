//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use foreshift_store::KeyId;
use foreshift_wire::{
    ConnectionId, HealthChange, NodeId, PartitionPattern, PoolName, Resolution, SeriesMetric, SessionId,
    WeightOrder,
};
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use crate::commands::{
    backtest::Backtest,
    demo::{Backend, Demo},
    forecast::Forecast,
    sessions::Sessions,
};

/// Forecasts load, and moves clients before a node is overloaded.
#[derive(Debug, Parser)]
#[command(name = "foreshift", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the ingress and its control loop
    Run(Run),
    /// Tell a running Foreshift how this machine is doing; ends with Ctrl-C
    Agent(Agent),
    /// Show it: four backends, the ingress before them, load that heats up
    Demo(Demo),
    /// One of the demo's backends
    #[command(hide = true)]
    LabBackend(Backend),
    /// The demo's ingress
    #[command(hide = true)]
    LabIngress(Run),
    /// Say whether a configuration can be used, and if not, which key is wrong
    Check {
        /// The configuration
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// List, replace or retire the master keys that sessions' state is sealed with
    #[command(subcommand)]
    Keys(Keys),
    /// Have a running Foreshift read its configuration again and take over what changed
    Reload(Remote),
    /// Show the process and its pools in few words
    Info(Remote),
    /// Show the pools and their nodes
    Status(Remote),
    /// List, add, remove or drain nodes
    Nodes(Nodes),
    /// Show where a key lives, pin it, or unpin it
    #[command(subcommand)]
    Affinity(Affinity),
    /// List open connections, or move one
    Connections(Connections),
    /// Show sessions that have state, or end one
    #[command(subcommand)]
    Sessions(Sessions),
    /// Show moves, newest first
    Moves {
        #[command(flatten)]
        pool: OfPool,
        /// At most so many, up to 10000
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show what would be moved now, and what would be left alone and why; nothing is done
    Plan {
        #[command(flatten)]
        pool: OfPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show the forecasts and how good they were lately; or forecast the series in a FILE
    Forecast(Box<Forecast>),
    /// Find out on your own history whether prediction would have helped
    Backtest(Box<Backtest>),
    /// Follow what happens; ends with Ctrl-C
    Events {
        #[command(flatten)]
        pool: OfPool,
        /// Also show the loads at each round of the loop
        #[arg(long)]
        ticks: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// A live table of the nodes; ends with Ctrl-C
    Top {
        #[command(flatten)]
        pool: OfPool,
        /// Seconds between two looks
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        interval: u64,
        /// End after so many looks
        #[arg(long)]
        count: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Show the keys of the key file: when they were made, and which one seals what is new
    List(OfKeyFile),
    /// Add a key that seals what is new; a running Foreshift takes it up within seconds and wraps all sessions' keys with it
    Rotate {
        /// Also retire all other keys
        #[arg(long)]
        retire: bool,
        #[command(flatten)]
        file: OfKeyFile,
    },
    /// Have a running Foreshift take a key out of the key file once no session needs it, and wait for that
    Retire {
        /// The key, as `foreshift keys list` shows it
        #[arg(value_name = "ID")]
        key: KeyId,
        /// Wait so many seconds at most; it is taken out later all the same
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        wait: u64,
        #[command(flatten)]
        file: OfKeyFile,
    },
}

/// The configuration that names the key file.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfKeyFile {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the API is and how to print its answers.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// The API of a running `foreshift run`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    pub(crate) api: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct OfPool {
    /// Only this pool
    #[arg(long)]
    pub(crate) pool: Option<PoolName>,
}

/// The pool that a command is about; may be left out where there is only one.
#[derive(Debug, Clone, Args)]
pub(crate) struct InPool {
    /// The pool; may be left out where there is only one
    #[arg(long)]
    pub(crate) pool: Option<PoolName>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// How to write the log, to standard error; RUST_LOG sets the level
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
    /// Take the place of the process that runs with this configuration, without a moment in which nobody listens; start as
    /// usual where there is none
    #[arg(long)]
    pub(crate) take_over: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// The API of a running `foreshift run`, or its `agent.address`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    pub(crate) control: String,
    /// The pool that the node is in
    #[arg(long)]
    pub(crate) pool: PoolName,
    /// The node that runs on this machine
    #[arg(long, value_name = "ID")]
    pub(crate) node: NodeId,
    /// The token, a copy of the control side's `agent.token_file`
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Milliseconds between two measurements
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub(crate) interval_ms: u64,
    /// How to write the log, to standard error; RUST_LOG sets the level
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Nodes {
    #[command(subcommand)]
    pub(crate) command: Option<NodesCommand>,
    #[command(flatten)]
    pub(crate) pool: OfPool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Add a node; it is given keys once it is found healthy
    Add(NodeAdd),
    /// Remove a node; refused while connections are open to it
    Remove {
        id: NodeId,
        /// Remove it although connections are open to it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Move everything away from a node
    Drain {
        id: NodeId,
        /// Return only once nothing is left on it
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give a drained or downed node keys again
    Ready {
        id: NodeId,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take a node out at once; its connections are failed over or closed
    Down {
        id: NodeId,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Set a node's weight, limit or health at run time; kept over reloads and restarts, until it is reset
    Set {
        id: NodeId,
        /// A number, 0 or above, or percent of the configured weight as in 50%
        #[arg(long)]
        weight: Option<WeightOrder>,
        /// Connections in use at most
        #[arg(long, value_name = "N")]
        maxconn: Option<u32>,
        /// up, down, frozen (not checked, it stays what it is), or auto (as its checks say)
        #[arg(long, value_parser = named::<HealthChange>)]
        health: Option<HealthChange>,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Undo what was set at run time
    Reset {
        id: NodeId,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// End a node's WebSockets, event streams and TCP connections; requests are left to end
    EndSessions {
        id: NodeId,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show what was measured of a node before
    Series {
        id: NodeId,
        /// load_score, requests_per_s, response_ms_p99, connections, in_flight, cpu or memory
        #[arg(long, default_value = "load_score", value_parser = named::<SeriesMetric>)]
        metric: SeriesMetric,
        /// 1s (10 minutes are kept), 5s (an hour) or 1m (a day)
        #[arg(long, default_value = "1s", value_parser = named::<Resolution>)]
        resolution: Resolution,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Reads a value by the name that it has in the API.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, value::Error> {
    T::deserialize(name.into_deserializer())
}

#[derive(Debug, Args)]
pub(crate) struct NodeAdd {
    pub(crate) id: NodeId,
    /// IP address and port
    pub(crate) address: String,
    /// Failure domain
    #[arg(long, default_value = "")]
    pub(crate) zone: String,
    /// Share of the keys relative to the other nodes
    #[arg(long, default_value_t = 1.0)]
    pub(crate) weight: f64,
    /// Connections in use at most
    #[arg(long, value_name = "N")]
    pub(crate) maxconn: Option<u32>,
    /// Requests that it can work on at once
    #[arg(long, value_name = "N")]
    pub(crate) requests_in_flight: Option<u32>,
    /// Connections that it can hold
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<u32>,
    /// Requests per second that it can answer
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_second: Option<f64>,
    /// Partitions of a session's state that it needs, as `auth` or `game/*`; may be given several times
    #[arg(long = "require", value_name = "PARTITION")]
    pub(crate) required_partitions: Vec<PartitionPattern>,
    #[command(flatten)]
    pub(crate) pool: InPool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Affinity {
    /// Where a key lives and why
    Get {
        key: String,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Move a key to a node and keep it there
    Pin {
        key: String,
        node: NodeId,
        /// For so many seconds; without end where absent
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the keys that were placed one by one, by their sessions
    List {
        #[command(flatten)]
        entries: Entries,
        /// At most so many, up to 10000
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give keys that were placed one by one back to their buckets, pins included
    Clear {
        #[command(flatten)]
        entries: Entries,
        /// All of the pool
        #[arg(long, conflicts_with_all = ["node", "session"])]
        all: bool,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Move a session to a node and keep it there, whatever its key is
    PinSession {
        session: SessionId,
        node: NodeId,
        /// For so many seconds; without end where absent
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let plans move a key again
    Unpin {
        key: String,
        #[command(flatten)]
        pool: InPool,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Which keys that were placed one by one.
#[derive(Debug, Args)]
pub(crate) struct Entries {
    /// Only on this node
    #[arg(long)]
    pub(crate) node: Option<NodeId>,
    /// Only of this session
    #[arg(long)]
    pub(crate) session: Option<SessionId>,
    /// Only pinned ones
    #[arg(long)]
    pub(crate) pinned: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Connections {
    #[command(subcommand)]
    pub(crate) command: Option<ConnectionsCommand>,
    #[command(flatten)]
    pub(crate) list: ConnectionsList,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionsList {
    #[command(flatten)]
    pub(crate) pool: OfPool,
    /// Only on this node
    #[arg(long)]
    pub(crate) node: Option<NodeId>,
    /// Only of this affinity key
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// At most so many, up to 10000
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List open connections
    List(ConnectionsList),
    /// End a WebSocket, event stream or TCP connection
    End {
        id: ConnectionId,
        #[command(flatten)]
        remote: Remote,
    },
    /// Move a connection, with all others of its key, to another node
    Migrate {
        id: ConnectionId,
        target: NodeId,
        #[command(flatten)]
        remote: Remote,
    },
}

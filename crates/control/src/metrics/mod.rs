//! What `/metrics` tells, under conventional names.
//!
//! Counters rise from 0 with each start of the process. A node's series end when it is removed.

mod histogram;
mod resilience;
mod sessions;
mod text;

use std::collections::BTreeMap;

use foreshift_store::Sessions;
use foreshift_wire::{NodeId, NodeReport, NodeResilience, NodeState, PoolName};

pub(crate) use histogram::Histogram;
use text::Text;

/// One pool's numbers at one moment.
#[derive(Debug, Clone)]
pub(crate) struct PoolMetrics {
    pub(crate) pool: PoolName,
    pub(crate) map_version: u64,
    pub(crate) gated: bool,
    pub(crate) moves_in_progress: u64,
    pub(crate) counters: Counters,
    pub(crate) nodes: Vec<NodeMetrics>,
}

/// What a pool counts since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// By outcome: `done`, `failed`, `advised`.
    pub(crate) moves: BTreeMap<&'static str, u64>,
    /// By outcome: `ok`, `error`.
    pub(crate) ticks: BTreeMap<&'static str, u64>,
    /// Connections that lost their node, by outcome: `resumed`, `closed`.
    pub(crate) failovers: BTreeMap<&'static str, u64>,
    /// Connections refused by their PROXY protocol header, or without a TLS handshake.
    pub(crate) refused: u64,
    /// Requests that were not sent again because the retry budget was used up.
    pub(crate) over_retry_budget: u64,
    /// Of nodes that fail more than others, by outcome: `ejected`, `returned`.
    pub(crate) ejections: BTreeMap<&'static str, u64>,
    /// Sessions whose clients were told to move, by what they did: `instructed`, `fell_back`.
    pub(crate) told: BTreeMap<&'static str, u64>,
    pub(crate) tick: Histogram,
    pub(crate) pause: Histogram,
}

/// Adds one to a count by name.
pub(crate) fn count(counts: &mut BTreeMap<&'static str, u64>, name: &'static str) {
    *counts.entry(name).or_default() += 1;
}

/// One node's numbers at one moment.
#[derive(Debug, Clone)]
pub(crate) struct NodeMetrics {
    pub(crate) node: NodeId,
    pub(crate) state: NodeState,
    pub(crate) ejected: bool,
    pub(crate) slow_start_share: f64,
    pub(crate) totals: NodeTotals,
    pub(crate) load_score: Option<f64>,
    /// `(quantile, highest predicted score within the horizon)`.
    pub(crate) predicted: Vec<(f64, f64)>,
    pub(crate) forecast_error: Option<f64>,
    pub(crate) forecast_error_of_persistence: Option<f64>,
    pub(crate) forecast_coverage: Option<f64>,
    pub(crate) buckets: u32,
    pub(crate) overrides: u64,
}

/// What a node's reports add up to since the start, and its gauges.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeTotals {
    requests: u64,
    errors: u64,
    bytes: u64,
    duration: Histogram,
    pub(crate) in_flight: u32,
    pub(crate) connections: u32,
    resilience: NodeResilience,
}

impl NodeTotals {
    /// Takes in one report.
    pub(crate) fn add(&mut self, report: &NodeReport) {
        self.requests += report.requests;
        self.errors += report.errors;
        self.bytes += report.bytes;
        self.duration.add(&report.response);
        self.in_flight = report.in_flight;
        self.connections = report.connections;
        self.resilience.pending = 0;
        self.resilience.add(&report.resilience);
    }

    /// True where the last report saw nothing under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.connections == 0
    }
}

/// All pools' numbers as text, and those of sessions' state where it is kept.
pub(crate) fn render(pools: &[PoolMetrics], sessions: Option<&Sessions>) -> String {
    let mut text = Text::default();
    text.family(
        "foreshift_build_info",
        "gauge",
        "Always 1; the label tells the version.",
    );
    text.sample(
        "foreshift_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    traffic(&mut text, pools);
    resilience::write(&mut text, pools);
    loads(&mut text, pools);
    forecasts(&mut text, pools);
    pool_gauges(&mut text, pools);
    pool_counters(&mut text, pools);
    if let Some(sessions) = sessions {
        self::sessions::write(&mut text, sessions);
    }
    text.finish()
}

/// Calls `each` for every node with its labels.
fn nodes<'a>(pools: &'a [PoolMetrics], mut each: impl FnMut(&'a NodeMetrics, [(&'static str, &'a str); 2])) {
    for pool in pools {
        for node in &pool.nodes {
            each(node, [("pool", pool.pool.as_str()), ("node", node.node.as_str())]);
        }
    }
}

fn traffic(text: &mut Text, pools: &[PoolMetrics]) {
    type Read = fn(&NodeTotals) -> u64;
    let families: [(&str, &str, &str, Read); 5] = [
        (
            "foreshift_requests_total",
            "counter",
            "Requests answered, and WebSocket messages from clients.",
            |t| t.requests,
        ),
        (
            "foreshift_request_errors_total",
            "counter",
            "Connect errors, timeouts, and answers of 500 and above.",
            |t| t.errors,
        ),
        (
            "foreshift_bytes_total",
            "counter",
            "Bytes in both directions.",
            |t| t.bytes,
        ),
        (
            "foreshift_requests_in_flight",
            "gauge",
            "Requests that the node works on.",
            |t| t.in_flight.into(),
        ),
        (
            "foreshift_connections",
            "gauge",
            "Client connections and streams open to the node.",
            |t| t.connections.into(),
        ),
    ];
    for (name, kind, help, read) in families {
        text.family(name, kind, help);
        nodes(pools, |node, labels| {
            text.sample(name, &labels, read(&node.totals));
        });
    }
    let name = "foreshift_request_duration_seconds";
    text.family(
        name,
        "histogram",
        "Time from a request's head to the end of its answer.",
    );
    nodes(pools, |node, labels| {
        text.histogram(name, &labels, &node.totals.duration);
    });
}

fn loads(text: &mut Text, pools: &[PoolMetrics]) {
    text.family(
        "foreshift_node_state",
        "gauge",
        "1 for the state that the node is in, 0 for the others.",
    );
    nodes(pools, |node, [pool, id]| {
        for (state, name) in STATES {
            let is = u8::from(node.state == state);
            text.sample("foreshift_node_state", &[pool, id, ("state", name)], is);
        }
    });
    let name = "foreshift_node_load_score";
    text.family(
        name,
        "gauge",
        "Highest signal as a share of its capacity, 0 to 100; above is overload.",
    );
    nodes(pools, |node, labels| {
        text.optional(name, &labels, node.load_score);
    });
    let name = "foreshift_node_predicted_load_score";
    text.family(
        name,
        "gauge",
        "Highest predicted load score within the horizon, by quantile.",
    );
    nodes(pools, |node, [pool, id]| {
        for (quantile, peak) in &node.predicted {
            text.optional(
                name,
                &[pool, id, ("quantile", &quantile.to_string())],
                Some(*peak),
            );
        }
    });
    text.family(
        "foreshift_node_buckets",
        "gauge",
        "Buckets of the affinity map that the node owns, of 65,536.",
    );
    nodes(pools, |node, labels| {
        text.sample("foreshift_node_buckets", &labels, node.buckets);
    });
    text.family(
        "foreshift_node_overrides",
        "gauge",
        "Keys placed on the node one by one.",
    );
    nodes(pools, |node, labels| {
        text.sample("foreshift_node_overrides", &labels, node.overrides);
    });
}

const STATES: [(NodeState, &str); 4] = [
    (NodeState::Joining, "joining"),
    (NodeState::Ready, "ready"),
    (NodeState::Draining, "draining"),
    (NodeState::Down, "down"),
];

fn forecasts(text: &mut Text, pools: &[PoolMetrics]) {
    type Read = fn(&NodeMetrics) -> Option<f64>;
    let families: [(&str, &str, Read); 3] = [
        (
            "foreshift_forecast_error",
            "Mean absolute error at the end of the horizon, in score points.",
            |n| n.forecast_error,
        ),
        (
            "foreshift_forecast_error_of_persistence",
            "The same for \"the load stays as it is\".",
            |n| n.forecast_error_of_persistence,
        ),
        (
            "foreshift_forecast_coverage",
            "Share of what happened under the 0.9 quantile; 0.9 is promised.",
            |n| n.forecast_coverage,
        ),
    ];
    for (name, help, read) in families {
        text.family(name, "gauge", help);
        nodes(pools, |node, labels| text.optional(name, &labels, read(node)));
    }
}

fn pool_gauges(text: &mut Text, pools: &[PoolMetrics]) {
    type Read = fn(&PoolMetrics) -> u64;
    let families: [(&str, &str, Read); 3] = [
        (
            "foreshift_forecast_gated",
            "1 while plans use current load because forecasts were worse.",
            |p| p.gated.into(),
        ),
        ("foreshift_map_version", "Version of the affinity map.", |p| {
            p.map_version
        }),
        (
            "foreshift_moves_in_progress",
            "Moves that were committed and have not ended.",
            |p| p.moves_in_progress,
        ),
    ];
    for (name, help, read) in families {
        text.family(name, "gauge", help);
        for pool in pools {
            text.sample(name, &[("pool", pool.pool.as_str())], read(pool));
        }
    }
}

fn pool_counters(text: &mut Text, pools: &[PoolMetrics]) {
    type Read = fn(&Counters) -> &BTreeMap<&'static str, u64>;
    let families: [(&str, &str, Read); 5] = [
        (
            "foreshift_ejections_total",
            "Nodes left out because they fail more than others, and taken back.",
            |c| &c.ejections,
        ),
        (
            "foreshift_moves_total",
            "Moves by how they ended; advised ones were not carried out.",
            |c| &c.moves,
        ),
        (
            "foreshift_ticks_total",
            "Rounds of the loop by how they ended.",
            |c| &c.ticks,
        ),
        (
            "foreshift_failovers_total",
            "Connections that lost their node, by what became of them.",
            |c| &c.failovers,
        ),
        (
            "foreshift_told_total",
            "Sessions whose clients were told to move, by what they did.",
            |c| &c.told,
        ),
    ];
    for (name, help, read) in families {
        text.family(name, "counter", help);
        for pool in pools {
            for (outcome, count) in read(&pool.counters) {
                text.sample(name, &[("pool", pool.pool.as_str()), ("outcome", outcome)], count);
            }
        }
    }
    let name = "foreshift_connections_refused_total";
    text.family(
        name,
        "counter",
        "Connections refused by their PROXY protocol header, or without a TLS handshake.",
    );
    for pool in pools {
        text.sample(name, &[("pool", pool.pool.as_str())], pool.counters.refused);
    }
    type ReadTimes = fn(&Counters) -> &Histogram;
    let families: [(&str, &str, ReadTimes); 2] = [
        (
            "foreshift_switch_pause_seconds",
            "Time for which a switched connection's input was held.",
            |c| &c.pause,
        ),
        (
            "foreshift_tick_duration_seconds",
            "Time that one round of the loop took.",
            |c| &c.tick,
        ),
    ];
    for (name, help, read) in families {
        text.family(name, "histogram", help);
        for pool in pools {
            text.histogram(name, &[("pool", pool.pool.as_str())], read(&pool.counters));
        }
    }
}

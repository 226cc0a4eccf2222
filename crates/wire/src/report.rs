//! What the ingress measured since it was last asked.
//!
//! Everything is a delta over the interval, except the gauges `in_flight`, `connections` and `open`.

use serde::{Deserialize, Serialize};

use crate::{NodeId, OwnLoad, PoolName, SessionId};

/// One report of one ingress.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IngressReport {
    /// One element a pool.
    pub pools: Vec<PoolReport>,
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolReport {
    /// The pool.
    pub pool: PoolName,
    /// One element a node that the ingress knows.
    pub nodes: Vec<NodeReport>,
    /// Buckets with traffic or open streams.
    pub buckets: Vec<BucketReport>,
    /// The heaviest keys, heaviest first; bounded.
    pub keys: Vec<KeyReport>,
    /// Connections refused because their PROXY protocol header was missing, wrong, late, or from who is not trusted, or because
    /// there was no TLS handshake.
    #[serde(default)]
    pub refused: u64,
    /// Requests that were not sent again because the retry budget was used up.
    #[serde(default)]
    pub over_retry_budget: u64,
}

/// One node as the ingress sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node.
    pub node: NodeId,
    /// Requests answered, and WebSocket data messages from clients.
    pub requests: u64,
    /// Connect errors, timeouts, answers that were no HTTP, and 5xx.
    pub errors: u64,
    /// Bytes in both directions.
    pub bytes: u64,
    /// Sum of the time that requests were in flight within the interval, in microseconds. Divided by the
    /// interval it is the mean number in flight (Little's law).
    pub busy_us: u64,
    /// Requests in flight now.
    pub in_flight: u32,
    /// Client connections and streams open to it now.
    pub connections: u32,
    /// Response times of the interval.
    pub response: LatencyBuckets,
    /// What it said of itself in its answers (ORCA), where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_band: Option<InBandReport>,
    /// What was done about failures and limits.
    #[serde(default)]
    pub resilience: NodeResilience,
}

/// What a node said of itself in the answers of the interval.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct InBandReport {
    /// The newest report.
    pub load: OwnLoad,
    /// How old it was when the ingress reported, in microseconds.
    pub age_us: u64,
    /// Reports that were understood.
    pub reports: u64,
    /// Reports that were not.
    pub refused: u64,
    /// Why the last of those was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl InBandReport {
    /// Adds what another worker heard, or what was heard in an earlier interval; ages count from the same moment. The newer load
    /// counts.
    pub fn add(&mut self, other: Self) {
        if other.reports > 0 && (self.reports == 0 || other.age_us < self.age_us) {
            self.load = other.load;
            self.age_us = other.age_us;
        }
        self.reports = self.reports.saturating_add(other.reports);
        self.refused = self.refused.saturating_add(other.refused);
        self.error = self.error.take().or(other.error);
    }
}

/// What the ingress did about a node's failures and limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeResilience {
    /// Requests that were sent to it after another try of them had failed.
    pub retries: u64,
    /// Requests that went to another node because it had no room.
    pub overflowed: u64,
    /// Requests refused because too many waited for it already.
    pub queue_full: u64,
    /// Requests refused because they had waited too long.
    pub waited_in_vain: u64,
    /// Requests that wait for room now.
    pub pending: u32,
    /// Tries of requests that came to an end at the node, WebSocket messages not counted.
    pub answered: u64,
    /// Those of them that were gateway errors: no connection, no answer in time or none at all, and 5xx.
    pub failed: u64,
    /// Most gateway errors in a row, over all workers; 0 where the pool looks for no outliers.
    pub failed_in_a_row: u32,
}

impl NodeResilience {
    /// Adds what another worker counted in the same interval, or the same ones in an earlier one.
    pub fn add(&mut self, other: &Self) {
        self.retries += other.retries;
        self.overflowed += other.overflowed;
        self.queue_full += other.queue_full;
        self.waited_in_vain += other.waited_in_vain;
        self.pending += other.pending;
        self.answered += other.answered;
        self.failed += other.failed;
        self.failed_in_a_row = self.failed_in_a_row.max(other.failed_in_a_row);
    }
}

/// A mergeable histogram of microseconds, sparse: `(bucket index, count)`, rising.
///
/// Bucketing of the crate `histogram` with grouping power 5 and maximum power 36: a relative error of 3 %.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LatencyBuckets(pub Vec<(u32, u64)>);

impl LatencyBuckets {
    /// `grouping_power` of every histogram that travels.
    pub const GROUPING_POWER: u8 = 5;
    /// `max_value_power` of every histogram that travels: up to 19 hours.
    pub const MAX_VALUE_POWER: u8 = 36;
}

/// One bucket of the affinity map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketReport {
    /// 0 to 65,535.
    pub bucket: u16,
    /// Requests and WebSocket data messages.
    pub requests: u32,
    /// Bytes in both directions.
    pub bytes: u64,
    /// As in [`NodeReport::busy_us`].
    pub busy_us: u64,
    /// Open connections and streams now.
    pub open: u32,
}

/// One heavy key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyReport {
    /// Its session.
    pub session: SessionId,
    /// The key, shortened to 64 characters.
    pub key: String,
    /// The node that served it last.
    pub node: NodeId,
    /// Requests and WebSocket data messages; at most `error` too high.
    pub requests: u32,
    /// Bytes in both directions.
    pub bytes: u64,
    /// As in [`NodeReport::busy_us`].
    pub busy_us: u64,
    /// Open connections and streams now.
    pub open: u32,
    /// By how much `requests` may be too high (space-saving sketch).
    pub error: u32,
}

//! `[pool.circuit]`: how much a node is asked for at once, and what becomes of the rest.

use serde::{Deserialize, Serialize};

use super::Duration;

/// `[pool.circuit]`: limits for each node of the pool, over all workers of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Circuit {
    /// Connections in use: requests under way, open WebSockets and event streams. A node's `maxconn` goes before it.
    pub connections: Option<u32>,
    /// Requests under way, without WebSockets and event streams.
    pub requests: Option<u32>,
    /// Requests that wait for room; the next one is refused.
    pub pending: u32,
    /// How long one waits, then it is refused.
    pub pending_timeout: Duration,
    /// Second and further tries under way at once.
    pub retries: Option<u32>,
    /// Where a request goes whose node has no room.
    pub overflow: Overflow,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            connections: None,
            requests: None,
            pending: 1024,
            pending_timeout: Duration::from_secs(1),
            retries: None,
            overflow: Overflow::Wait,
        }
    }
}

/// Where a request goes whose node has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// It waits for its own node, which may have its session's state.
    #[default]
    Wait,
    /// To the next node that has room; it waits where none has.
    Next,
}

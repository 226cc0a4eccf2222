//! What `foreshift agent` sends.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /v1/pools/{pool}/nodes/{id}/agent`: what an agent measured since it was last heard.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentReport {
    /// Another one each time an agent starts, 1 to 64 letters, digits and `-`: numbers begin anew with it.
    pub run: String,
    /// What was measured, at most 128; a number that came before is not taken again.
    pub samples: Vec<AgentSample>,
}

impl AgentReport {
    /// Samples in one report at most.
    pub const SAMPLES_MAX: usize = 128;
}

/// The machine's figures at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSample {
    /// Rises by at least 1 from sample to sample of a run.
    pub seq: u64,
    /// How old it was when it was sent, in milliseconds, by a clock that does not jump. The agent's time of day is never asked.
    pub age_ms: u64,
    /// Share of the CPU in use since the sample before, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Share of the memory in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// Bytes per second over all network devices but loopback, both directions together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_bytes_per_s: Option<f64>,
    /// Load average over a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_1m: Option<f64>,
    /// Share of the last 10 s in which some task waited for the CPU, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_stalled: Option<f64>,
    /// The same for memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_stalled: Option<f64>,
    /// The same for input and output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_stalled: Option<f64>,
}

/// What became of an agent's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentReceipt {
    /// Samples that were new.
    pub taken: u64,
    /// Samples that had come before.
    pub repeated: u64,
    /// The highest number known of this run; the agent may forget all up to it.
    pub newest_seq: u64,
}

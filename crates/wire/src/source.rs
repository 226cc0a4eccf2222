//! Who tells a node's own load, and how well that goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::OwnLoad;

/// A way in which a node reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// `POST /v1/pools/{pool}/nodes/{id}/report`
    Api,
    /// `foreshift agent`
    Agent,
    /// ORCA reports in answers.
    OrcaInBand,
    /// ORCA reports over gRPC.
    OrcaOutOfBand,
    /// HAProxy's agent-check; sets weight and state, no load.
    AgentCheck,
    /// A page of metrics.
    Prometheus,
}

impl SourceKind {
    /// The name in the API and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Agent => "agent",
            Self::OrcaInBand => "orca_in_band",
            Self::OrcaOutOfBand => "orca_out_of_band",
            Self::AgentCheck => "agent_check",
            Self::Prometheus => "prometheus",
        }
    }
}

/// One source of a node's own load as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// Which.
    pub kind: SourceKind,
    /// What it said last, used or not.
    pub load: OwnLoad,
    /// Other figures that it gave, which make no load: shown only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// How long ago that was, in milliseconds; `None` where it has said nothing yet.
    pub age_ms: Option<u64>,
    /// After this long what it said is not used any more, in milliseconds.
    pub stale_after_ms: u64,
    /// True where nothing that it said is used: too old, or nothing yet.
    pub stale: bool,
    /// Reports taken since this run began.
    pub reports: u64,
    /// Reports refused, or that did not come, since this run began.
    pub failures: u64,
    /// Why the last one was refused, or did not come, where that was later than what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

//! The protobuf messages, annotated by hand: no schema compiler is needed to build.
//!
//! A number that a message does not have reads as 0, so 0 is taken for "not said": an idle node says nothing, and the
//! sources that know better count.

use std::collections::HashMap;

use super::{Builder, LoadReport, OrcaError};

/// `xds.data.orca.v3.OrcaLoadReport`
#[derive(Clone, PartialEq, prost::Message)]
pub struct OrcaLoadReport {
    /// Share of the CPU; may exceed 1.
    #[prost(double, tag = "1")]
    pub cpu_utilization: f64,
    /// Share of the memory.
    #[prost(double, tag = "2")]
    pub mem_utilization: f64,
    /// Requests per second, as older nodes send them.
    #[prost(uint64, tag = "3")]
    pub rps: u64,
    /// Costs of the request that this answers.
    #[prost(map = "string, double", tag = "4")]
    pub request_cost: HashMap<String, f64>,
    /// Shares of named resources.
    #[prost(map = "string, double", tag = "5")]
    pub utilization: HashMap<String, f64>,
    /// Requests per second.
    #[prost(double, tag = "6")]
    pub rps_fractional: f64,
    /// Errors per second.
    #[prost(double, tag = "7")]
    pub eps: f64,
    /// Anything else.
    #[prost(map = "string, double", tag = "8")]
    pub named_metrics: HashMap<String, f64>,
    /// The application's own figure; may exceed 1.
    #[prost(double, tag = "9")]
    pub application_utilization: f64,
}

/// `xds.service.orca.v3.OrcaLoadReportRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct OrcaLoadReportRequest {
    /// How often a report is wished; the node may be slower.
    #[prost(message, optional, tag = "1")]
    pub report_interval: Option<ProtoDuration>,
    /// Which request costs are wished; all where empty.
    #[prost(string, repeated, tag = "2")]
    pub request_cost_names: Vec<String>,
}

/// `google.protobuf.Duration`
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct ProtoDuration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And billionths of one.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<std::time::Duration> for ProtoDuration {
    fn from(duration: std::time::Duration) -> Self {
        Self {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanos: duration.subsec_nanos() as i32,
        }
    }
}

impl TryFrom<OrcaLoadReport> for LoadReport {
    type Error = OrcaError;

    fn try_from(message: OrcaLoadReport) -> Result<Self, OrcaError> {
        let mut builder = Builder::default();
        for (name, value) in [
            ("cpu_utilization", message.cpu_utilization),
            ("mem_utilization", message.mem_utilization),
            ("application_utilization", message.application_utilization),
            ("rps_fractional", message.rps_fractional),
            ("rps", message.rps as f64),
            ("eps", message.eps),
        ] {
            if value != 0.0 {
                builder.set(name, value)?;
            }
        }
        for (map, values) in [
            ("utilization", message.utilization),
            ("named_metrics", message.named_metrics),
            ("request_cost", message.request_cost),
        ] {
            for (key, value) in values {
                builder.set(&format!("{map}.{key}"), value)?;
            }
        }
        Ok(builder.build())
    }
}

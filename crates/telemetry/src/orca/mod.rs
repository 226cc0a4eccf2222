//! ORCA load reports: what a node says of itself in a response's header or trailer, or over gRPC.
//!
//! The header `endpoint-load-metrics` carries `TEXT`, `JSON` or `BIN` (a protobuf message in base64), the header
//! `endpoint-load-metrics-bin` the message alone. All of them end in one [`LoadReport`], and all are held against the same
//! ranges: the CPU and the application may be above 1, memory and the named utilisations may not.
//!
//! Strict: a name twice, an unknown name, NaN or infinity makes the whole report an error. A report is a hint; one that is half
//! understood is a wrong hint. Who asks for reports, and when, is not here.

mod json;
mod message;
mod text;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use foreshift_wire::OwnLoad;

pub use message::{OrcaLoadReport, OrcaLoadReportRequest, ProtoDuration};

use crate::figure::{AMOUNT_MAX, FigureError, SHARE_MAX, figure};

/// Header of `TEXT`, `JSON` and `BIN` reports.
pub const HEADER: &str = "endpoint-load-metrics";
/// Header of gRPC: a message in base64 without a word before it. Where both are there it counts.
pub const HEADER_BIN: &str = "endpoint-load-metrics-bin";
/// Longest header value that is read, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Metrics in one report at most.
pub const METRICS_MAX: usize = 256;

/// gRPC leaves the padding away, others write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a report was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrcaError {
    /// Longer than anyone needs.
    #[error("the report has {bytes} bytes, at most {VALUE_BYTES_MAX} are read")]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// More metrics than anyone needs.
    #[error("the report has more than {METRICS_MAX} metrics")]
    TooMany,
    /// The value is no text.
    #[error("the report is no UTF-8 text")]
    NotText,
    /// Neither `TEXT `, `JSON ` nor `BIN `.
    #[error("{word:?} is no format of a load report; it begins with TEXT, JSON or BIN and a blank")]
    Format {
        /// The first word, shortened.
        word: String,
    },
    /// A metric without a name or a value.
    #[error("{entry:?} is no metric; write name=value")]
    Entry {
        /// The entry, shortened.
        entry: String,
    },
    /// A value that is no number.
    #[error("{name}: {value:?} is no number")]
    Number {
        /// Which metric.
        name: String,
        /// What was sent, shortened.
        value: String,
    },
    /// A number out of its range.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// A name that occurs twice.
    #[error("{name} is there twice")]
    Duplicate {
        /// The name, shortened.
        name: String,
    },
    /// A name that no report has.
    #[error("{name:?} is no metric of a load report")]
    Unknown {
        /// The name, shortened.
        name: String,
    },
    /// Not the JSON of a report.
    #[error("the JSON is no load report: {detail}")]
    Json {
        /// What the parser said.
        detail: String,
    },
    /// Not base64.
    #[error("the binary report is no base64: {detail}")]
    Base64 {
        /// What the decoder said.
        detail: String,
    },
    /// Not the message.
    #[error("the binary report is no OrcaLoadReport: {detail}")]
    Message {
        /// What the decoder said.
        detail: String,
    },
    /// Nothing was sent.
    #[error("the report is empty")]
    Empty,
}

/// What a node said of itself. All values are finite and within the ranges of the standard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadReport {
    /// Share of the CPU, 0 and above; above 1 where the node says so.
    pub cpu: Option<f64>,
    /// Share of the memory, 0 to 1.
    pub memory: Option<f64>,
    /// The application's own figure, 0 and above.
    pub application: Option<f64>,
    /// Requests per second.
    pub requests_per_s: Option<f64>,
    /// Errors per second.
    pub errors_per_s: Option<f64>,
    /// `utilization.*`: shares, 0 to 1. Sorted by name.
    pub utilisation: Vec<(String, f64)>,
    /// `named_metrics.*`: any number, negative ones too. Sorted by name.
    pub named: Vec<(String, f64)>,
    /// `request_cost.*`: any number. Sorted by name.
    pub request_cost: Vec<(String, f64)>,
}

impl LoadReport {
    /// A metric by its full name, such as `cpu_utilization` or `named_metrics.queue`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let of = |list: &[(String, f64)], key: &str| list.iter().find(|(k, _)| k == key).map(|(_, v)| *v);
        match name.split_once('.') {
            Some(("utilization", key)) => of(&self.utilisation, key),
            Some(("named_metrics", key)) => of(&self.named, key),
            Some(("request_cost", key)) => of(&self.request_cost, key),
            _ => match name {
                "cpu_utilization" => self.cpu,
                "mem_utilization" => self.memory,
                "application_utilization" => self.application,
                "rps_fractional" => self.requests_per_s,
                "eps" => self.errors_per_s,
                _ => None,
            },
        }
    }

    /// The signals in it. Utilisation is the application's own figure where that is above 0; else the highest of `metrics`
    /// that the report has, else the highest of its `utilization.*`.
    pub fn own_load(&self, metrics: &[String]) -> OwnLoad {
        let share = |value: &f64| (0.0..=SHARE_MAX).contains(value);
        let chosen = metrics.iter().filter_map(|name| self.metric(name)).filter(share);
        let named = self.utilisation.iter().map(|(_, value)| *value);
        let utilisation = self
            .application
            .filter(|value| *value > 0.0)
            .or_else(|| chosen.reduce(f64::max))
            .or_else(|| named.reduce(f64::max))
            .or(self.application);
        OwnLoad {
            cpu: self.cpu,
            memory: self.memory,
            utilisation,
        }
    }
}

/// Reads the value of [`HEADER`].
pub fn parse_header(value: &[u8]) -> Result<LoadReport, OrcaError> {
    let value = std::str::from_utf8(bounded(value)?).map_err(|_| OrcaError::NotText)?;
    match value.split_once(' ') {
        Some(("TEXT", rest)) => text::parse(rest),
        Some(("JSON", rest)) => json::parse(rest),
        Some(("BIN", rest)) => parse_bin_header(rest.as_bytes()),
        found => Err(OrcaError::Format {
            word: shortened(found.map_or(value, |(word, _)| word)),
        }),
    }
}

/// Reads the value of [`HEADER_BIN`].
pub fn parse_bin_header(value: &[u8]) -> Result<LoadReport, OrcaError> {
    let value = bounded(value)?.trim_ascii();
    if value.is_empty() {
        return Err(OrcaError::Empty);
    }
    let bytes = BASE64.decode(value).map_err(|e| OrcaError::Base64 {
        detail: e.to_string(),
    })?;
    parse_message(&bytes)
}

/// Reads a protobuf message `xds.data.orca.v3.OrcaLoadReport`.
pub fn parse_message(bytes: &[u8]) -> Result<LoadReport, OrcaError> {
    use prost::Message as _;
    let message = OrcaLoadReport::decode(bounded(bytes)?).map_err(|e| OrcaError::Message {
        detail: e.to_string(),
    })?;
    LoadReport::try_from(message)
}

fn bounded(value: &[u8]) -> Result<&[u8], OrcaError> {
    match value.len() {
        bytes if bytes > VALUE_BYTES_MAX => Err(OrcaError::TooLong { bytes }),
        _ => Ok(value),
    }
}

/// As much of a stranger's text as an error quotes.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Fills a report metric by metric; whatever the format, the same rules hold.
#[derive(Default)]
struct Builder {
    report: LoadReport,
    /// `rps` of older nodes; newer ones send `rps_fractional` beside it.
    whole_rps: Option<f64>,
    metrics: usize,
}

impl Builder {
    /// Takes one metric by its full name.
    fn set(&mut self, name: &str, value: f64) -> Result<(), OrcaError> {
        self.metrics += 1;
        if self.metrics > METRICS_MAX {
            return Err(OrcaError::TooMany);
        }
        let report = &mut self.report;
        let (slot, max) = match name {
            "cpu_utilization" | "cpu" => (&mut report.cpu, SHARE_MAX),
            "mem_utilization" | "mem" => (&mut report.memory, 1.0),
            "application_utilization" => (&mut report.application, SHARE_MAX),
            "rps_fractional" => (&mut report.requests_per_s, AMOUNT_MAX),
            "rps" => (&mut self.whole_rps, AMOUNT_MAX),
            "eps" => (&mut report.errors_per_s, AMOUNT_MAX),
            _ => return self.set_named(name, value),
        };
        let value = figure(name, value, max)?;
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(duplicate(name)),
        }
    }

    fn build(self) -> LoadReport {
        LoadReport {
            requests_per_s: self.report.requests_per_s.or(self.whole_rps),
            ..self.report
        }
    }

    fn set_named(&mut self, name: &str, value: f64) -> Result<(), OrcaError> {
        let unknown = || OrcaError::Unknown {
            name: shortened(name),
        };
        let (map, key) = name.split_once('.').ok_or_else(unknown)?;
        if key.is_empty() {
            return Err(unknown());
        }
        let (list, low, high) = match map {
            "utilization" => (&mut self.report.utilisation, 0.0, 1.0),
            "named_metrics" => (&mut self.report.named, f64::MIN, f64::MAX),
            "request_cost" => (&mut self.report.request_cost, f64::MIN, f64::MAX),
            _ => return Err(unknown()),
        };
        if !value.is_finite() || low == 0.0 {
            figure(name, value, high)?;
        }
        match list.binary_search_by(|(known, _)| known.as_str().cmp(key)) {
            Ok(_) => Err(duplicate(name)),
            Err(at) => {
                list.insert(at, (key.to_owned(), value));
                Ok(())
            }
        }
    }
}

fn duplicate(name: &str) -> OrcaError {
    OrcaError::Duplicate {
        name: shortened(name),
    }
}

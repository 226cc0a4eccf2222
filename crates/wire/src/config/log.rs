//! What is written down of each request: the access log, and spans of distributed traces.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// `access_log`: `false`, `"text"` (or `true`) or `"json"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// None.
    #[default]
    Off,
    /// A line for people.
    Text,
    /// A line of JSON.
    Json,
}

impl Serialize for AccessLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::Text => serializer.serialize_str("text"),
            Self::Json => serializer.serialize_str("json"),
        }
    }
}

impl<'de> Deserialize<'de> for AccessLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// A switch or a format. By hand, because an untagged enum cannot say what would be right.
struct Written;

impl Visitor<'_> for Written {
    type Value = AccessLog;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("false, \"text\" or \"json\"")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<AccessLog, E> {
        Ok(if on { AccessLog::Text } else { AccessLog::Off })
    }

    fn visit_str<E: de::Error>(self, format: &str) -> Result<AccessLog, E> {
        match format {
            "text" => Ok(AccessLog::Text),
            "json" => Ok(AccessLog::Json),
            _ => Err(E::invalid_value(de::Unexpected::Str(format), &self)),
        }
    }
}

/// `[ingress.traces]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// The share of new traces that is sampled, 0 to 1; a trace that a client began keeps the client's choice.
    pub sample: f64,
    /// Where sampled spans are sent by OTLP over HTTP; nowhere where absent.
    pub endpoint: Option<String>,
    /// What the spans say that this is.
    pub service: String,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            sample: 0.01,
            endpoint: None,
            service: "foreshift".into(),
        }
    }
}

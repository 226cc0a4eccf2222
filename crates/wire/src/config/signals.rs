//! How nodes report their own load: `orca`, `agent_check` and `prometheus` of a pool, and `[agent]`.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Duration, MetricMapping};

/// `pool.orca`: load reports as Envoy and gRPC know them. `true` is the table with its defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orca {
    /// Reads the reports in answers. They are taken out before the client sees them, even where they are not read.
    pub in_band: bool,
    /// Asks each node for a report this often over gRPC; not at all where absent.
    pub out_of_band: Option<Duration>,
    /// Where the node answers that, if not at its own port.
    pub port: Option<u16>,
    /// Metrics of the report, such as `named_metrics.queue`: the highest is the utilisation where the report has no
    /// `application_utilization`.
    pub metrics: Vec<String>,
}

impl Default for Orca {
    fn default() -> Self {
        Self {
            in_band: true,
            out_of_band: None,
            port: None,
            metrics: Vec::new(),
        }
    }
}

/// Reads `true`, `false` or the table.
pub(super) fn orca<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Orca>, D::Error> {
    deserializer.deserialize_any(SwitchOrTable)
}

/// By hand, so that what is wrong in the table is said of its key.
struct SwitchOrTable;

impl<'de> Visitor<'de> for SwitchOrTable {
    type Value = Option<Orca>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a table")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Option<Orca>, E> {
        Ok(on.then(Orca::default))
    }

    fn visit_none<E: de::Error>(self) -> Result<Option<Orca>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<Orca>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Orca>, D::Error> {
        orca(deserializer)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Orca>, A::Error> {
        Orca::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// `pool.agent_check`: HAProxy's agent-check, asked as HAProxy asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCheck {
    /// Where a node's agent listens, at the node's own address.
    pub port: u16,
    /// Time between checks, and for a whole check.
    #[serde(default = "agent_interval")]
    pub interval: Duration,
    /// Sent before the answer is read; nothing where absent.
    #[serde(default)]
    pub send: Option<String>,
}

fn agent_interval() -> Duration {
    Duration::from_secs(2)
}

/// `pool.prometheus`: a page of metrics that each node serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusScrape {
    /// Where the page is.
    #[serde(default = "metrics_path")]
    pub path: String,
    /// At which port, if not the node's own.
    #[serde(default)]
    pub port: Option<u16>,
    /// Time between scrapes, and for a whole scrape.
    #[serde(default = "scrape_interval")]
    pub interval: Duration,
    /// Which metrics become which signals; at least one.
    pub map: SignalMap,
}

fn metrics_path() -> String {
    "/metrics".into()
}

fn scrape_interval() -> Duration {
    Duration::from_secs(10)
}

/// Which metrics become which signals.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalMap {
    /// Share of the CPU in use.
    pub cpu: Option<MetricMapping>,
    /// Share of the memory in use.
    pub memory: Option<MetricMapping>,
    /// The application's own figure for how full it is.
    pub utilisation: Option<MetricMapping>,
}

impl SignalMap {
    /// The mappings that there are, with the names of their signals.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &MetricMapping)> {
        [
            ("cpu", &self.cpu),
            ("memory", &self.memory),
            ("utilisation", &self.utilisation),
        ]
        .into_iter()
        .filter_map(|(signal, mapping)| Some((signal, mapping.as_ref()?)))
    }
}

/// `[agent]`: takes the reports of `foreshift agent`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentReports {
    /// Holds the token that agents send; made on first start, readable by its owner only.
    pub token_file: PathBuf,
    /// Where agents of other machines report, and nothing else is served; at the API only where absent.
    #[serde(default)]
    pub address: Option<SocketAddr>,
}

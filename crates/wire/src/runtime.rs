//! What operators set at run time, beside the configuration.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::{IntoParams, ToSchema};

use crate::{NodeId, PoolName, SessionId};

/// What an operator set for a node at run time. Each wins over what was configured, over reloads and restarts, until it is
/// reset.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// In place of the configured weight; 0: it is given no keys, and keeps those that were placed on it one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// In place of the configured `maxconn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxconn: Option<u32>,
    /// In place of what its health checks say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthOrder>,
}

impl Runtime {
    /// Nothing was set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an operator says of a node's health. It is not checked meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthOrder {
    /// It counts as healthy.
    Up,
    /// It counts as not healthy.
    Down,
    /// It stays what it was found to be.
    Frozen,
}

/// Body of `PATCH /v1/pools/{pool}/nodes/{id}`: what is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeChange {
    /// A number, 0 or above, or percent of the configured weight as in `"50%"`; `"100%"` is as configured.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<WeightOrder>,
    /// Connections in use at most, 1 to 10,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxconn: Option<u32>,
    /// `up`, `down`, `frozen`, or `auto`: as the checks say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthChange>,
}

/// A weight as an operator gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WeightOrder {
    /// In place of the configured one.
    Absolute(f64),
    /// Of the configured one.
    Percent(f64),
}

impl std::str::FromStr for WeightOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no weight: a number as in 2.5, or percent as in 50%");
        let (number, order): (&str, fn(f64) -> Self) = match text.strip_suffix('%') {
            Some(percent) => (percent, Self::Percent),
            None => (text, Self::Absolute),
        };
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        (number.is_finite() && (0.0..=1e6).contains(&number))
            .then(|| order(number))
            .ok_or_else(wrong)
    }
}

impl Serialize for WeightOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absolute(weight) => serializer.serialize_f64(*weight),
            Self::Percent(percent) => serializer.serialize_str(&format!("{percent}%")),
        }
    }
}

impl<'de> Deserialize<'de> for WeightOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WeightText)
    }
}

/// By hand, because an untagged enum cannot say what is wrong.
struct WeightText;

impl de::Visitor<'_> for WeightText {
    type Value = WeightOrder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of 0 or above, or percent as in \"50%\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<WeightOrder, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, weight: f64) -> Result<WeightOrder, E> {
        self.visit_str(&weight.to_string())
    }

    fn visit_u64<E: de::Error>(self, weight: u64) -> Result<WeightOrder, E> {
        self.visit_str(&weight.to_string())
    }

    fn visit_i64<E: de::Error>(self, weight: i64) -> Result<WeightOrder, E> {
        self.visit_str(&weight.to_string())
    }
}

/// What an operator wishes for a node's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthChange {
    /// It counts as healthy, whatever the checks would say.
    Up,
    /// It counts as not healthy.
    Down,
    /// It is not checked, and stays what it was found to be.
    Frozen,
    /// As the checks say.
    Auto,
}

impl HealthChange {
    /// What is kept of it; nothing where the checks are to decide.
    pub fn order(self) -> Option<HealthOrder> {
        match self {
            Self::Up => Some(HealthOrder::Up),
            Self::Down => Some(HealthOrder::Down),
            Self::Frozen => Some(HealthOrder::Frozen),
            Self::Auto => None,
        }
    }
}

/// Which keys that were placed one by one to list, or to give back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EntryFilter {
    /// Only on this node.
    #[param(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// Only of this session.
    #[param(value_type = Option<String>)]
    pub session: Option<SessionId>,
    /// Only pinned ones, or only others.
    pub pinned: Option<bool>,
    /// At most so many, up to 10,000; 1,000 where absent. Of no effect on giving back.
    pub limit: Option<usize>,
}

/// How many it concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// So many.
    pub count: u64,
}

/// The answer of `GET /v1/info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Info {
    /// Of the program.
    pub version: String,
    /// The process's number.
    pub pid: u32,
    /// When control began, in Unix milliseconds.
    pub started_ms: u64,
    /// Seconds since then.
    pub uptime_s: u64,
    /// It ends: nobody new is taken in.
    pub draining: bool,
    /// One element a pool.
    pub pools: Vec<PoolInfo>,
}

/// A pool in few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolInfo {
    /// The pool.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// Its nodes.
    pub nodes: usize,
    /// Those that are given new keys.
    pub ready: usize,
    /// Nodes that something was set for at run time, or that are not in the configuration.
    pub differ: usize,
    /// Client connections and streams open to its nodes.
    pub connections: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Keys placed one by one.
    pub overrides: u64,
    /// Version of its affinity map.
    pub map_version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_number_or_percent() {
        use WeightOrder::{Absolute, Percent};
        for (text, order) in [
            ("2.5", Some(Absolute(2.5))),
            ("0", Some(Absolute(0.0))),
            ("50%", Some(Percent(50.0))),
            ("0%", Some(Percent(0.0))),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("%", None),
            ("half", None),
        ] {
            assert_eq!(text.parse().ok(), order, "{text}");
        }
    }
}

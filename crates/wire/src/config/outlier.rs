//! `[pool.outlier]` and `slow_start`: nodes that fail more than others, and nodes that are new.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::Duration;

/// `[pool.outlier]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outlier {
    /// So many gateway errors in a row eject a node; 0 is never.
    pub consecutive_errors: u32,
    /// How often success rates are compared, and how long a node must behave before its next ejection is shorter.
    pub interval: Duration,
    /// The first ejection; each further one is so much longer.
    pub ejection_time: Duration,
    /// The longest ejection.
    pub ejection_time_max: Duration,
    /// Share of the ready nodes that may be ejected at once, 0 to 1; one in any case where there are several.
    pub ejected_max: f64,
    /// A success rate so many deviations under the mean ejects a node; 0 is never.
    pub success_rate_factor: f64,
    /// Success rates are compared only where so many nodes have enough requests.
    pub success_rate_nodes: u32,
    /// Requests in an interval that are enough.
    pub success_rate_requests: u32,
    /// Where the requests of an ejected node's sessions go.
    pub sessions: EjectedSessions,
}

impl Default for Outlier {
    fn default() -> Self {
        Self {
            consecutive_errors: 5,
            interval: Duration::from_secs(10),
            ejection_time: Duration::from_secs(30),
            ejection_time_max: Duration::from_secs(300),
            ejected_max: 0.1,
            success_rate_factor: 1.9,
            success_rate_nodes: 5,
            success_rate_requests: 100,
            sessions: EjectedSessions::Auto,
        }
    }
}

/// Where the requests of an ejected node's sessions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EjectedSessions {
    /// `keep` where the pool has `handoff_path` or sessions' kept state follows them, else `next`.
    #[default]
    Auto,
    /// To their own node, as their state is there.
    Keep,
    /// To the next node, until the ejection ends.
    Next,
}

/// How a node that became ready gets its share of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SlowStart {
    /// Until it has all of it.
    pub window: Duration,
    /// 1 is steady; above, it gets more early on.
    pub aggression: f64,
    /// What it gets at once, as a share of its weight.
    pub min_share: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowStartTable {
    window: Duration,
    #[serde(default = "one")]
    aggression: f64,
    #[serde(default = "tenth")]
    min_share: f64,
}

fn one() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

impl SlowStart {
    /// The share of its weight that a node has so long after it became ready: `min_share` to 1, never falling.
    pub fn share(&self, elapsed: std::time::Duration) -> f64 {
        let passed = elapsed.as_secs_f64() / self.window.as_secs_f64().max(1e-3);
        passed.powf(1.0 / self.aggression).clamp(self.min_share, 1.0)
    }
}

impl<'de> Deserialize<'de> for SlowStart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SlowStartText)
    }
}

/// A window alone or a table. By hand, because an untagged enum cannot say which key is wrong.
struct SlowStartText;

impl<'de> Visitor<'de> for SlowStartText {
    type Value = SlowStart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration as \"30s\", or a table with window, aggression and min_share")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SlowStart, E> {
        Ok(SlowStart {
            window: text.parse().map_err(E::custom)?,
            aggression: one(),
            min_share: tenth(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SlowStart, A::Error> {
        let SlowStartTable {
            window,
            aggression,
            min_share,
        } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(SlowStart {
            window,
            aggression,
            min_share,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_new_node_never_falls_and_ends_at_all() {
        for (aggression, min_share) in [(0.5, 0.0), (1.0, 0.1), (2.0, 0.01), (10.0, 1.0)] {
            let window = Duration::from_secs(30);
            let slow = SlowStart {
                window,
                aggression,
                min_share,
            };
            let at = |ms| slow.share(std::time::Duration::from_millis(ms));
            assert!((at(0) - min_share).abs() < 1e-9);
            let rises = (0..40_000).step_by(7).all(|ms| at(ms) <= at(ms + 7));
            assert!(rises, "{slow:?}");
            assert!((at(30_000) - 1.0).abs() < 1e-9 && (at(1_000_000) - 1.0).abs() < 1e-9);
        }
    }
}

//! `[pool.retry]`: what is sent again where a node fails, and how much of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::Duration;

/// `[pool.retry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Tries of one request in all, the first included; 1 to 10.
    pub attempts: u8,
    /// What makes a request be tried again.
    pub on: Vec<RetryOn>,
    /// Time for one try to begin its answer, where another try may follow; `request_timeout` bounds all together.
    pub per_try_timeout: Option<Duration>,
    /// Requests that are sent once more at most, as a share of all; 0 to 1.
    pub budget: f64,
    /// So many a second are allowed besides; 0 to 1,000.
    pub budget_min_per_second: f64,
    /// Longest wait before another try. A node's `Retry-After` beyond it is passed on to the client.
    pub backoff_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            on: vec![RetryOn::Connect],
            per_try_timeout: None,
            budget: 0.2,
            budget_min_per_second: 10.0,
            backoff_max: Duration::from_millis(250),
        }
    }
}

/// What makes a request be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum RetryOn {
    /// No connection to the node: nothing was sent.
    Connect,
    /// An HTTP/2 node said that it has not looked at the request.
    RefusedStream,
    /// The connection broke before any of the answer came.
    Reset,
    /// `per_try_timeout` passed.
    Timeout,
    /// The answer has this status: 429, or 500 to 599.
    Status(u16),
}

const NAMES: [(&str, RetryOn); 4] = [
    ("connect", RetryOn::Connect),
    ("refused_stream", RetryOn::RefusedStream),
    ("reset", RetryOn::Reset),
    ("timeout", RetryOn::Timeout),
];

impl FromStr for RetryOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, known)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*known);
        }
        match text.parse() {
            Ok(status @ (429 | 500..=599)) if text.len() == 3 => Ok(Self::Status(status)),
            _ => Err(format!(
                "{text:?} is nothing to try again on; use \"connect\", \"refused_stream\", \"reset\", \"timeout\", or a \
                 status as \"429\" or \"500\" to \"599\""
            )),
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, on)| on == self) {
            Some((name, _)) => f.write_str(name),
            None => match self {
                Self::Status(status) => write!(f, "{status}"),
                Self::Connect | Self::RefusedStream | Self::Reset | Self::Timeout => Ok(()),
            },
        }
    }
}

impl From<RetryOn> for String {
    fn from(on: RetryOn) -> Self {
        on.to_string()
    }
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_try_again_on_reads_back_as_it_was_written() {
        for text in [
            "connect",
            "refused_stream",
            "reset",
            "timeout",
            "429",
            "500",
            "599",
        ] {
            assert_eq!(text.parse::<RetryOn>().unwrap().to_string(), text);
        }
        for text in ["", "Connect", "5xx", "404", "600", "0503", "-1", "99999999"] {
            assert!(text.parse::<RetryOn>().is_err(), "{text:?}");
        }
    }
}

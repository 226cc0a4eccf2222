//! Sessions' state: names, versions, and what travels of it over the API.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

mod body;

pub use self::body::{
    EntryView, EntryWrite, ExpireRequest, FencedProblem, PartitionData, PartitionStats, PartitionView,
    PartitionWrite, ReplayCounts, SessionFilter, SessionPage, SessionStats, SessionView, SinceFilter,
    SplitDecision, SplitStats, WrittenView,
};

/// Longest name of a partition, in bytes.
const NAME_MAX: usize = 128;

/// Why a text names no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no partition: use names of letters, digits, '.', '_' or '-', joined by '/', 128 bytes at most"
)]
pub struct InvalidPartition(String);

/// A partition's name: `cart`, `game/inventory`. Cheap to clone.
///
/// Segments of letters, digits, `.`, `_` and `-`, joined by `/`; 1 to 128 bytes; no segment is `.` or `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartitionName(Arc<str>);

impl PartitionName {
    /// Checks and wraps a name.
    pub fn new(name: &str) -> Result<Self, InvalidPartition> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let formed = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed);
        if name.len() > NAME_MAX || !name.split('/').all(formed) {
            return Err(InvalidPartition(name.chars().take(64).collect()));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which partitions: one by its name, all below a name (`game/*`), or all (`*`).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartitionPattern(Arc<str>);

impl PartitionPattern {
    /// Checks and wraps a pattern.
    pub fn new(pattern: &str) -> Result<Self, InvalidPartition> {
        let stem = pattern.strip_suffix("/*").unwrap_or(pattern);
        if pattern != "*" {
            PartitionName::new(stem)?;
        }
        Ok(Self(pattern.into()))
    }

    /// Every partition.
    pub fn all() -> Self {
        Self("*".into())
    }

    /// Whether it is every partition.
    pub fn is_all(&self) -> bool {
        &*self.0 == "*"
    }

    /// Whether a partition is among them.
    pub fn matches(&self, name: &PartitionName) -> bool {
        match self.0.strip_suffix("/*") {
            Some(stem) => {
                let below = name.as_str().strip_prefix(stem);
                below.is_some_and(|below| below.starts_with('/'))
            }
            None => self.is_all() || *self.0 == *name.0,
        }
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = InvalidPartition;
            fn try_from(text: String) -> Result<Self, InvalidPartition> {
                Self::new(&text)
            }
        }

        impl FromStr for $type {
            type Err = InvalidPartition;
            fn from_str(text: &str) -> Result<Self, InvalidPartition> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text!(PartitionName);
text!(PartitionPattern);

macro_rules! stamp {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $type {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

stamp! {
    /// The version of a key, and of the partition that it is in: rises with each write of the partition.
    ///
    /// A time with a counter, so that a writer can draw the next one without asking for the last; always below 2^53, so that
    /// JSON numbers hold it. 0 is before every write.
    Version
}
stamp! {
    /// Which reign over a session: rises each time that another node begins to serve it. Drawn as versions are.
    Epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_of_plain_names() {
        let long = "a".repeat(129);
        for (text, valid) in [
            ("cart", true),
            ("game/inventory", true),
            ("a.b/_-9", true),
            ("", false),
            ("/", false),
            ("a/", false),
            ("/a", false),
            ("a//b", false),
            ("..", false),
            ("a/../b", false),
            ("a b", false),
            ("é", false),
            ("game/*", false),
            (&*long, false),
            (&long[1..], true),
        ] {
            assert_eq!(PartitionName::new(text).is_ok(), valid, "{text:?}");
        }
    }

    #[test]
    fn a_pattern_is_a_name_or_all_below_it() {
        let name = |text| PartitionName::new(text).unwrap();
        for (pattern, partition, matches) in [
            ("cart", "cart", true),
            ("cart", "carts", false),
            ("cart", "cart/old", false),
            ("game/*", "game/inventory", true),
            ("game/*", "game/map/1", true),
            ("game/*", "game", false),
            ("game/*", "games/x", false),
            ("*", "anything/at/all", true),
        ] {
            let pattern = PartitionPattern::new(pattern).unwrap();
            assert_eq!(
                pattern.matches(&name(partition)),
                matches,
                "{pattern} {partition}"
            );
        }
        for wrong in ["", "/*", "*/a", "a*", "a/*/b", "**"] {
            assert!(PartitionPattern::new(wrong).is_err(), "{wrong:?}");
        }
    }
}

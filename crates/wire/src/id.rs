//! Names and numbers that identify things, checked once where they enter.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// A name has other characters than letters, digits, `.`, `_` and `-`, or is not 1 to 64 long.
    #[error("{0:?} is not a name: use 1 to 64 letters, digits, '.', '_' or '-'")]
    Name(String),
    /// A session id is not 32 hexadecimal digits.
    #[error("{0:?} is not a session id: 32 hexadecimal digits")]
    Session(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and wraps `name`: 1 to 64 letters, digits, `.`, `_` or `-`.
            pub fn new(name: &str) -> Result<Self, InvalidId> {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
                if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
                    return Err(InvalidId::Name(name.into()));
                }
                Ok(Self(name.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;
            fn try_from(name: String) -> Result<Self, InvalidId> {
                Self::new(&name)
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;
            fn from_str(name: &str) -> Result<Self, InvalidId> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.0.as_ref().into()
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

name! {
    /// A node's id, unique within its pool. Cheap to clone.
    NodeId
}
name! {
    /// A pool's name, unique within a configuration. Cheap to clone.
    PoolName
}

/// A session: the keyed 128-bit hash of a pool and an affinity key.
///
/// Stable for a key as long as the cluster secret is, and not guessable without it. Its highest 16 bits are
/// the key's bucket. Written as 32 lower-case hexadecimal digits (the header `Foreshift-Session`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(pub u128);

impl SessionId {
    /// The bucket of the affinity map that the session falls into.
    pub fn bucket(self) -> u16 {
        (self.0 >> 112) as u16
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = || InvalidId::Session(text.chars().take(64).collect());
        if text.len() != 32 || text.starts_with('+') {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.to_string()
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

number! {
    /// One client connection (for HTTP/2, one stream), unique within a run of the ingress.
    ConnectionId
}
number! {
    /// One move, unique and rising within a pool's metadata.
    MoveId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_plain_characters() {
        for (text, valid) in [
            ("a", true),
            ("node-1.eu_west", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("é", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(NodeId::new(text).is_ok(), valid, "{text:?}");
        }
    }

    #[test]
    fn a_session_id_reads_back_and_refuses_other_texts() {
        let id = SessionId(0xabcd << 112 | 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.bucket(), 0xabcd);
        for text in [
            "",
            "7",
            "+0000000000000000000000000000007",
            &"g".repeat(32),
            &"0".repeat(33),
        ] {
            assert!(text.parse::<SessionId>().is_err(), "{text:?}");
        }
    }
}

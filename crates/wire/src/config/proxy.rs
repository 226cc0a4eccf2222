//! The PROXY protocol's versions.

use serde::{Deserialize, Serialize};

/// A version of the PROXY protocol. Which one is stated, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    /// The header of a connection that a proxy makes for itself, such as a health check: `UNKNOWN`, or `LOCAL`.
    pub fn own_header(self) -> &'static [u8] {
        match self {
            Self::V1 => b"PROXY UNKNOWN\r\n",
            Self::V2 => b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        }
    }
}

//! `tls` of a listener and of a pool: which files protect their connections.
//!
//! Only names of files are here. `foreshift_tls` reads them.

use std::{fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A certificate that a listener shows, and what it wants of its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerCertificate {
    /// PEM file: the certificate, then those between it and the root. The names that it is shown for are its own.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates are taken. Counts for the whole listener.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is let in, where `client_ca` is set.
    #[serde(default)]
    pub client_auth: ClientAuth,
}

/// Whether a client needs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// A client without one is refused in the handshake.
    #[default]
    Required,
    /// A client without one is served too; a wrong one is refused.
    Optional,
}

/// `tls` of a pool: how connections to its nodes are protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolTls {
    /// PEM file with the authorities that the nodes' certificates must lead to; those of the system where absent.
    pub ca: Option<PathBuf>,
    /// Name that is asked for (SNI) and that the certificate must have; the node's IP address where absent.
    pub server_name: Option<String>,
    /// Whether the nodes' certificates are verified at all.
    pub verify: bool,
    /// PEM file with a certificate that nodes may ask for, and those between it and the root.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
}

impl Default for PoolTls {
    fn default() -> Self {
        Self {
            ca: None,
            server_name: None,
            verify: true,
            certificate: None,
            key: None,
        }
    }
}

/// A table, or a list of at least one. By hand, because an untagged enum cannot say which key is wrong.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ListenerCertificate>, D::Error> {
    deserializer.deserialize_any(OneOrMore)
}

struct OneOrMore;

impl<'de> Visitor<'de> for OneOrMore {
    type Value = Vec<ListenerCertificate>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with certificate and key, or a list of such tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(vec![Deserialize::deserialize(MapAccessDeserializer::new(map))?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        match all.is_empty() {
            true => Err(de::Error::custom(
                "is empty; leave it out to listen in the clear, or name a certificate and its key",
            )),
            false => Ok(all),
        }
    }
}

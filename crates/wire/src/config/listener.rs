//! `[[listener]]`: where clients connect and how they are told apart.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    Duration, ProxyVersion,
    tls::{ListenerCertificate, one_or_more},
};
use crate::PoolName;

/// `[[listener]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique among the listeners.
    pub name: String,
    /// Where to listen. Port 0 takes a free one, which the log names.
    pub address: SocketAddr,
    /// What is spoken.
    #[serde(default)]
    pub protocol: Protocol,
    /// The pool that serves it.
    pub pool: PoolName,
    /// Where clients reach this listener, if not as their own handshake says: `https://host[:port]` or `http://…`.
    #[serde(default)]
    pub public_url: Option<String>,
    /// What tells clients apart: the first that is present in a request wins. Source address where empty.
    #[serde(default)]
    pub affinity: Vec<KeySelector>,
    /// Tell nodes of the client by `Forwarded` (RFC 7239) too.
    #[serde(default)]
    pub forwarded: bool,
    /// The header that carries a request's id to the node and back to the client.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Every connection begins with a PROXY protocol header of this version, which names the client.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyVersion>,
    /// Networks whose header is believed; connections from elsewhere are refused. Only together with `proxy_protocol`.
    #[serde(default)]
    pub trusted: Vec<IpNet>,
    /// The certificates of a listener that speaks TLS, the default one first; in the clear where empty.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tls: Vec<ListenerCertificate>,
    /// TCP only: where the frames of what is spoken begin and end, so that an open connection can change its node between two.
    #[serde(default)]
    pub framing: Option<Framing>,
    /// TCP only: after so long, give or take a tenth, a connection is closed once it is quiet, so that the client's next one goes
    /// to the node of then.
    #[serde(default)]
    pub max_connection_age: Option<Duration>,
}

impl Listener {
    /// Whether `source` may name the client in a PROXY protocol header.
    pub fn trusts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.trusted.iter().any(|network| network.contains(&source))
    }
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2 in the clear, WebSocket, gRPC, server-sent events.
    #[default]
    Http,
    /// Anything over TCP.
    Tcp,
}

/// Frames of a TCP protocol, of which each from the client is answered by one from the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Lines, which end with a line feed.
    Line,
    /// So many bytes with the length of what follows, the highest first: 1, 2, 4 or 8.
    LengthPrefix(u8),
    /// Redis and Valkey: RESP2 and RESP3.
    Resp,
}

/// One way to find a client's affinity key in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySelector {
    /// A cookie's value: `{ cookie = "sid" }` or `{ cookie = { name = "sid", issue = true } }`.
    Cookie(Cookie),
    /// A header's value.
    Header(String),
    /// A query parameter's value.
    Query(String),
    /// The n-th segment of the path, from 0: `/room/42` has `room` and `42`.
    PathSegment(u16),
    /// A string or number claim of the JWT in `Authorization: Bearer`. The signature is **not** verified:
    /// it serves for routing only, the node must verify it.
    BearerClaim(String),
    /// The client's address, shortened to so many leading bits: IPv4 up to 32, IPv6 up to 128 (`32` on an
    /// IPv6 client keeps its first 32 + 32 bits, a /64, so that one number serves both).
    SourceAddress(u8),
    /// Part of the client's certificate, which the handshake has verified.
    ClientCertificate(CertificateField),
}

/// A part of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateField {
    /// The common name of its subject.
    CommonName,
    /// Its whole subject, as in `CN=ann,O=Example`.
    Subject,
}

/// A cookie that carries the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cookie {
    /// The cookie's name.
    pub name: String,
    /// Issue it where a client has none: 128 random bits, `HttpOnly`, `Secure` under TLS.
    pub issue: bool,
    /// `SameSite` of an issued cookie.
    pub same_site: SameSite,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CookieTable {
    name: String,
    #[serde(default)]
    issue: bool,
    #[serde(default)]
    same_site: SameSite,
}

impl<'de> Deserialize<'de> for Cookie {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CookieText)
    }
}

/// A name alone or a table. By hand, because an untagged enum cannot say which key is wrong.
struct CookieText;

impl<'de> Visitor<'de> for CookieText {
    type Value = Cookie;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cookie's name, or a table with name, issue and same_site")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Cookie, E> {
        Ok(Cookie {
            name: name.into(),
            issue: false,
            same_site: SameSite::default(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cookie, A::Error> {
        let CookieTable {
            name,
            issue,
            same_site,
        } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Cookie {
            name,
            issue,
            same_site,
        })
    }
}

/// `SameSite` of an issued cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// `Strict`
    Strict,
    /// `Lax`
    #[default]
    Lax,
    /// `None`; browsers take it only with `Secure`.
    None,
}

//! Finds a client's affinity key in a request.
//!
//! Selectors are tried in their order; the first that is present wins; the source address is there always. A
//! bearer token's claim is read without verifying the token: it serves for routing, the node verifies.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use foreshift_tls::Identity;
use foreshift_wire::{CertificateField, Cookie, KeySelector};
use smallvec::SmallVec;

/// An affinity key's bytes; most are short.
pub(crate) type Key = SmallVec<[u8; 40]>;

/// Where a request's parts are read from; HTTP/1.1 and HTTP/2 keep them differently.
pub(crate) trait RequestParts {
    /// Path and query, as in the request line.
    fn target(&self) -> &str;
    /// The first value of a header; `name` is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// All values of a header, until `found` is true.
    fn any_header(&self, name: &str, found: &mut dyn FnMut(&[u8]) -> bool);
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// Who the client is, where its certificate told and was verified.
    pub(crate) identity: Option<&'a Identity>,
}

/// A key, and the cookie to issue with it where it was made just now.
#[derive(Debug)]
pub(crate) struct Selected<'a> {
    pub(crate) key: Key,
    pub(crate) issue: Option<&'a Cookie>,
}

/// Applies `selectors` in their order.
pub(crate) fn select<'a>(
    selectors: &'a [KeySelector],
    parts: &impl RequestParts,
    source: Source<'_>,
) -> Selected<'a> {
    for selector in selectors {
        if let Some(key) = present(selector, parts, source) {
            return Selected { key, issue: None };
        }
        if let KeySelector::Cookie(cookie) = selector
            && cookie.issue
        {
            return Selected {
                key: fresh(),
                issue: Some(cookie),
            };
        }
    }
    Selected {
        key: source_key(source.address, 128),
        issue: None,
    }
}

fn present(selector: &KeySelector, parts: &impl RequestParts, source: Source<'_>) -> Option<Key> {
    let key: Key = match selector {
        KeySelector::Header(name) => trim(parts.header(name)?).into(),
        KeySelector::Cookie(cookie) => {
            let mut found = None;
            parts.any_header("cookie", &mut |value| {
                found = cookie_value(value, cookie.name.as_bytes()).map(Key::from_slice);
                found.is_some()
            });
            found?
        }
        KeySelector::Query(name) => query_value(parts.target(), name)?.as_bytes().into(),
        KeySelector::PathSegment(n) => {
            let path = parts.target().split(['?', '#']).next()?;
            path.split('/')
                .filter(|s| !s.is_empty())
                .nth(usize::from(*n))?
                .as_bytes()
                .into()
        }
        KeySelector::BearerClaim(claim) => bearer_claim(parts.header("authorization")?, claim)?.into(),
        KeySelector::SourceAddress(bits) => source_key(source.address, *bits),
        KeySelector::ClientCertificate(field) => certificate_key(source.identity?, *field)?.as_bytes().into(),
    };
    (!key.is_empty()).then_some(key)
}

fn certificate_key(identity: &Identity, field: CertificateField) -> Option<&str> {
    match field {
        CertificateField::CommonName => identity.common_name.as_deref(),
        CertificateField::Subject => Some(&identity.subject),
    }
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// 128 random bits in hexadecimal.
pub(crate) fn fresh() -> Key {
    format!("{:032x}", rand::random::<u128>()).into_bytes().into()
}

fn cookie_value<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    header.split(|b| *b == b';').find_map(|pair| {
        let (key, value) = pair.trim_ascii().split_at_checked(name.len())?;
        if key != name {
            return None;
        }
        let value = value.strip_prefix(b"=")?;
        Some(
            value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""))
                .unwrap_or(value),
        )
    })
}

fn query_value<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let query = target.split_once('?')?.1.split('#').next()?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// A claim of the token in an `Authorization` field. Its signature is not looked at.
pub(crate) fn bearer_claim(header: &[u8], claim: &str) -> Option<Vec<u8>> {
    let (scheme, token) = header.trim_ascii().split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    let payload = token.split(|b| *b == b'.').nth(1)?;
    let json = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    match serde_json::from_slice::<serde_json::Value>(&json)
        .ok()?
        .get(claim)?
    {
        serde_json::Value::String(text) => Some(text.clone().into_bytes()),
        serde_json::Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// The address as text, shortened to its first `bits`; see [`KeySelector::SourceAddress`].
pub(crate) fn source_key(source: IpAddr, bits: u8) -> Key {
    let text = match source.to_canonical() {
        IpAddr::V4(v4) if bits >= 32 => v4.to_string(),
        IpAddr::V4(v4) => {
            let kept = u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            format!("{}/{bits}", std::net::Ipv4Addr::from(kept))
        }
        IpAddr::V6(v6) => {
            let bits = if bits <= 32 { bits + 32 } else { bits };
            if bits >= 128 {
                v6.to_string()
            } else {
                let kept = u128::from(v6) & (u128::MAX << (128 - u32::from(bits)));
                format!("{}/{bits}", std::net::Ipv6Addr::from(kept))
            }
        }
    };
    text.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Request {
        target: &'static str,
        headers: Vec<(&'static str, String)>,
    }

    impl RequestParts for Request {
        fn target(&self) -> &str {
            self.target
        }
        fn header(&self, name: &str) -> Option<&[u8]> {
            self.headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_bytes())
        }
        fn any_header(&self, name: &str, found: &mut dyn FnMut(&[u8]) -> bool) {
            let _ = self
                .headers
                .iter()
                .filter(|(n, _)| *n == name)
                .any(|(_, v)| found(v.as_bytes()));
        }
    }

    fn from(address: &str) -> Source<'_> {
        Source {
            address: address.parse().unwrap(),
            identity: None,
        }
    }

    fn cookie(issue: bool) -> KeySelector {
        KeySelector::Cookie(Cookie {
            name: "sid".into(),
            issue,
            same_site: Default::default(),
        })
    }

    #[test]
    fn each_selector_finds_its_key() {
        // {"sub":"u-7","n":42,"o":{}}
        let jwt = "Bearer e30.eyJzdWIiOiJ1LTciLCJuIjo0MiwibyI6e319.x";
        let request = Request {
            target: "/room/42/chat?user=ann&room=7&empty=#top",
            headers: vec![
                ("x-user", " bob ".into()),
                ("cookie", "a=1; sid=s-1; sidx=2".into()),
                ("authorization", jwt.into()),
            ],
        };
        let source = from("192.0.2.77");
        for (selector, key) in [
            (KeySelector::Header("x-user".into()), Some("bob")),
            (KeySelector::Header("x-none".into()), None),
            (cookie(false), Some("s-1")),
            (KeySelector::Query("room".into()), Some("7")),
            (KeySelector::Query("roo".into()), None),
            (KeySelector::Query("empty".into()), None),
            (KeySelector::PathSegment(1), Some("42")),
            (KeySelector::PathSegment(3), None),
            (KeySelector::BearerClaim("sub".into()), Some("u-7")),
            (KeySelector::BearerClaim("n".into()), Some("42")),
            (KeySelector::BearerClaim("o".into()), None),
            (KeySelector::SourceAddress(32), Some("192.0.2.77")),
            (KeySelector::SourceAddress(24), Some("192.0.2.0/24")),
            (KeySelector::SourceAddress(0), Some("0.0.0.0/0")),
            (KeySelector::ClientCertificate(CertificateField::CommonName), None),
        ] {
            let found = present(&selector, &request, source);
            assert_eq!(found.as_deref(), key.map(str::as_bytes), "{selector:?}");
        }
    }

    #[test]
    fn a_certificate_names_its_client() {
        let request = Request {
            target: "/",
            headers: vec![],
        };
        let identity = |common_name: Option<&str>, subject: &str| Identity {
            common_name: common_name.map(str::to_owned),
            subject: subject.to_owned(),
        };
        for (identity, field, key) in [
            (
                identity(Some("ann"), "CN=ann,O=x"),
                CertificateField::CommonName,
                Some("ann"),
            ),
            (
                identity(Some("ann"), "CN=ann,O=x"),
                CertificateField::Subject,
                Some("CN=ann,O=x"),
            ),
            (identity(None, "O=x"), CertificateField::CommonName, None),
            (identity(None, ""), CertificateField::Subject, None),
        ] {
            let source = Source {
                identity: Some(&identity),
                ..from("192.0.2.77")
            };
            let found = present(&KeySelector::ClientCertificate(field), &request, source);
            assert_eq!(found.as_deref(), key.map(str::as_bytes), "{identity:?} {field:?}");
        }
    }

    #[test]
    fn an_ipv6_client_is_known_by_its_network() {
        let source: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        for (bits, key) in [
            (32, "2001:db8:1:2::/64"),
            (48, "2001:db8:1::/48"),
            (128, "2001:db8:1:2:3:4:5:6"),
        ] {
            assert_eq!(source_key(source, bits).as_slice(), key.as_bytes());
        }
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(source_key(mapped, 32).as_slice(), b"192.0.2.1");
    }

    #[test]
    fn a_missing_cookie_is_issued_only_where_asked() {
        let request = Request {
            target: "/",
            headers: vec![],
        };
        let source = from("192.0.2.77");
        let selectors = [cookie(false)];
        let selected = select(&selectors, &request, source);
        assert!(selected.issue.is_none());
        assert_eq!(selected.key.as_slice(), b"192.0.2.77");
        let selectors = [cookie(true)];
        let selected = select(&selectors, &request, source);
        assert!(selected.issue.is_some());
        assert_eq!(selected.key.len(), 32);
    }
}

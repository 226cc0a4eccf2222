//! Heads between the client and the node: the same rules as for HTTP/1.1, on parsed fields.

use foreshift_wire::{ConnectionId, SessionId};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, Version,
    header::{CONNECTION, CONTENT_TYPE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    request, response,
};

use super::body::drop_ours;
use crate::key::RequestParts;

impl RequestParts for request::Parts {
    fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |p| p.as_str())
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    fn any_header(&self, name: &str, found: &mut dyn FnMut(&[u8]) -> bool) {
        let _ = self.headers.get_all(name).iter().any(|v| found(v.as_bytes()));
    }
}

/// gRPC needs HTTP/2 to the node, for its trailers.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

/// Removes what is meant for one hop only. `te: trailers` may stay: gRPC needs it.
fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|t| t.trim().parse().ok())
        .collect();
    for name in named {
        if name != HOST && name.as_str() != "content-length" {
            headers.remove(name);
        }
    }
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, TRAILER] {
        headers.remove(name);
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "http2-settings",
    ] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|v| v != "trailers") {
        headers.remove(TE);
    }
}

/// Makes the client's head the node's.
pub(super) fn request(
    parts: &mut request::Parts,
    source: &str,
    session: SessionId,
    connection: ConnectionId,
    http2: bool,
) -> Option<()> {
    let authority = parts.uri.authority().map(|a| a.as_str().to_owned());
    let host = authority.or_else(|| Some(parts.headers.get(HOST)?.to_str().ok()?.to_owned()))?;
    strip_hop(&mut parts.headers);
    drop_ours(&mut parts.headers);
    let mut forwarded: Vec<String> = Vec::new();
    for value in parts.headers.get_all("x-forwarded-for") {
        forwarded.extend(value.to_str().ok().map(str::to_owned));
    }
    forwarded.push(source.to_owned());
    let text = |value: &str| HeaderValue::from_str(value).ok();
    parts
        .headers
        .insert("x-forwarded-for", text(&forwarded.join(", "))?);
    parts
        .headers
        .insert("x-forwarded-proto", HeaderValue::from_static("http"));
    parts.headers.insert("x-forwarded-host", text(&host)?);
    parts
        .headers
        .insert("foreshift-session", text(&session.to_string())?);
    parts
        .headers
        .insert("foreshift-connection", text(&connection.to_string())?);
    let target = parts.target().to_owned();
    if http2 {
        parts.headers.remove(HOST);
        parts.version = Version::HTTP_2;
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(host)
            .path_and_query(target)
            .build()
            .ok()?;
    } else {
        parts.headers.insert(HOST, text(&host)?);
        parts.headers.remove(TE);
        parts.version = Version::HTTP_11;
        parts.uri = target.parse().ok()?;
    }
    Some(())
}

/// Makes the node's head the client's.
pub(super) fn response(parts: &mut response::Parts) {
    strip_hop(&mut parts.headers);
    parts.version = Version::default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_speak_in_our_name() {
        let (mut parts, ()) = http::Request::builder()
            .uri("http://a.example/x?y=1")
            .header("foreshift-session", "0")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("te", "trailers")
            .header("x-forwarded-for", "198.51.100.1")
            .body(())
            .unwrap()
            .into_parts();
        request(&mut parts, "192.0.2.7", SessionId(7), ConnectionId(9), false).unwrap();
        assert_eq!(
            parts.headers["foreshift-session"],
            "00000000000000000000000000000007"
        );
        assert_eq!(parts.headers["foreshift-connection"], "9");
        assert_eq!(parts.headers["x-forwarded-for"], "198.51.100.1, 192.0.2.7");
        assert_eq!(parts.headers["host"], "a.example");
        assert_eq!(parts.uri, "/x?y=1");
        assert!(!parts.headers.contains_key("x-hop") && !parts.headers.contains_key("te"));
    }
}

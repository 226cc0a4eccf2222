//! Heads between the client and the node: the same rules as for HTTP/1.1, on parsed fields.

use std::net::IpAddr;

use foreshift_wire::{ConnectionId, Epoch, NodeId, SessionId};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, Version,
    header::{CONNECTION, CONTENT_TYPE, FORWARDED, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    request, response,
};

use super::body::drop_ours;
use crate::{
    forwarded,
    http1::proto,
    key::RequestParts,
    marking::{Mark, Marking},
    reigns::Carried,
};

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

/// What the node is told of who asks.
pub(super) struct Told<'a> {
    pub(super) source: IpAddr,
    /// The client speaks TLS with us.
    pub(super) secure: bool,
    pub(super) session: SessionId,
    pub(super) connection: ConnectionId,
    /// Add `Forwarded`.
    pub(super) forwarded: bool,
    pub(super) marking: &'a Marking,
    /// The node speaks TLS with us.
    pub(super) node_secure: bool,
}

/// Makes the client's head the node's. Returns the request's marks, where requests are marked.
pub(super) fn request(parts: &mut request::Parts, told: &Told<'_>, http2: bool) -> Option<Option<Mark>> {
    let authority = parts.uri.authority().map(|a| a.as_str().to_owned());
    let host = authority.or_else(|| Some(parts.headers.get(HOST)?.to_str().ok()?.to_owned()))?;
    strip_hop(&mut parts.headers);
    drop_ours(&mut parts.headers);
    let mut forwarded: Vec<String> = Vec::new();
    for value in parts.headers.get_all("x-forwarded-for") {
        forwarded.extend(value.to_str().ok().map(str::to_owned));
    }
    forwarded.push(told.source.to_canonical().to_string());
    let text = |value: &str| HeaderValue::from_str(value).ok();
    parts
        .headers
        .insert("x-forwarded-for", text(&forwarded.join(", "))?);
    parts
        .headers
        .insert("x-forwarded-proto", HeaderValue::from_static(proto(told.secure)));
    parts.headers.insert("x-forwarded-host", text(&host)?);
    forward(&mut parts.headers, told, &host)?;
    let mark = mark(&mut parts.headers, told.marking)?;
    parts
        .headers
        .insert("foreshift-session", text(&told.session.to_string())?);
    parts
        .headers
        .insert("foreshift-connection", text(&told.connection.to_string())?);
    let target = parts.target().to_owned();
    if http2 {
        parts.headers.remove(HOST);
        parts.version = Version::HTTP_2;
        parts.uri = Uri::builder()
            .scheme(proto(told.node_secure))
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
    Some(mark)
}

/// Tells the node of a try since when it serves the session, and what else it has to know of its state.
pub(super) fn tell_reign(headers: &mut HeaderMap, epoch: Epoch, carried: Option<&Carried>) {
    headers.insert("foreshift-epoch", HeaderValue::from(epoch.0));
    let dead = carried.and_then(|c| c.dead.as_ref()).map(NodeId::as_str);
    let token = carried.and_then(|c| c.token.as_deref());
    for (name, value) in [("foreshift-failover", dead), ("foreshift-resume-token", token)] {
        // What an earlier try told its node is none of this one's business.
        headers.remove(name);
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}

/// `Forwarded`: ours behind the client's, or none, since without ours the client's is nothing to go by.
fn forward(headers: &mut HeaderMap, told: &Told<'_>, host: &str) -> Option<()> {
    let before: Vec<HeaderValue> = headers.get_all(FORWARDED).iter().cloned().collect();
    headers.remove(FORWARDED);
    if told.forwarded {
        let mut chain = Vec::new();
        for value in before {
            chain.extend_from_slice(value.as_bytes());
            chain.extend_from_slice(b", ");
        }
        forwarded::element(&mut chain, told.source, host.as_bytes(), proto(told.secure));
        headers.insert(FORWARDED, HeaderValue::from_bytes(&chain).ok()?);
    }
    Some(())
}

fn mark(headers: &mut HeaderMap, marking: &Marking) -> Option<Option<Mark>> {
    if !marking.is_on() {
        return Some(None);
    }
    let mark = marking.mark(|name| headers.get(name).map(HeaderValue::as_bytes), rand::random);
    let replaced: Vec<HeaderName> = headers
        .keys()
        .filter(|name| marking.replaces(name.as_str(), &mark))
        .cloned()
        .collect();
    for name in replaced {
        headers.remove(name);
    }
    for (name, value) in marking.fields(&mark) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(&value).ok()?);
    }
    Some(Some(mark))
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
            .header("forwarded", "for=198.51.100.1")
            .body(())
            .unwrap()
            .into_parts();
        let marking = Marking {
            request_id: Some("X-Id".into()),
            sample: None,
        };
        let told = Told {
            source: "192.0.2.7".parse().unwrap(),
            secure: true,
            session: SessionId(7),
            connection: ConnectionId(9),
            forwarded: true,
            marking: &marking,
            node_secure: false,
        };
        let mark = request(&mut parts, &told, false).unwrap().unwrap();
        assert_eq!(parts.headers["x-id"], mark.request_id.unwrap().as_ref());
        let forwarded = "for=198.51.100.1, for=192.0.2.7;host=a.example;proto=https";
        assert_eq!(parts.headers["forwarded"], forwarded);
        assert_eq!(
            parts.headers["foreshift-session"],
            "00000000000000000000000000000007"
        );
        assert_eq!(parts.headers["foreshift-connection"], "9");
        assert_eq!(parts.headers["x-forwarded-for"], "198.51.100.1, 192.0.2.7");
        assert_eq!(parts.headers["x-forwarded-proto"], "https");
        assert_eq!(parts.headers["host"], "a.example");
        assert_eq!(parts.uri, "/x?y=1");
        assert!(!parts.headers.contains_key("x-hop") && !parts.headers.contains_key("te"));
    }
}

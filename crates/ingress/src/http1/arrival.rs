//! Handshakes of clients that were told to move, and what tells that a client can be.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use super::head::{line, tokens};
use crate::{
    instruct::{control::PROTOCOL, token::Refusal},
    io::{Deadline, write_all},
    message::Offer,
    stream::Stream,
};

/// RFC 6455, section 1.3.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The query parameter of clients that cannot set headers.
const PARAMETER: &str = "foreshift-token";

/// What a WebSocket handshake offers, if `foreshift.v1` is part of it.
pub(super) fn offer(headers: &[httparse::Header<'_>]) -> Option<Offer> {
    let named = |name: &'static str| headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name));
    let mut offered = false;
    let mut others: Vec<&[u8]> = Vec::new();
    for protocol in named("sec-websocket-protocol").flat_map(|h| tokens(h.value)) {
        if protocol == PROTOCOL {
            offered = true;
        } else {
            others.push(protocol);
        }
    }
    offered.then(|| Offer {
        protocols: others.join(&b", "[..]),
        key: named("sec-websocket-key")
            .next()
            .map(|h| h.value.to_vec())
            .unwrap_or_default(),
    })
}

/// The token that a request brings, in its header or in its query.
pub(super) fn token(headers: &[httparse::Header<'_>], target: &str, websocket: bool) -> Option<Box<str>> {
    let header = headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("foreshift-token"));
    if let Some(header) = header {
        // What is no text is no token either, and is refused as one.
        return Some(String::from_utf8_lossy(header.value).into());
    }
    // Only WebSockets: a browser's other requests can have headers.
    let (_, query) = target.split_once('?').filter(|_| websocket)?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(name, _)| *name == PARAMETER)
        .map(|(_, value)| value.into())
}

/// The answer to a told client's handshake: as its first one was answered. `None` where it does not offer that.
pub(crate) fn handed_over(offer: &Offer, protocol: Option<&str>) -> Option<Vec<u8>> {
    let accept = STANDARD.encode(
        Sha1::new()
            .chain_update(&offer.key)
            .chain_update(ACCEPT_SUFFIX)
            .finalize(),
    );
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nForeshift-Client: v1\r\n".to_vec();
    line(&mut answer, b"Sec-WebSocket-Accept", accept.as_bytes());
    if let Some(protocol) = protocol {
        let ours = protocol.as_bytes() == PROTOCOL;
        if !ours && !tokens(&offer.protocols).any(|offered| offered == protocol.as_bytes()) {
            return None;
        }
        line(&mut answer, b"Sec-WebSocket-Protocol", protocol.as_bytes());
    }
    answer.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    Some(answer)
}

/// Answers a request whose token is not taken.
pub(super) async fn refuse(client: &Stream, refusal: Refusal, deadline: &mut Deadline) {
    deadline.after(Duration::from_secs(5));
    // An error is the client's: its connection is gone.
    let _ = write_all(client, &refused(&refusal.to_string()), deadline).await;
}

/// The answer to a token that is not taken.
pub(crate) fn refused(why: &str) -> Vec<u8> {
    let length = why.len() + 1;
    format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}\n"
    )
    .into_bytes()
}

/// Where a client's WebSocket can be opened again: `origin` (`https://host`) where it is configured, else as its own
/// handshake said. `request`: its head as the node got it.
pub(super) fn address(
    origin: Option<&str>,
    encrypted: bool,
    request: &[u8],
    websocket: bool,
) -> Option<String> {
    let head = std::str::from_utf8(request).ok()?;
    let mut lines = head.split("\r\n");
    let target = lines.next()?.split(' ').nth(1)?;
    let (secure, authority) = match origin {
        Some(origin) => (origin.starts_with("https://"), origin.split_once("://")?.1),
        None => (encrypted, lines.find_map(|l| l.strip_prefix("Host: "))?),
    };
    let scheme = match (websocket, secure) {
        (true, true) => "wss",
        (true, false) => "ws",
        (false, true) => "https",
        (false, false) => "http",
    };
    let target = if websocket { target } else { "" };
    let url = format!("{scheme}://{authority}{target}");
    // It stands in quotes, in JSON and in a header.
    (!url.contains(['"', '\\'])).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(name: &'a str, value: &'a str) -> httparse::Header<'a> {
        httparse::Header {
            name,
            value: value.as_bytes(),
        }
    }

    #[test]
    fn only_an_offer_of_foreshift_counts() {
        for (value, others) in [
            ("chat", None),
            ("foreshift.v1", Some("")),
            ("foreshift.v1, chat", Some("chat")),
            ("chat,foreshift.v1 ,other", Some("chat, other")),
            ("foreshift.v10", None),
        ] {
            let headers = [
                header("Sec-WebSocket-Protocol", value),
                header("Sec-WebSocket-Key", "k"),
            ];
            let found = offer(&headers).map(|o| String::from_utf8(o.protocols).unwrap());
            assert_eq!(found.as_deref(), others, "{value}");
        }
    }

    #[test]
    fn a_token_comes_by_header_or_by_a_websockets_query() {
        let header = [header("foreshift-TOKEN", "h")];
        for (headers, target, websocket, found) in [
            (&header[..], "/?foreshift-token=q", true, Some("h")),
            (&header[..], "/", false, Some("h")),
            (&[], "/a?b=c&foreshift-token=q&d", true, Some("q")),
            (&[], "/a?b=c&foreshift-token=q&d", false, None),
            (&[], "/a?xforeshift-token=q", true, None),
            (&[], "/foreshift-token=q", true, None),
        ] {
            assert_eq!(token(headers, target, websocket).as_deref(), found, "{target}");
        }
    }

    #[test]
    fn a_second_handshake_is_answered_as_the_first_or_not_at_all() {
        let offer = Offer {
            protocols: b"chat, other".to_vec(),
            key: b"dGhlIHNhbXBsZSBub25jZQ==".to_vec(),
        };
        for (protocol, answered) in [
            (Some("chat"), Some("Sec-WebSocket-Protocol: chat\r\n")),
            (
                Some("foreshift.v1"),
                Some("Sec-WebSocket-Protocol: foreshift.v1\r\n"),
            ),
            (None, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")),
            (Some("third"), None),
        ] {
            let answer = handed_over(&offer, protocol).map(|a| String::from_utf8(a).unwrap());
            match (answer, answered) {
                (Some(answer), Some(part)) => assert!(answer.contains(part), "{answer}"),
                (answer, answered) => assert_eq!(answer.as_deref(), answered),
            }
        }
    }

    #[test]
    fn a_client_is_sent_where_it_came_from_or_where_the_listener_says() {
        let request = b"GET /chat?r=1 HTTP/1.1\r\nHost: a.example:8080\r\nX: y\r\n\r\n";
        for (origin, encrypted, websocket, url) in [
            (None, false, true, "ws://a.example:8080/chat?r=1"),
            (None, true, true, "wss://a.example:8080/chat?r=1"),
            (Some("https://b.example"), false, true, "wss://b.example/chat?r=1"),
            (Some("http://b.example"), true, true, "ws://b.example/chat?r=1"),
            (None, true, false, "https://a.example:8080"),
            (Some("http://b.example:1"), false, false, "http://b.example:1"),
        ] {
            let found = address(origin, encrypted, request, websocket);
            assert_eq!(found.as_deref(), Some(url));
        }
        assert_eq!(
            address(None, false, b"GET /\"x HTTP/1.1\r\nHost: a\r\n\r\n", true),
            None
        );
        assert_eq!(address(None, false, b"GET / HTTP/1.1\r\n\r\n", true), None);
    }
}

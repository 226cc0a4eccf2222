//! What reads bytes from the network, for the fuzz targets in `fuzz/` and for nobody else: it may change at any time.
//!
//! Each function reads as the data plane does and says what came of it in plain values.

pub use crate::instruct::token::{Claims as TokenClaims, Refusal as TokenRefusal, Ring as TokenRing};
pub use crate::proxy_protocol::{
    Error as ProxyProtocolError, Header as ProxyProtocolHeader, parse as proxy_protocol,
    write as write_proxy_protocol,
};

use foreshift_wire::{Framing, KeySelector};

use crate::{
    http1::{Chunked, Context, Method, translate, translate_response},
    instruct::token,
    key::bearer_claim,
    marking::Marking,
    tcp::frames,
    ws::frame::{FrameTracker, Sender, Step},
};

/// Follows WebSocket frames in parts of `part` bytes. Returns the messages that ended and whether the end is between
/// two messages; `None` where a frame is against RFC 6455.
pub fn websocket(bytes: &[u8], part: usize, from_client: bool, compressed: bool) -> Option<(u64, bool)> {
    let sender = if from_client { Sender::Client } else { Sender::Node };
    let mut tracker = FrameTracker::new(sender, compressed, 1 << 20);
    for mut part in bytes.chunks(part.max(1)) {
        while !part.is_empty() {
            let (used, step) = tracker.next(part).ok()?;
            assert!(used > 0 && used <= part.len(), "it gets on");
            assert!(step == Step::Inside || tracker.at_frame_boundary());
            part = &part[used..];
        }
    }
    Some((tracker.messages(), tracker.at_message_boundary()))
}

/// Follows the frames of a TCP protocol in parts of `part` bytes. Returns where they ended; `None` where one is none.
pub fn frames(framing: Framing, bytes: &[u8], part: usize) -> Option<Vec<usize>> {
    let mut frames = frames::Frames::new(framing, 1 << 20);
    let (mut at, mut ends) = (0, Vec::new());
    for mut part in bytes.chunks(part.max(1)) {
        while !part.is_empty() {
            let (used, step) = frames.next(part).ok()?;
            assert!(used > 0 && used <= part.len(), "it gets on");
            at += used;
            if step != frames::Step::Inside {
                ends.push(at);
            }
            part = &part[used..];
        }
    }
    Some(ends)
}

/// What a token for a told client says, and the token that is made of that, where it is signed with a key of zeros and good at
/// the time 0.
pub fn token(text: &str) -> Option<(TokenClaims, Option<String>)> {
    let keys = format!(
        r#"{{"next":2,"keys":[{{"id":"k1","secret":"{}","since_ms":0}}]}}"#,
        "0".repeat(64)
    );
    let ring = TokenRing::new(&serde_json::from_str(&keys).ok()?);
    let claims = ring.verify(text, 0).ok()?;
    let again = ring.sign(&claims);
    Some((claims, again))
}

/// The payload of such a token, written again from what it says.
pub fn token_payload(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(token::payload(&token::read(bytes)?))
}

/// The claim `sub` of the token in an `Authorization` field.
pub fn token_claim(field: &[u8]) -> Option<Vec<u8>> {
    bearer_claim(field, "sub")
}

/// The head of an HTTP/1.1 request as a node would be sent it, and its length as it came. `Ok(None)` where it is not
/// whole, `Err` with the status that it is refused with.
pub fn request_head(bytes: &[u8]) -> Result<Option<(usize, Vec<u8>)>, u16> {
    let selectors = [
        KeySelector::BearerClaim("sub".into()),
        KeySelector::Query("q".into()),
        KeySelector::PathSegment(1),
        KeySelector::SourceAddress(24),
    ];
    let marking = Marking {
        request_id: Some("X-Request-Id".into()),
        sample: Some(0.5),
    };
    let context = Context {
        selectors: &selectors,
        source: crate::key::Source {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            identity: None,
        },
        source_text: "127.0.0.1",
        secure: false,
        headers_max: 100,
        forwarded: true,
        marking: &marking,
    };
    let mut out = Vec::new();
    match translate(bytes, &context, &mut out) {
        Ok(head) => Ok(head.map(|head| (head.len, out))),
        Err(reject) => Err(reject.status),
    }
}

/// The length of the head of an HTTP/1.1 response, and the head as a client would be sent it; `None` where it is not whole
/// or not one.
pub fn response_head(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut out = Vec::new();
    let head = translate_response(bytes, Method::Other, &mut out).ok()??;
    Some((head.len, out))
}

/// Follows a chunked body in parts of `part` bytes. Returns the bytes that belong to it and whether it ended.
pub fn chunked(bytes: &[u8], part: usize) -> Option<(usize, bool)> {
    let mut body = Chunked::new(false);
    let mut used = 0;
    for part in bytes.chunks(part.max(1)) {
        let followed = body.follow(part).ok()?;
        used += followed.used;
        if followed.done {
            return Some((used, true));
        }
        assert_eq!(followed.used, part.len(), "all of it belongs to the body");
    }
    Some((used, false))
}

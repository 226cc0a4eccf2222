//! WebSocket frames.

use foreshift_ingress::parsers::websocket;

/// Messages end where they end, in whatever parts they come, whoever sends them.
pub(crate) fn frames(bytes: &[u8]) {
    let (part, bytes) = super::parts(bytes);
    for (from_client, compressed) in [(true, false), (true, true), (false, false), (false, true)] {
        let whole = websocket(bytes, bytes.len(), from_client, compressed);
        assert_eq!(websocket(bytes, part, from_client, compressed), whole);
    }
}

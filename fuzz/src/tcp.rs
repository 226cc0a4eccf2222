//! Frames of TCP protocols.

use foreshift_ingress::parsers::frames as follow;
use foreshift_wire::Framing;

/// Frames end where they end, in whatever parts they come.
pub(crate) fn frames(bytes: &[u8]) {
    let (part, bytes) = super::parts(bytes);
    let prefixes = [1, 2, 4, 8].map(Framing::LengthPrefix);
    for framing in prefixes.into_iter().chain([Framing::Line, Framing::Resp]) {
        let whole = follow(framing, bytes, bytes.len());
        assert_eq!(follow(framing, bytes, part), whole, "{framing:?}");
        if let Some(ends) = whole {
            assert!(ends.is_sorted_by(|a, b| a < b) && ends.last().is_none_or(|end| *end <= bytes.len()));
        }
    }
}

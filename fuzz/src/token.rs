//! Tokens that told clients come back with.

use foreshift_ingress::parsers;

/// A token: one that is taken is written in the one way that we write it, so that none can be sent twice in two ways.
pub(crate) fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some((_, again)) = parsers::token(&text) {
        assert_eq!(again.as_deref(), Some(&*text));
    }
}

/// Its payload: the same.
pub(crate) fn payload(bytes: &[u8]) {
    if let Some(again) = parsers::token_payload(bytes) {
        assert_eq!(again, bytes);
    }
}

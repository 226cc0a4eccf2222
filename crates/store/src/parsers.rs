//! What reads bytes from the network, for the fuzz targets in `fuzz/` and for nobody else: it may change at any time.

use bytes::{Bytes, BytesMut};

use crate::view::{self, Malformed, Request, RequestLimits, Requests};

/// The requests of the Redis protocol in `bytes`, which come in parts of `part`, and why it stops where it does.
pub fn redis_requests(
    bytes: &[u8],
    part: usize,
    limits: &RequestLimits,
) -> (Vec<Request>, Option<Malformed>) {
    let (mut requests, mut input, mut all) = (Requests::default(), BytesMut::new(), Vec::new());
    for part in bytes.chunks(part.max(1)) {
        input.extend_from_slice(part);
        loop {
            match requests.next(&mut input, limits) {
                Ok(Some(request)) => all.push(request),
                Ok(None) => break,
                Err(malformed) => return (all, Some(malformed)),
            }
        }
    }
    (all, None)
}

/// Whether a request is one that the Redis view serves; the error is what its client is told.
pub fn redis_command(words: Vec<Bytes>) -> Result<(), String> {
    view::understand(words)
}

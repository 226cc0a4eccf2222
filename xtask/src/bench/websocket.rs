//! As much of RFC 6455 as an echo needs: whole messages of one frame, up to 64 KiB.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

const BINARY_FINAL: u8 = 0x82;
const MASKED: u8 = 0x80;
const TWO_MORE_BYTES: u8 = 126;

/// The value of `Sec-WebSocket-Accept` for a client's key.
pub(super) fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// Appends a binary message; a client masks it, a server does not.
pub(super) fn put_frame(out: &mut Vec<u8>, payload: &[u8], mask: Option<[u8; 4]>) {
    let mask_bit = if mask.is_some() { MASKED } else { 0 };
    let length = u16::try_from(payload.len()).expect("messages of the bench are short");
    out.push(BINARY_FINAL);
    if length < u16::from(TWO_MORE_BYTES) {
        out.push(mask_bit | length as u8);
    } else {
        out.push(mask_bit | TWO_MORE_BYTES);
        out.extend_from_slice(&length.to_be_bytes());
    }
    match mask {
        Some(mask) => {
            out.extend_from_slice(&mask);
            out.extend(
                payload
                    .iter()
                    .zip(mask.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        }
        None => out.extend_from_slice(payload),
    }
}

/// Takes the first frame of `bytes`: its payload, unmasked, appended to `payload`, and its length on the wire.
///
/// `None` while it is incomplete. Anything but a final binary frame is an error: a proxy has no reason to send one.
pub(super) fn take_frame(bytes: &[u8], payload: &mut Vec<u8>) -> Result<Option<usize>, UnexpectedFrame> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if *first != BINARY_FINAL || second & !MASKED > TWO_MORE_BYTES {
        return Err(UnexpectedFrame(*first));
    }
    let (length, rest) = match (second & !MASKED, rest) {
        (TWO_MORE_BYTES, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        (TWO_MORE_BYTES, _) => return Ok(None),
        (length, rest) => (usize::from(length), rest),
    };
    let (mask, rest) = match (second & MASKED != 0, rest.split_first_chunk::<4>()) {
        (true, Some((mask, rest))) => (*mask, rest),
        (true, None) => return Ok(None),
        (false, _) => ([0; 4], rest),
    };
    let Some(data) = rest.get(..length) else {
        return Ok(None);
    };
    payload.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    Ok(Some(bytes.len() - rest.len() + length))
}

/// A frame that is no final binary frame; its first byte.
#[derive(Debug, PartialEq)]
pub(super) struct UnexpectedFrame(pub(super) u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_accepted_as_in_the_rfc() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_frame_comes_out_as_it_went_in() {
        for mask in [None, Some([1, 2, 3, 4])] {
            for length in [0, 1, 125, 126, 4000] {
                let message = vec![7; length];
                let (mut wire, mut payload) = (Vec::new(), Vec::new());
                put_frame(&mut wire, &message, mask);
                for part in 0..wire.len() {
                    assert_eq!(
                        take_frame(&wire[..part], &mut payload),
                        Ok(None),
                        "{part} of {length}"
                    );
                }
                assert_eq!(take_frame(&wire, &mut payload), Ok(Some(wire.len())));
                assert_eq!(payload, message);
            }
        }
    }

    #[test]
    fn a_text_frame_is_unexpected() {
        assert_eq!(
            take_frame(&[0x81, 0], &mut Vec::new()),
            Err(UnexpectedFrame(0x81))
        );
    }
}

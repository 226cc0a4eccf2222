//! Keys as text: percent-encoded as in a URL's path, so that every byte can be said in JSON and in URLs.

use super::KEY_MAX;

/// Why a text says no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {KEY_MAX} bytes, and each % in its text is followed by two hexadecimal digits")]
pub struct InvalidKey;

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/')
}

/// A key as text: letters, digits and `-._~/` as they are, every other byte as `%` and two digits.
pub fn encode_key(key: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(key.len());
    for byte in key {
        if is_plain(*byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

/// The key that a text says. Bytes that need no `%` may have one, and any others than `%` may be as they are.
pub fn decode_key(text: &str) -> Result<Vec<u8>, InvalidKey> {
    let key = unescape(text)?;
    let is_valid = (1..=KEY_MAX).contains(&key.len());
    is_valid.then_some(key).ok_or(InvalidKey)
}

/// The bytes that a text says, of any length.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, InvalidKey> {
    let mut bytes = Vec::with_capacity(text.len().min(KEY_MAX));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            plain => plain,
        });
    }
    Ok(bytes)
}

fn digit(byte: Option<u8>) -> Result<u8, InvalidKey> {
    let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
    // Below 16.
    digit.map(|digit| digit as u8).ok_or(InvalidKey)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_said() {
        let long = "a".repeat(KEY_MAX + 1);
        for (text, key) in [
            ("item/1", Some(&b"item/1"[..])),
            ("%00%ff", Some(&[0, 255])),
            ("a b", Some(b"a b")),
            ("a+b", Some(b"a+b")),
            ("%41%2f", Some(b"A/")),
            ("", None),
            ("%", None),
            ("%4", None),
            ("%4g", None),
            ("%+1", None),
            (&long, None),
            (&long[1..], Some(&long.as_bytes()[1..])),
        ] {
            assert_eq!(decode_key(text).ok().as_deref(), key, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_of_a_key_reads_back(key in prop::collection::vec(any::<u8>(), 1..80)) {
            let text = encode_key(&key);
            prop_assert!(text.is_ascii() && !text.contains(['"', '\\', ' ', '?', '#']));
            prop_assert_eq!(decode_key(&text), Ok(key));
        }
    }
}

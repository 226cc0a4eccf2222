//! The cluster secret: what makes a session id impossible to guess and a node impossible to choose.

use std::fmt;

use rand::CryptoRng;

use crate::Error;

/// The 128-bit key of the hash that turns affinity keys into sessions.
///
/// All ingresses of a cluster must have the same one; with another one every client gets another node. It has
/// no `Display`, and its `Debug` shows nothing, so that it cannot end in a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 16]);

impl Secret {
    /// Wraps 16 bytes, which should come from a cryptographic source.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Draws a new secret.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Reads what [`Secret::to_hex`] wrote. [`Error::Secret`] where `text` is not 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Secret {
            length: text.chars().count(),
        };
        // `from_str_radix` would take a sign for a digit.
        if text.len() != 32 || text.starts_with('+') {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16)
            .map(|n| Self(n.to_be_bytes()))
            .map_err(|_| wrong())
    }

    /// 32 lower-case hexadecimal digits, for metadata.
    pub fn to_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_from_its_hexadecimal_digits() {
        let secret = Secret::from_bytes(*b"\x00\x01_sixteen_bytes");
        assert_eq!(Secret::from_hex(&secret.to_hex()), Ok(secret));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "00",
            &"g".repeat(32),
            &"0".repeat(33),
            "+0000000000000000000000000000001",
            &"é".repeat(16),
        ] {
            assert_eq!(
                Secret::from_hex(text),
                Err(Error::Secret {
                    length: text.chars().count()
                }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn debug_does_not_show_a_secret() {
        let secret = Secret::from_bytes([0xab; 16]);
        assert!(!format!("{secret:?}").contains("ab"));
    }
}

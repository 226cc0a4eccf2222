//! The keys that sign tokens for clients: a ring, so that a key can be replaced while tokens of the last one are about.

use serde::{Deserialize, Serialize};

use super::keys;
use crate::{Error, Meta, Txn};

/// A key signs for so long; then the next one does.
const SIGNS_MS: u64 = 7 * 24 * 3_600_000;
/// A key that signs no more is kept for so long: longer than any token is good for.
const KEPT_MS: u64 = 24 * 3_600_000;

/// One key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Letters and digits; part of every token.
    pub id: String,
    /// 256 random bits, in hexadecimal digits.
    secret: String,
    /// When it was made, in Unix milliseconds.
    pub since_ms: u64,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, since {})", self.id, self.since_ms)
    }
}

impl SigningKey {
    fn new(n: u64, secret: [u8; 32], since_ms: u64) -> Self {
        let secret = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            id: format!("k{n}"),
            secret,
            since_ms,
        }
    }

    /// The key itself. `None` where what was read is not 64 hexadecimal digits.
    pub fn bytes(&self) -> Option<[u8; 32]> {
        let digits = self.secret.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(bytes)
    }
}

/// All keys that are good, the one that signs last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SigningKeys {
    /// Number of the next key.
    next: u64,
    /// Never empty once it was loaded.
    pub keys: Vec<SigningKey>,
}

impl SigningKeys {
    /// Adds a key where the last one has signed long enough, and forgets old ones. False where nothing changed.
    fn renew(&mut self, candidate: [u8; 32], now_ms: u64) -> bool {
        let fresh = |key: &SigningKey| key.since_ms + SIGNS_MS > now_ms;
        if self.keys.last().is_some_and(fresh) {
            return false;
        }
        self.keys.retain(|key| key.since_ms + SIGNS_MS + KEPT_MS > now_ms);
        self.keys.push(SigningKey::new(self.next, candidate, now_ms));
        self.next += 1;
        true
    }
}

/// The ring as it has to be now. Where a key is due, `candidate` becomes it; of several that try, one wins and all get the
/// winner's. To be asked at the start and every few hours.
pub async fn signing_keys(meta: &Meta, candidate: [u8; 32], now_ms: u64) -> Result<SigningKeys, Error> {
    loop {
        let found = meta.get(keys::SIGNING_KEYS).await?;
        let (mut ring, version) = match &found {
            Some(found) => (read(&found.value)?, Some(found.revision)),
            None => (SigningKeys::default(), None),
        };
        if !ring.renew(candidate, now_ms) {
            return Ok(ring);
        }
        let text = serde_json::to_vec(&ring).map_err(|e| malformed(&e.to_string()))?;
        let txn = Txn::new()
            .expect(keys::SIGNING_KEYS, version)
            .put(keys::SIGNING_KEYS, text);
        match meta.commit(txn).await {
            Ok(_) => return Ok(ring),
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn read(value: &[u8]) -> Result<SigningKeys, Error> {
    let ring: SigningKeys = serde_json::from_slice(value).map_err(|e| malformed(&e.to_string()))?;
    match ring.keys.iter().all(|key| key.bytes().is_some()) {
        true => Ok(ring),
        false => Err(malformed("a key is not 64 hexadecimal digits")),
    }
}

fn malformed(detail: &str) -> Error {
    Error::Malformed {
        key: keys::SIGNING_KEYS.into(),
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600_000;

    #[tokio::test]
    async fn a_key_signs_for_a_week_and_is_known_for_a_day_longer() {
        let meta = Meta::in_memory();
        let ids = |ring: &SigningKeys| ring.keys.iter().map(|k| k.id.clone()).collect::<Vec<_>>();
        for (day, expected) in [
            (0, vec!["k0"]),
            (6, vec!["k0"]),
            (7, vec!["k0", "k1"]),
            (9, vec!["k0", "k1"]),
            (14, vec!["k1", "k2"]),
            (100, vec!["k3"]),
        ] {
            let ring = signing_keys(&meta, [day as u8; 32], day * DAY).await.unwrap();
            assert_eq!(ids(&ring), expected, "day {day}");
        }
    }

    #[tokio::test]
    async fn all_that_start_at_once_sign_with_the_same_key() {
        let meta = Meta::in_memory();
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let meta = meta.clone();
                tokio::spawn(async move { signing_keys(&meta, [n; 32], 5).await.unwrap() })
            })
            .collect();
        let mut seen = Vec::new();
        for task in tasks {
            seen.push(task.await.unwrap());
        }
        seen.dedup();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].keys.len(), 1);
    }

    #[tokio::test]
    async fn a_mangled_ring_is_an_error_and_stays() {
        for text in [
            "{",
            r#"{"next":1,"keys":[{"id":"k0","secret":"+f","since_ms":0}]}"#,
        ] {
            let meta = Meta::in_memory();
            meta.commit(Txn::new().put(keys::SIGNING_KEYS, text))
                .await
                .unwrap();
            let error = signing_keys(&meta, [1; 32], 5).await.unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{text}");
        }
    }
}

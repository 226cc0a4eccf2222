//! From an affinity key to its session.
//!
//! SipHash-1-3 with 128 bits of output (Aumasson & Bernstein, *SipHash: a fast short-input PRF*, 2012; the
//! reduced rounds are those of Rust's and Ruby's hash tables). Keyed with the cluster secret, so that a client
//! can neither choose its node nor pile keys into one bucket.

use std::hash::Hasher;

use foreshift_wire::{PoolName, SessionId};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::Secret;

/// The hash of one pool, prepared: secret and pool name are already in it.
#[derive(Clone)]
pub struct Keyed(SipHasher13);

impl Keyed {
    /// Prepares the hash for `pool`.
    pub fn new(secret: &Secret, pool: &PoolName) -> Self {
        let mut hasher = SipHasher13::new_with_key(secret.bytes());
        // The length before the name keeps pool "a" with key "bc" and pool "ab" with key "c" apart.
        hasher.write(&(pool.as_str().len() as u64).to_le_bytes());
        hasher.write(pool.as_str().as_bytes());
        Self(hasher)
    }

    /// The session of `key`: the same for the same secret, pool and key, on every ingress and after a restart.
    #[inline]
    pub fn session(&self, key: &[u8]) -> SessionId {
        let mut hasher = self.0;
        hasher.write(key);
        SessionId(hasher.finish128().into())
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(…)")
    }
}

/// The session of `key` in `pool`. Where many keys of one pool are asked, keep a [`Keyed`].
pub fn session_id(secret: &Secret, pool: &PoolName, key: &[u8]) -> SessionId {
    Keyed::new(secret, pool).session(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str) -> PoolName {
        PoolName::new(name).expect("a plain name")
    }

    #[test]
    fn a_session_depends_on_secret_pool_and_key_and_nothing_else() {
        let (secret, other) = (Secret::from_bytes([1; 16]), Secret::from_bytes([2; 16]));
        let session = session_id(&secret, &pool("a"), b"bc");
        assert_eq!(session, session_id(&secret, &pool("a"), b"bc"));
        assert_ne!(session, session_id(&other, &pool("a"), b"bc"));
        assert_ne!(session, session_id(&secret, &pool("ab"), b"c"));
        assert_ne!(session, session_id(&secret, &pool("a"), b"b"));
    }

    #[test]
    fn a_session_is_the_siphash_of_the_framed_text() {
        let secret = Secret::from_bytes(*b"0123456789abcdef");
        let whole = SipHasher13::new_with_key(b"0123456789abcdef").hash(b"\x03\0\0\0\0\0\0\0appalice");
        assert_eq!(session_id(&secret, &pool("app"), b"alice").0, u128::from(whole));
    }

    #[test]
    fn sessions_spread_evenly_over_the_buckets() {
        let keyed = Keyed::new(&Secret::from_bytes([7; 16]), &pool("app"));
        let mut sixteenths = [0_u32; 16];
        for key in 0..160_000_u32 {
            sixteenths[usize::from(keyed.session(&key.to_le_bytes()).bucket() >> 12)] += 1;
        }
        // Binomial: standard deviation 97.
        assert!(
            sixteenths.iter().all(|n| n.abs_diff(10_000) < 500),
            "{sixteenths:?}"
        );
    }
}

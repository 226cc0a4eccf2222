//! Seals what is stored: values with a key of their session, and that key with a master key of the key file.
//!
//! Two levels, so that a master key can be replaced without touching a value: rotation wraps the sessions' keys anew, 69 bytes
//! each, while everything is read and written as before. AES-256-GCM on both levels. A value is bound to its session, partition, key
//! and version: whoever can write to the store can delete or put back whole states, but cannot make one value pass for another.
//!
//! In the clear are the names of partitions and keys, sizes, times and who serves a session. Not here: what a store does with the
//! bytes ([`crate::engine`]), and who may ask for them.

mod cache;
mod data;
mod file;
mod ring;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use foreshift_wire::SessionId;

pub(crate) use self::data::{DataKey, OVERHEAD, Place};
pub use self::file::{KeyFile, KeyId, MasterKey};
use self::{cache::Cache, ring::Ring};
use crate::Error;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Tells keys apart, and tells nothing of them: the first bytes of a hash.
fn fingerprint(kind: &[u8], key: &[u8; KEY_BYTES]) -> [u8; 8] {
    let mut both = zeroize::Zeroizing::new(Vec::with_capacity(kind.len() + KEY_BYTES));
    both.extend_from_slice(kind);
    both.extend_from_slice(key);
    let hash = digest(&SHA256, &both);
    let mut id = [0; 8];
    id.copy_from_slice(&hash.as_ref()[..8]);
    id
}

fn no_random(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::Unavailable {
        detail: "the system's random generator does not answer".into(),
        unknown: false,
    }
}

/// Master keys in use, and sessions' keys that were opened.
pub(crate) struct Seal {
    /// `None`: the keys are in memory only.
    file: Option<PathBuf>,
    ring: RwLock<Arc<Ring>>,
    opened: Cache,
}

impl Seal {
    /// With a master key that nobody else has: what it seals is lost with the process. `bytes` is the memory for opened keys.
    pub(crate) fn in_memory(bytes: u64) -> Result<Self, Error> {
        Ok(Self::new(None, Ring::of_one()?, bytes))
    }

    /// With the keys of a file, which must be there.
    pub(crate) fn of(file: &Path, bytes: u64) -> Result<Self, Error> {
        let ring = Ring::read(file)?;
        Ok(Self::new(Some(file.to_owned()), ring, bytes))
    }

    fn new(file: Option<PathBuf>, ring: Ring, bytes: u64) -> Self {
        Self {
            file,
            ring: RwLock::new(ring.into()),
            opened: Cache::with(bytes),
        }
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new key for a session that begins, wrapped for its record.
    pub(crate) fn begin(&self, session: SessionId) -> Result<Bytes, Error> {
        self.ring().make(session)
    }

    /// A session's key, from the wrapped form in its record.
    pub(crate) fn key(&self, session: SessionId, wrapped: &Bytes) -> Result<Arc<DataKey>, Error> {
        if let Some(key) = self.opened.get(session, wrapped) {
            return Ok(key);
        }
        let key = Arc::new(DataKey::new(&self.ring().unwrap(session, wrapped)?)?);
        self.opened.put(session, wrapped.clone(), key.clone());
        Ok(key)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

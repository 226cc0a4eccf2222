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
mod rotate;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use foreshift_wire::SessionId;
use jiff::Timestamp;

pub use self::file::{KeyFile, KeyId, KeyRole, MasterKey};
use self::{
    cache::Cache,
    ring::{Ring, master_of},
};
pub(crate) use self::{
    data::{DataKey, Place},
    rotate::{Pass, pass},
};
use crate::{Engine, Error, engine::Record};

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
    pub(crate) fn in_memory(bytes: u64) -> Self {
        let ring = Ring::of_one().expect("the system draws random numbers, and 32 bytes are a key");
        Self::new(None, ring, bytes)
    }

    /// With the keys of a file, which is made where there is none. Refused where the engine has sessions that need another one: a
    /// new key would not open them, and would hide that the right file is missing. Only some sessions are looked at.
    pub(crate) async fn open(file: &Path, engine: &dyn Engine, bytes: u64) -> Result<Self, Error> {
        let some = some(engine).await?;
        let keys = KeyFile::at(file);
        if keys.list()?.is_none() {
            if let Some(id) = some.iter().find_map(|(_, record)| master_of(&record.key)) {
                return Err(Error::File {
                    file: file.to_owned(),
                    detail: format!(
                        "is not there, but sessions are sealed with its master key {id}; put it back"
                    ),
                });
            }
            keys.make(Timestamp::now())?;
        }
        let ring = Ring::read(file)?;
        some.iter().try_for_each(|(_, record)| ring.has(&record.key))?;
        Ok(Self::new(Some(file.to_owned()), ring, bytes))
    }

    fn new(file: Option<PathBuf>, ring: Ring, bytes: u64) -> Self {
        Self {
            file,
            ring: RwLock::new(ring.into()),
            opened: Cache::with(bytes),
        }
    }

    /// The file that the keys are from.
    pub(crate) fn file(&self) -> Option<KeyFile> {
        self.file.as_deref().map(KeyFile::at)
    }

    /// What may be told of the master keys, oldest first.
    pub(crate) fn keys(&self) -> Vec<MasterKey> {
        self.ring().about()
    }

    /// Keys that left the file and are kept while a session may need them.
    pub(crate) fn leaving(&self) -> Vec<KeyId> {
        self.ring().leaving()
    }

    /// Forgets keys that left the file.
    pub(crate) fn let_go(&self, gone: &[KeyId]) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        *ring = ring.without(gone).into();
    }

    /// Reads the file again, and says whether its keys are others than before. Where it cannot be used, those before stay.
    pub(crate) fn reread(&self) -> Result<bool, Error> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let new = Ring::read(file)?;
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = new.about() != ring.about();
        if is_other {
            *ring = new.after(&ring).into();
        }
        Ok(is_other)
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

/// Some sessions; none only where there are none.
async fn some(engine: &dyn Engine) -> Result<Vec<(SessionId, Record)>, Error> {
    let mut page = engine.page(None).await?;
    while page.sessions.is_empty()
        && let Some(next) = page.next
    {
        page = engine.page(Some(next)).await?;
    }
    Ok(page.sessions)
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

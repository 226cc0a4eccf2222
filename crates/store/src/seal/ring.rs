//! The master keys in use, and sessions' keys wrapped with them.

use std::{path::Path, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use foreshift_wire::SessionId;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    KEY_BYTES, NONCE_BYTES, TAG_BYTES,
    file::{KeyFile, KeyId, Master, MasterKey},
    no_random,
};
use crate::Error;

/// The first byte of a wrapped key: how the rest is to be read.
const FORMAT: u8 = 1;
const ID_BYTES: usize = 8;
const HEAD: usize = 1 + ID_BYTES + NONCE_BYTES;
/// A wrapped key: format, the master key's id, nonce, sealed key, tag.
const WRAPPED: usize = HEAD + KEY_BYTES + TAG_BYTES;

/// Which master key a session's key is wrapped with. `None` where that cannot be told.
pub(super) fn master_of(wrapped: &[u8]) -> Option<KeyId> {
    let (&format, rest) = wrapped.split_first()?;
    let id = rest.first_chunk::<ID_BYTES>()?;
    (format == FORMAT && wrapped.len() == WRAPPED).then(|| KeyId(u64::from_be_bytes(*id)))
}

/// It has no `Debug`.
struct InUse {
    about: MasterKey,
    key: LessSafeKey,
}

/// Master keys that are ready for use.
pub(super) struct Ring {
    /// Where they are from, for messages.
    origin: Arc<str>,
    keys: Vec<Arc<InUse>>,
    /// Not in the file any more, and kept until no session needs them.
    leaving: Vec<Arc<InUse>>,
}

impl Ring {
    /// A key that is in memory only.
    pub(super) fn of_one() -> Result<Self, Error> {
        Self::of("this process", &[Master::draw(Timestamp::UNIX_EPOCH)?])
    }

    /// The keys of a file.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let masters = KeyFile::at(file).masters()?.ok_or_else(|| Error::File {
            file: file.to_owned(),
            detail: "is not there".into(),
        })?;
        Self::of(&file.display().to_string(), &masters)
    }

    fn of(origin: &str, masters: &[Master]) -> Result<Self, Error> {
        let ready = |master: &Master| {
            let unbound = UnboundKey::new(&AES_256_GCM, &master.key[..]);
            let unbound = unbound.map_err(|_| Error::Damaged("a master key has another length".into()))?;
            Ok(Arc::new(InUse {
                about: master.about,
                key: LessSafeKey::new(unbound),
            }))
        };
        Ok(Self {
            origin: origin.into(),
            keys: masters.iter().map(ready).collect::<Result<_, Error>>()?,
            leaving: Vec::new(),
        })
    }

    /// What may be told of the keys, oldest first.
    pub(super) fn about(&self) -> Vec<MasterKey> {
        self.keys.iter().map(|key| key.about).collect()
    }

    /// Keys that left the file and may still be needed.
    pub(super) fn leaving(&self) -> Vec<KeyId> {
        self.leaving.iter().map(|key| key.about.id).collect()
    }

    /// In the place of another one, whose keys that are not here any more are kept as leaving.
    pub(super) fn after(mut self, before: &Self) -> Self {
        let old = before.keys.iter().chain(&before.leaving);
        let gone = old.filter(|old| self.keys.iter().all(|key| key.about.id != old.about.id));
        self.leaving = gone.cloned().collect();
        self
    }

    /// Without these that left.
    pub(super) fn without(&self, gone: &[KeyId]) -> Self {
        let leaving = self.leaving.iter().filter(|key| !gone.contains(&key.about.id));
        Self {
            origin: self.origin.clone(),
            keys: self.keys.clone(),
            leaving: leaving.cloned().collect(),
        }
    }

    fn current(&self) -> Result<&InUse, Error> {
        let current = self.keys.iter().find(|key| key.about.is_current());
        let none = || Error::Damaged(format!("{} has no current master key", self.origin));
        Ok(current.ok_or_else(none)?)
    }

    /// A new key for a session, wrapped.
    pub(super) fn make(&self, session: SessionId) -> Result<Bytes, Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut key[..]).map_err(no_random)?;
        self.wrap(session, &key)
    }

    /// Wraps a session's key with the current master key.
    fn wrap(&self, session: SessionId, key: &Zeroizing<[u8; KEY_BYTES]>) -> Result<Bytes, Error> {
        let master = self.current()?;
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).map_err(no_random)?;
        let mut sealed = Zeroizing::new(**key);
        let tag = master
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                bound(session),
                &mut sealed[..],
            )
            .map_err(|_| Error::Damaged("a session's key is too long to be wrapped".into()))?;
        let mut wrapped = Vec::with_capacity(WRAPPED);
        wrapped.push(FORMAT);
        wrapped.extend_from_slice(&master.about.id.0.to_be_bytes());
        wrapped.extend_from_slice(&nonce);
        wrapped.extend_from_slice(&sealed[..]);
        wrapped.extend_from_slice(tag.as_ref());
        Ok(wrapped.into())
    }

    /// A session's key.
    pub(super) fn unwrap(
        &self,
        session: SessionId,
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        let damaged = |why: String| Error::Damaged(format!("a session's key in the session store {why}"));
        let id = master_of(wrapped).ok_or_else(|| damaged("was damaged; it is left as it is".into()))?;
        let master = self.find(id)?;
        let (head, body) = wrapped.split_at(HEAD);
        let nonce = Nonce::try_assume_unique_for_key(&head[1 + ID_BYTES..]);
        let nonce = nonce.map_err(|_| damaged("was damaged; it is left as it is".into()))?;
        let mut key = Zeroizing::new([0; KEY_BYTES + TAG_BYTES]);
        key.copy_from_slice(body);
        let opened = master.key.open_in_place(nonce, bound(session), &mut key[..]);
        let opened = opened.map_err(|_| {
            damaged(format!(
                "was damaged or belongs to another session (master key {id} of {}); it is left as it is",
                self.origin
            ))
        })?;
        let mut plain = Zeroizing::new([0; KEY_BYTES]);
        plain.copy_from_slice(opened);
        Ok(plain)
    }

    fn find(&self, id: KeyId) -> Result<&InUse, Error> {
        let mut all = self.keys.iter().chain(&self.leaving);
        let found = all.find(|key| key.about.id == id);
        Ok(found.ok_or_else(|| {
            Error::Damaged(format!(
                "a session is sealed with master key {id}, which {} does not have; put the file that has it in its place",
                self.origin
            ))
        })?)
    }

    /// A session's key wrapped with the current master key; `None` where it is already.
    pub(super) fn anew(&self, session: SessionId, wrapped: &[u8]) -> Result<Option<Bytes>, Error> {
        if master_of(wrapped) == Some(self.current()?.about.id) {
            return Ok(None);
        }
        Ok(Some(self.wrap(session, &self.unwrap(session, wrapped)?)?))
    }

    /// Whether a session's key can be opened, as far as its master key's id tells.
    pub(super) fn has(&self, wrapped: &[u8]) -> Result<(), Error> {
        master_of(wrapped).map_or(Ok(()), |id| self.find(id).map(drop))
    }
}

/// What is authenticated beside a session's key.
fn bound(session: SessionId) -> Aad<[u8; 17]> {
    let mut bound = [FORMAT; 17];
    bound[1..].copy_from_slice(&session.0.to_be_bytes());
    Aad::from(bound)
}

#[cfg(test)]
mod tests {
    use super::{super::file::KeyRole, *};

    fn ring(keys: &[u8], current: u8) -> Ring {
        let role = |byte| match byte == current {
            true => KeyRole::Current,
            false => KeyRole::Kept,
        };
        let masters: Vec<_> = keys
            .iter()
            .map(|byte| Master::known([*byte; KEY_BYTES], role(*byte)))
            .collect();
        Ring::of("the keys of a test", &masters).unwrap()
    }

    #[test]
    fn a_wrapped_key_opens_for_its_session_and_with_its_master_key_only() {
        let (ring_a, session) = (ring(&[1], 1), SessionId(5));
        let wrapped = ring_a.make(session).unwrap();
        let key = ring_a.unwrap(session, &wrapped).unwrap();
        assert_eq!(ring(&[1, 2], 2).unwrap(session, &wrapped).unwrap(), key);
        assert!(
            ring_a.unwrap(SessionId(6), &wrapped).is_err(),
            "another session's"
        );
        let unknown = ring(&[2], 2).unwrap(session, &wrapped).unwrap_err().to_string();
        let id = master_of(&wrapped).unwrap().to_string();
        assert!(
            unknown.contains(&id) && unknown.contains("the keys of a test"),
            "{unknown}"
        );
        for at in 0..wrapped.len() {
            for bit in 0..8 {
                let mut other = wrapped.to_vec();
                other[at] ^= 1 << bit;
                assert!(ring_a.unwrap(session, &other).is_err(), "byte {at} bit {bit}");
            }
            assert!(ring_a.unwrap(session, &wrapped[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_rotation_changes_the_wrapping_and_not_the_key() {
        let (old, session) = (ring(&[1], 1), SessionId(5));
        let wrapped = old.make(session).unwrap();
        let both = ring(&[1, 2], 2);
        let anew = both.anew(session, &wrapped).unwrap().unwrap();
        assert_eq!(both.anew(session, &anew).unwrap(), None, "once is enough");
        let new = ring(&[2], 2);
        assert_eq!(
            new.unwrap(session, &anew).unwrap(),
            old.unwrap(session, &wrapped).unwrap()
        );
        assert!(old.unwrap(session, &anew).is_err());
    }

    #[test]
    fn a_key_that_left_the_file_opens_until_it_is_let_go() {
        let (old, session) = (ring(&[1], 1), SessionId(5));
        let wrapped = old.make(session).unwrap();
        let new = ring(&[2], 2).after(&old);
        assert!(new.unwrap(session, &wrapped).is_ok());
        let later = ring(&[2, 3], 3).after(&new);
        assert_eq!(later.leaving(), new.leaving());
        assert!(later.without(&new.leaving()).unwrap(session, &wrapped).is_err());
        assert!(ring(&[1, 2], 2).after(&new).leaving().is_empty(), "it came back");
    }
}

//! A session's own key, and the values that it seals.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use foreshift_wire::{PartitionName, SessionId, Version};
use zeroize::Zeroizing;

use super::{KEY_BYTES, NONCE_BYTES, TAG_BYTES, fingerprint, no_random};
use crate::Error;

/// The first byte of a sealed value: how the rest is to be read.
const FORMAT: u8 = 1;
/// Tells a session's keys apart, should it ever have had two.
const ID_BYTES: usize = 4;
const HEAD: usize = 1 + ID_BYTES + NONCE_BYTES;

/// Bytes that sealing adds to a value.
pub(crate) const OVERHEAD: usize = HEAD + TAG_BYTES;

/// Where a value belongs. It opens nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) session: SessionId,
    pub(crate) partition: &'a PartitionName,
    pub(crate) key: &'a [u8],
    pub(crate) version: Version,
}

impl Place<'_> {
    /// What is authenticated beside the value: no two places make the same bytes, as all but the last part have a fixed or a
    /// told length.
    fn bound(&self) -> Vec<u8> {
        let name = self.partition.as_str().as_bytes();
        let mut bound = Vec::with_capacity(1 + 16 + 8 + 4 + name.len() + self.key.len());
        bound.push(FORMAT);
        bound.extend_from_slice(&self.session.0.to_be_bytes());
        bound.extend_from_slice(&self.version.0.to_be_bytes());
        bound.extend_from_slice(&(name.len() as u32).to_be_bytes());
        bound.extend_from_slice(name);
        bound.extend_from_slice(self.key);
        bound
    }
}

/// A session's own key. It has no `Debug`, and is wiped when it is dropped.
pub(crate) struct DataKey {
    id: [u8; ID_BYTES],
    key: LessSafeKey,
}

impl DataKey {
    pub(super) fn new(key: &Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, Error> {
        let [a, b, c, d, ..] = fingerprint(b"foreshift data key", key);
        let unbound = UnboundKey::new(&AES_256_GCM, &key[..]);
        let unbound = unbound.map_err(|_| Error::Damaged("a session's key has another length".into()))?;
        Ok(Self {
            id: [a, b, c, d],
            key: LessSafeKey::new(unbound),
        })
    }

    /// Seals what the parts make together: format, the key's id, a random nonce, ciphertext and tag.
    ///
    /// A nonce is 96 random bits. One key may seal 2^32 values until two with the same nonce are as likely as one in 2^33; a
    /// session that writes 20,000 values each second does that in two days and a half.
    pub(crate) fn seal(&self, place: Place<'_>, parts: &[&[u8]]) -> Result<Bytes, Error> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut nonce = [0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut nonce).map_err(no_random)?;
        let mut sealed = Vec::with_capacity(OVERHEAD + length);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        for part in parts {
            sealed.extend_from_slice(part);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let bound = Aad::from(place.bound());
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, bound, &mut sealed[HEAD..])
            .map_err(|_| Error::Damaged("a value is too long to be sealed".into()))?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed.into())
    }

    /// Opens what [`DataKey::seal`] sealed for the same place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Bytes, Error> {
        let damaged = |why: &str| {
            let partition = place.partition;
            Error::Damaged(format!(
                "a value of partition {partition} in the session store {why}; it is left as it is"
            ))
        };
        let Some((head, body)) = sealed.split_at_checked(HEAD) else {
            return Err(damaged("is cut short"));
        };
        let (format, id) = (head[0], &head[1..=ID_BYTES]);
        if format != FORMAT {
            return Err(damaged("has a format that this version does not know"));
        }
        if id != self.id {
            return Err(damaged("was sealed with another key of its session"));
        }
        let nonce =
            Nonce::try_assume_unique_for_key(&head[1 + ID_BYTES..]).map_err(|_| damaged("is cut short"))?;
        let mut plain = body.to_vec();
        let bound = Aad::from(place.bound());
        let opened = self.key.open_in_place(nonce, bound, &mut plain);
        let length = opened
            .map_err(|_| damaged("was damaged, or belongs elsewhere"))?
            .len();
        plain.truncate(length);
        Ok(plain.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> DataKey {
        DataKey::new(&Zeroizing::new([7; KEY_BYTES])).unwrap()
    }

    fn name(text: &str) -> PartitionName {
        PartitionName::new(text).unwrap()
    }

    #[test]
    fn a_value_opens_where_it_belongs_and_nowhere_else() {
        let (cart, auth) = (name("cart"), name("auth"));
        let place = |session, partition, key, version| Place {
            session: SessionId(session),
            partition,
            key,
            version: Version(version),
        };
        let here = place(1, &cart, b"item", 17);
        let sealed = key().seal(here, &[b"5", b" apples"]).unwrap();
        assert_eq!(key().open(here, &sealed).unwrap(), "5 apples");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"apples"));
        for (what, elsewhere) in [
            ("another partition", place(1, &auth, b"item", 17)),
            ("another session", place(2, &cart, b"item", 17)),
            ("another key", place(1, &cart, b"items", 17)),
            ("no key", place(1, &cart, b"", 17)),
            (
                "an older version under a newer number",
                place(1, &cart, b"item", 18),
            ),
            ("a newer one under an older number", place(1, &cart, b"item", 16)),
        ] {
            let refused = key().open(elsewhere, &sealed);
            assert!(matches!(refused, Err(Error::Damaged(_))), "{what}");
        }
        let other = DataKey::new(&Zeroizing::new([8; KEY_BYTES])).unwrap();
        let refused = other.open(here, &sealed).unwrap_err().to_string();
        assert!(refused.contains("another key"), "{refused}");
    }

    #[test]
    fn a_boundary_between_partition_and_key_cannot_be_moved() {
        let (short, long) = (name("a"), name("a/b"));
        let place = |partition, key| Place {
            session: SessionId(1),
            partition,
            key,
            version: Version(1),
        };
        assert_ne!(place(&short, b"/bc").bound(), place(&long, b"c").bound());
        let sealed = key().seal(place(&short, b"/bc"), &[b"x"]).unwrap();
        assert!(key().open(place(&long, b"c"), &sealed).is_err());
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_bytes() {
        let cart = name("cart");
        let place = Place {
            session: SessionId(1),
            partition: &cart,
            key: b"k",
            version: Version(1),
        };
        let sealed: std::collections::HashSet<_> = (0..1_000)
            .map(|_| key().seal(place, &[b"same"]).unwrap())
            .collect();
        assert_eq!(sealed.len(), 1_000);
    }

    proptest! {
        #[test]
        fn no_bit_can_be_turned_and_nothing_cut_or_added(
            plain in prop::collection::vec(any::<u8>(), 0..200),
            name_of_key in prop::collection::vec(any::<u8>(), 1..40),
            turned in any::<prop::sample::Index>(),
            bit in 0..8_u8,
            cut in any::<prop::sample::Index>(),
            added in any::<u8>(),
        ) {
            let cart = name("game/inventory");
            let place = Place { session: SessionId(9), partition: &cart, key: &name_of_key, version: Version(3) };
            let key = key();
            let sealed = key.seal(place, &[&plain]).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(&key.open(place, &sealed).unwrap()[..], &plain[..]);
            let mut other = sealed.to_vec();
            other[turned.index(sealed.len())] ^= 1 << bit;
            prop_assert!(key.open(place, &other).is_err());
            prop_assert!(key.open(place, &sealed[..cut.index(sealed.len())]).is_err());
            let mut longer = sealed.to_vec();
            longer.push(added);
            prop_assert!(key.open(place, &longer).is_err());
        }
    }
}

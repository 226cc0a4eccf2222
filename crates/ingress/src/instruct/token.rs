//! The tokens that told clients come back with: signed, for one session, one target and one time.
//!
//! `v1.<key id>.<payload>.<HMAC-SHA-256>`, the last two in base64url without padding. The signature is over all that is
//! before it. The payload is the session (16 bytes), the pool and the target node (each a length of 2 bytes and so many bytes of text), the
//! expiry in Unix milliseconds and a nonce (8 bytes each), all numbers big-endian.
//!
//! A token with which a client goes on with the next process, rather than with its old connection, begins with `r1`.
//!
//! Pure: the time is an argument. That a token is used once only is the [`super::Ledger`]'s.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use foreshift_meta::routes::SigningKeys;
use foreshift_wire::{NodeId, PoolName, SessionId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Longest text that is looked at.
const TEXT_MAX: usize = 1024;

/// How the token of a move begins.
const MOVE: &str = "v1";
/// How the token of a return to the next process begins.
const RETURN: &str = "r1";

/// Whether a token is for a return, if it is any.
pub(crate) fn is_return(text: &str) -> bool {
    text.split('.').next() == Some(RETURN)
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub session: SessionId,
    /// In which pool.
    pub pool: PoolName,
    /// The node that the session goes to.
    pub node: NodeId,
    /// In Unix milliseconds; good before it.
    pub expires_ms: u64,
    /// Tells it from all others.
    pub nonce: u64,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum Refusal {
    /// It is cut, too long, or no token at all.
    Malformed,
    /// It names a key that signs nothing here.
    UnknownKey,
    /// Somebody else made or changed it.
    Forged,
    /// It was good once.
    Expired,
    /// The request is of another client, or for another pool.
    OtherSession,
    /// It was used.
    Used,
    /// More are used at once than can be remembered.
    TooMany,
    /// No move waits for it: it was called off, or another process made it.
    Unknown,
}

impl Refusal {
    /// What the client is told.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::UnknownKey => "the token is signed with a key that is not known",
            Self::Forged => "the token's signature is wrong",
            Self::Expired => "the token has expired",
            Self::OtherSession => "the token is for another session",
            Self::Used => "the token was used before",
            Self::TooMany => "too many tokens are used at once",
            Self::Unknown => "no move waits for the token",
        }
    }
}

/// Signs and verifies, with the keys of the cluster.
#[derive(Clone)]
pub struct Ring {
    /// The one that signs is the last.
    keys: Vec<(String, Hmac<Sha256>)>,
}

impl Ring {
    /// With the keys that metadata has.
    pub fn new(keys: &SigningKeys) -> Self {
        let key = |key: &foreshift_meta::routes::SigningKey| {
            let mac = Hmac::new_from_slice(&key.bytes()?).ok()?;
            Some((key.id.clone(), mac))
        };
        Self {
            keys: keys.keys.iter().filter_map(key).collect(),
        }
    }

    /// A token. `None` where there is no key to sign with.
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        self.sign_as(MOVE, claims)
    }

    /// As [`Self::sign`], for a return.
    pub(crate) fn sign_return(&self, claims: &Claims) -> Option<String> {
        self.sign_as(RETURN, claims)
    }

    fn sign_as(&self, purpose: &str, claims: &Claims) -> Option<String> {
        let (id, key) = self.keys.last()?;
        let mut text = format!("{purpose}.{id}.");
        URL_SAFE_NO_PAD.encode_string(payload(claims), &mut text);
        let signature = key.clone().chain_update(&text).finalize().into_bytes();
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Some(text)
    }

    /// What a token says, if it was signed here and is still good at `now_ms`.
    pub fn verify(&self, text: &str, now_ms: u64) -> Result<Claims, Refusal> {
        self.verify_as(MOVE, text, now_ms)
    }

    /// As [`Self::verify`], for a return.
    pub(crate) fn verify_return(&self, text: &str, now_ms: u64) -> Result<Claims, Refusal> {
        self.verify_as(RETURN, text, now_ms)
    }

    fn verify_as(&self, purpose: &str, text: &str, now_ms: u64) -> Result<Claims, Refusal> {
        if text.len() > TEXT_MAX {
            return Err(Refusal::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let mut parts = signed.split('.');
        let (Some(named), Some(id), Some(payload), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed);
        };
        if named != purpose {
            return Err(Refusal::Malformed);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        let known = self.keys.iter().find(|(known, _)| known == id);
        let (_, key) = known.ok_or(Refusal::UnknownKey)?;
        // In constant time.
        key.clone()
            .chain_update(signed)
            .verify_slice(&signature)
            .map_err(|_| Refusal::Forged)?;
        let claims = read(&payload).ok_or(Refusal::Malformed)?;
        if claims.expires_ms <= now_ms {
            return Err(Refusal::Expired);
        }
        Ok(claims)
    }
}

pub(crate) fn payload(claims: &Claims) -> Vec<u8> {
    let mut bytes = claims.session.0.to_be_bytes().to_vec();
    for text in [claims.pool.as_str(), claims.node.as_str()] {
        // Names are at most some dozens of characters.
        bytes.extend((text.len() as u16).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(claims.expires_ms.to_be_bytes());
    bytes.extend(claims.nonce.to_be_bytes());
    bytes
}

/// What a payload says; `None` where it is none, or not written as [`payload`] does.
pub(crate) fn read(mut bytes: &[u8]) -> Option<Claims> {
    let claims = Claims {
        session: SessionId(u128::from_be_bytes(*take(&mut bytes)?)),
        pool: PoolName::new(text(&mut bytes)?).ok()?,
        node: NodeId::new(text(&mut bytes)?).ok()?,
        expires_ms: u64::from_be_bytes(*take(&mut bytes)?),
        nonce: u64::from_be_bytes(*take(&mut bytes)?),
    };
    bytes.is_empty().then_some(claims)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(u16::from_be_bytes(*take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(keys: &str) -> Ring {
        let keys: Vec<String> = keys
            .chars()
            .map(|c| {
                let secret = format!("{:02x}", c as u8).repeat(32);
                format!(r#"{{"id":"k{c}","secret":"{secret}","since_ms":0}}"#)
            })
            .collect();
        let text = format!(r#"{{"next":9,"keys":[{}]}}"#, keys.join(","));
        Ring::new(&serde_json::from_str(&text).unwrap())
    }

    fn claims() -> Claims {
        Claims {
            session: SessionId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            pool: PoolName::new("app").unwrap(),
            node: NodeId::new("n-1").unwrap(),
            expires_ms: 1_000,
            nonce: 42,
        }
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_expires() {
        let token = ring("a").sign(&claims()).unwrap();
        assert_eq!(ring("a").verify(&token, 999), Ok(claims()));
        assert_eq!(ring("a").verify(&token, 1_000), Err(Refusal::Expired));
    }

    #[test]
    fn a_token_is_good_for_a_move_or_for_a_return_and_not_for_the_other() {
        let (moves, returns) = (
            ring("a").sign(&claims()).unwrap(),
            ring("a").sign_return(&claims()).unwrap(),
        );
        assert!(is_return(&returns) && !is_return(&moves) && !is_return("r1x"));
        assert_eq!(ring("a").verify_return(&returns, 0), Ok(claims()));
        assert_eq!(ring("a").verify(&returns, 0), Err(Refusal::Malformed));
        assert_eq!(ring("a").verify_return(&moves, 0), Err(Refusal::Malformed));
        let renamed = moves.replacen("v1.", "r1.", 1);
        assert_eq!(ring("a").verify_return(&renamed, 0), Err(Refusal::Forged));
    }

    #[test]
    fn the_last_key_signs_and_all_keys_verify() {
        let old = ring("a").sign(&claims()).unwrap();
        let new = ring("ab").sign(&claims()).unwrap();
        assert!(old.starts_with("v1.ka.") && new.starts_with("v1.kb."));
        assert_eq!(ring("ab").verify(&old, 0), Ok(claims()));
        assert_eq!(ring("b").verify(&old, 0), Err(Refusal::UnknownKey));
        assert_eq!(ring("").sign(&claims()), None);
    }

    #[test]
    fn a_key_of_the_same_name_elsewhere_is_another_key() {
        let theirs = ring("a").sign(&claims()).unwrap().replace("v1.ka.", "v1.kb.");
        assert_eq!(ring("ab").verify(&theirs, 0), Err(Refusal::Forged));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let token = ring("a").sign(&claims()).unwrap();
        for text in [
            "",
            ".",
            "v1",
            "v1.ka",
            "v1.ka.",
            "v1.ka.AAAA",
            "...",
            &format!("{token}="),
            &format!("{token}.{token}"),
            &token.replace("v1.", "v2."),
            &"a".repeat(2000),
        ] {
            assert_eq!(ring("a").verify(text, 0), Err(Refusal::Malformed), "{text}");
        }
    }

    fn any_claims() -> impl Strategy<Value = Claims> {
        let name = "[a-z0-9][a-z0-9._-]{0,40}";
        (any::<u128>(), name, name, 1_u64.., any::<u64>()).prop_map(
            |(session, pool, node, expires_ms, nonce)| Claims {
                session: SessionId(session),
                pool: PoolName::new(&pool).unwrap(),
                node: NodeId::new(&node).unwrap(),
                expires_ms,
                nonce,
            },
        )
    }

    proptest! {
        #[test]
        fn any_claims_come_back_as_they_were(claims in any_claims()) {
            let token = ring("ab").sign(&claims).unwrap();
            prop_assert!(token.len() <= TEXT_MAX);
            prop_assert_eq!(ring("ab").verify(&token, 0), Ok(claims));
        }

        #[test]
        fn a_token_with_any_byte_changed_is_refused(
            claims in any_claims(), at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f,
        ) {
            let mut token = ring("ab").sign(&claims).unwrap().into_bytes();
            let at = at.index(token.len());
            prop_assume!(token[at] != byte);
            token[at] = byte;
            let token = String::from_utf8(token).unwrap();
            prop_assert!(ring("ab").verify(&token, 0).is_err(), "{token}");
        }

        #[test]
        fn a_token_cut_anywhere_is_refused(claims in any_claims(), at in any::<prop::sample::Index>()) {
            let token = ring("ab").sign(&claims).unwrap();
            prop_assert!(ring("ab").verify(&token[..at.index(token.len())], 0).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ring("a").verify(&text, 0);
            let _ = read(&payload);
        }
    }
}

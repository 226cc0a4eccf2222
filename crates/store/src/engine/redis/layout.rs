//! How a session lies in Redis: one hash, so that it is always as a whole on one server, moves as one when its slot moves, is
//! checked and changed by one script and ends by one expiry. Partition names contain none of `@=!#:`, which tell its fields apart:
//!
//! | Field | Value |
//! |---|---|
//! | `@record` | the [`Record`] |
//! | `@fence` | of it: epoch, end, whether it is revoked, owner |
//! | `@bytes` | bytes of all partitions |
//! | `@names` | names of all partitions, a line each |
//! | `=cart` | the head of `cart`: version, where its next write is remembered, floor, end, keys, bytes |
//! | `cart#key` | the value of `key`, and nothing else: Lua, which takes a microsecond for each KiB, need not look at it |
//! | `cart@key` | of `key`: version, length of the value, place |
//! | `cart:1` | the key at that place: places are numbered without gaps |
//! | `!cart` | removed keys: version, length and key of each |
//! | `!cart:0` to `!cart:7` | the last writes: id, version; and keys that were removed and added, where there were |

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};
use serde::{Deserialize, Serialize};

use super::super::{Head, Record};
use crate::Error;

/// Before the id in the names of keys.
pub(super) const PREFIX: &str = "{fs:";
/// Redis forgets a session so long after its end, in milliseconds: clocks differ.
const FORGET_AFTER_MS: u64 = 3_600_000;

/// The key of a session.
pub(super) fn key(session: SessionId) -> String {
    format!("{PREFIX}{session}}}")
}

/// The session of a key; `None` where it is none of ours.
pub(super) fn session(key: &[u8]) -> Option<SessionId> {
    let id = key.strip_prefix(PREFIX.as_bytes())?.strip_suffix(b"}")?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// A record as it is stored. Two that are equal are the same bytes.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pool: Option<PoolName>,
    created_ms: u64,
    used_ms: u64,
    ends_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    owner: Option<NodeId>,
    epoch: Epoch,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    revoked_ms: Option<u64>,
    key: String,
}

/// The record as it is stored.
pub(super) fn record_text(record: &Record) -> String {
    let stored = Stored {
        pool: record.pool.clone(),
        created_ms: record.created_ms,
        used_ms: record.used_ms,
        ends_ms: record.ends_ms,
        owner: record.owner.clone(),
        epoch: record.epoch,
        revoked_ms: record.revoked_ms,
        key: record.key.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    serde_json::to_string(&stored).expect("names and numbers are JSON")
}

/// What scripts need of a record.
pub(super) fn fence_text(record: &Record) -> String {
    let is_revoked = u8::from(record.revoked_ms.is_some());
    let owner = record.owner.as_ref().map_or("", NodeId::as_str);
    format!("{} {} {is_revoked} {owner}", record.epoch, record.ends_ms)
}

/// When Redis may forget a session by itself, in Unix milliseconds.
pub(super) fn forget_ms(record: &Record) -> u64 {
    // Beyond this Redis takes it for an overflow.
    record.ends_ms.saturating_add(FORGET_AFTER_MS).min(1 << 53)
}

/// A record that was stored.
pub(super) fn record(text: &[u8]) -> Result<Record, Error> {
    let stored: Stored = serde_json::from_slice(text).map_err(|_| damaged("record"))?;
    Ok(Record {
        pool: stored.pool,
        created_ms: stored.created_ms,
        used_ms: stored.used_ms,
        ends_ms: stored.ends_ms,
        owner: stored.owner,
        epoch: stored.epoch,
        revoked_ms: stored.revoked_ms,
        key: unhex(&stored.key).ok_or_else(|| damaged("record"))?,
    })
}

fn unhex(text: &str) -> Option<Bytes> {
    let digit = |d: u8| char::from(d).to_digit(16).map(|d| d as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// A partition's head that was stored.
pub(super) fn head(name: PartitionName, text: &[u8]) -> Result<Head, Error> {
    let wrong = || damaged("head of a partition");
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or_else(wrong);
    let number = |word: &str| word.parse::<u64>().map_err(|_| wrong());
    let version = Version(number(word()?)?);
    word()?;
    Ok(Head {
        name,
        version,
        floor: Version(number(word()?)?),
        expires_ms: match word()? {
            "-" => None,
            at => Some(number(at)?),
        },
        keys: number(word()?)?,
        bytes: number(word()?)?,
    })
}

/// The version of a key, whose value is so long.
pub(super) fn version(known: &[u8], length: usize) -> Result<Version, Error> {
    let wrong = || damaged("key of a partition");
    let text = std::str::from_utf8(known).map_err(|_| wrong())?;
    let mut words = text.split(' ').map(str::parse::<u64>);
    let mut word = || words.next().and_then(Result::ok).ok_or_else(wrong);
    let (version, stored) = (word()?, word()?);
    match stored == length as u64 {
        true => Ok(Version(version)),
        false => Err(wrong()),
    }
}

/// Something in Redis is not as this engine writes it.
pub(super) fn damaged(what: &str) -> Error {
    Error::Damaged(format!(
        "a {what} in Redis is not as Foreshift writes it: something else changed keys that begin with {PREFIX}; end the session"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_stored() {
        let bare = || Record {
            pool: None,
            created_ms: 1,
            used_ms: 2,
            ends_ms: 3,
            owner: None,
            epoch: Epoch(4),
            revoked_ms: None,
            key: Bytes::new(),
        };
        let full = Record {
            pool: Some(PoolName::new("app").unwrap()),
            owner: Some(NodeId::new("a").unwrap()),
            revoked_ms: Some(9),
            key: Bytes::from_static(b"\x00\xff\x10"),
            ..bare()
        };
        for (stored, fence) in [(bare(), "4 3 0 "), (full, "4 3 1 a")] {
            assert_eq!(record(record_text(&stored).as_bytes()).unwrap(), stored);
            assert_eq!(fence_text(&stored), fence);
        }
    }

    #[test]
    fn a_key_names_its_session() {
        let id = SessionId(0xab);
        assert_eq!(key(id), "{fs:000000000000000000000000000000ab}");
        assert_eq!(session(key(id).as_bytes()), Some(id));
        for other in [
            "{fs:}",
            "{fs:ab}",
            "{fs:000000000000000000000000000000ab}x",
            "x",
            "",
        ] {
            assert_eq!(session(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        for text in [
            "",
            "1",
            "1 ",
            "1 4 1",
            "x 5 1",
            "99999999999999999999 5 1",
            "1 -5 1",
        ] {
            assert!(version(text.as_bytes(), 5).is_err(), "{text}");
        }
        assert_eq!(version(b"7 5 1", 5).unwrap(), Version(7));
        let name = PartitionName::new("cart").unwrap();
        for text in ["", "1 0 2 3", "1 0 2 x 4 5", "1 0 2 - 4"] {
            assert!(head(name.clone(), text.as_bytes()).is_err(), "{text}");
        }
        for text in ["", "{}", "null"] {
            assert!(record(text.as_bytes()).is_err(), "{text}");
        }
    }
}

//! How a session lies in Redis: one hash, so that it is always as a whole on one server, moves as one when its slot moves, is
//! checked and changed by one script and ends by one expiry. Partition names contain none of `@=!#:`, which tell its fields apart:
//!
//! | Field | Value |
//! |---|---|
//! | `@record` | the [`Record`] |
//! | `@fence` | of it: epoch, end, whether it is revoked, owner |
//! | `@bytes` | bytes of all partitions |
//! | `@names` | names of all partitions, a line each |
//! | `=cart` | the head of `cart`, and the ids of its last writes |
//! | `cart#key` | the place of `key` in `cart` |
//! | `cart:1` | the row at that place: version, length of the key, key and value |
//! | `!cart` | removed keys: version, length and key of each |

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};
use serde::{Deserialize, Serialize};

use super::super::{Head, Record, Row};
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
    Ok(Head {
        name,
        version: Version(number(word()?)?),
        floor: Version(number(word()?)?),
        expires_ms: match word()? {
            "-" => None,
            at => Some(number(at)?),
        },
        keys: number(word()?)?,
        bytes: number(word()?)?,
    })
}

/// A row that was stored; of a removed key where `is_there` does not hold.
pub(super) fn row(text: Vec<u8>, is_there: bool) -> Result<Row, Error> {
    let wrong = || damaged("row of a partition");
    let text = Bytes::from(text);
    let (version, rest) = number(&text).ok_or_else(wrong)?;
    let (length, rest) = number(rest).ok_or_else(wrong)?;
    let begin = text.len() - rest.len();
    let end = begin.saturating_add(length as usize);
    if end > text.len() {
        return Err(wrong());
    }
    Ok(Row {
        key: text.slice(begin..end),
        version: Version(version),
        value: is_there.then(|| text.slice(end..)),
    })
}

/// A number and the space behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().take(21).position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, &text[end + 1..]))
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
            "1 5 abc",
            "x 1 a",
            "1 99999999999999999999 a",
            "1 18446744073709551615 a",
        ] {
            assert!(row(text.into(), true).is_err(), "{text}");
        }
        let good = row(b"7 3 a bvalue".to_vec(), true).unwrap();
        assert_eq!((good.version, &good.key[..]), (Version(7), &b"a b"[..]));
        assert_eq!(good.value.as_deref(), Some(&b"value"[..]));
        let name = PartitionName::new("cart").unwrap();
        for text in ["", "1 2 3", "1 2 x 4 5 ", "1 2 - 4"] {
            assert!(head(name.clone(), text.as_bytes()).is_err(), "{text}");
        }
        for text in ["", "{}", "null"] {
            assert!(record(text.as_bytes()).is_err(), "{text}");
        }
    }
}

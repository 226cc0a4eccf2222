//! How sessions lie in the file.
//!
//! Table `records`: a session's id to its record. Table `state`: all that is in a session lies together, so that a write touches one or two
//! pages, and whatever is asked for is one range. Its keys begin with the session's id (16 bytes, big-endian); then
//!
//! - `0`, a partition's name: its head;
//! - `1`, the length of the name, the name, `0`, a key: version and value, or version and the mark of a removed key;
//! - `1`, …, `1`, a version, a key: that key was written in that version; and `2` instead of the last `1`: it was removed.

use bytes::{Buf, BufMut, Bytes};
use foreshift_wire::{Epoch, NodeId, PartitionName, PoolName, SessionId, Version};
use redb::TableDefinition;

use crate::engine::{Head, Record};

pub(super) const RECORDS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("records");
pub(super) const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");

const HEADS: u8 = 0;
const PARTS: u8 = 1;
const PARTS_END: u8 = 2;
const ROWS: u8 = 0;
/// Stands for no time.
const NEVER: u64 = u64::MAX;

/// Something in the file is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Which way a key was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Written = 1,
    Removed = 2,
}

/// Bounds of the keys that a range covers; the end is outside.
pub(super) type Span = (Vec<u8>, Vec<u8>);

/// All of a session.
pub(super) fn session_span(session: SessionId) -> Span {
    (tagged(session, HEADS, 0), tagged(session, PARTS_END, 0))
}

/// Heads of a session.
pub(super) fn heads_span(session: SessionId) -> Span {
    (tagged(session, HEADS, 0), tagged(session, PARTS, 0))
}

pub(super) fn head_key(session: SessionId, name: &PartitionName) -> Vec<u8> {
    let mut key = tagged(session, HEADS, name.as_str().len());
    key.extend_from_slice(name.as_str().as_bytes());
    key
}

/// The name in the key of a head.
pub(super) fn head_name(key: &[u8]) -> Result<&str, Malformed> {
    let name = key.get(17..).ok_or(Malformed)?;
    std::str::from_utf8(name).map_err(|_| Malformed)
}

fn tagged(session: SessionId, tag: u8, room: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(17 + room);
    key.extend_from_slice(&session.0.to_be_bytes());
    key.push(tag);
    key
}

/// Makes the keys of one partition.
pub(super) struct Keys(Vec<u8>);

impl Keys {
    pub(super) fn of(session: SessionId, name: &PartitionName) -> Self {
        let name = name.as_str().as_bytes();
        let mut key = tagged(session, PARTS, 2 + name.len());
        // A name has 128 bytes at most.
        key.push(name.len() as u8);
        key.extend_from_slice(name);
        Self(key)
    }

    fn with(&self, tag: u8, rest: &[&[u8]]) -> Vec<u8> {
        let room: usize = rest.iter().map(|part| part.len()).sum();
        let mut key = Vec::with_capacity(self.0.len() + 1 + room);
        key.extend_from_slice(&self.0);
        key.push(tag);
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    pub(super) fn row(&self, key: &[u8]) -> Vec<u8> {
        self.with(ROWS, &[key])
    }

    pub(super) fn rows(&self) -> Span {
        (self.with(ROWS, &[]), self.with(Change::Written as u8, &[]))
    }

    pub(super) fn change(&self, change: Change, version: Version, key: &[u8]) -> Vec<u8> {
        self.with(change as u8, &[&version.0.to_be_bytes(), key])
    }

    /// Changes of one way after a version.
    pub(super) fn changes(&self, change: Change, after: Version) -> Span {
        let from = after.0.saturating_add(1).to_be_bytes();
        (
            self.with(change as u8, &[&from]),
            self.with(change as u8 + 1, &[]),
        )
    }

    /// All but the head.
    pub(super) fn all(&self) -> Span {
        (self.with(ROWS, &[]), self.with(Change::Removed as u8 + 1, &[]))
    }

    /// The key of a row.
    pub(super) fn key_of_row<'a>(&self, row: &'a [u8]) -> Result<&'a [u8], Malformed> {
        row.get(self.0.len() + 1..).ok_or(Malformed)
    }

    /// Version and key of a change.
    pub(super) fn of_change<'a>(&self, change: &'a [u8]) -> Result<(Version, &'a [u8]), Malformed> {
        let rest = change.get(self.0.len() + 1..).ok_or(Malformed)?;
        let (version, key) = rest.split_first_chunk().ok_or(Malformed)?;
        Ok((Version(u64::from_be_bytes(*version)), key))
    }
}

/// A row: its version, and whether it has a value.
pub(super) fn encode_row(version: Version, value: Option<&[u8]>) -> Vec<u8> {
    let mut row = Vec::with_capacity(9 + value.map_or(0, <[u8]>::len));
    row.put_u64(version.0);
    row.put_u8(value.is_some().into());
    row.extend_from_slice(value.unwrap_or_default());
    row
}

pub(super) fn decode_row(row: &[u8]) -> Result<(Version, Option<&[u8]>), Malformed> {
    let (version, rest) = row.split_first_chunk().ok_or(Malformed)?;
    let (is_there, value) = rest.split_first().ok_or(Malformed)?;
    let version = Version(u64::from_be_bytes(*version));
    Ok((version, (*is_there == 1).then_some(value)))
}

/// A head without its name, and what only the file knows of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) version: Version,
    pub(super) floor: Version,
    pub(super) keys: u64,
    pub(super) bytes: u64,
    pub(super) expires_ms: Option<u64>,
    /// Removed keys that are remembered.
    pub(super) removed: u64,
}

impl State {
    pub(super) fn is_remembered(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|at| now_ms < at)
    }

    pub(super) fn named(&self, name: PartitionName) -> Head {
        Head {
            name,
            version: self.version,
            floor: self.floor,
            keys: self.keys,
            bytes: self.bytes,
            expires_ms: self.expires_ms,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let expires = self.expires_ms.unwrap_or(NEVER);
        let all = [
            self.version.0,
            self.floor.0,
            self.keys,
            self.bytes,
            expires,
            self.removed,
        ];
        all.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    pub(super) fn decode(mut state: &[u8]) -> Result<Self, Malformed> {
        let mut next = || state.try_get_u64().map_err(|_| Malformed);
        Ok(Self {
            version: Version(next()?),
            floor: Version(next()?),
            keys: next()?,
            bytes: next()?,
            expires_ms: Some(next()?).filter(|at| *at != NEVER),
            removed: next()?,
        })
    }
}

pub(super) fn encode_record(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let revoked = record.revoked_ms.unwrap_or(NEVER);
    for n in [
        record.created_ms,
        record.used_ms,
        record.ends_ms,
        record.epoch.0,
        revoked,
    ] {
        out.put_u64(n);
    }
    let pool = record.pool.as_ref().map_or("", PoolName::as_str);
    let owner = record.owner.as_ref().map_or("", NodeId::as_str);
    for text in [pool, owner] {
        // Both kinds of names are far shorter than that.
        out.put_u16(text.len() as u16);
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(&record.key);
    out
}

pub(super) fn decode_record(mut record: &[u8]) -> Result<Record, Malformed> {
    let mut numbers = [0; 5];
    for n in &mut numbers {
        *n = record.try_get_u64().map_err(|_| Malformed)?;
    }
    let [created_ms, used_ms, ends_ms, epoch, revoked] = numbers;
    let mut text = || {
        let length = usize::from(record.try_get_u16().map_err(|_| Malformed)?);
        let (text, rest) = record.split_at_checked(length).ok_or(Malformed)?;
        record = rest;
        std::str::from_utf8(text).map_err(|_| Malformed)
    };
    let (pool, owner) = (text()?, text()?);
    let pool = Some(pool).filter(|text| !text.is_empty()).map(PoolName::new);
    let owner = Some(owner).filter(|text| !text.is_empty()).map(NodeId::new);
    Ok(Record {
        pool: pool.transpose().map_err(|_| Malformed)?,
        created_ms,
        used_ms,
        ends_ms,
        owner: owner.transpose().map_err(|_| Malformed)?,
        epoch: Epoch(epoch),
        revoked_ms: Some(revoked).filter(|at| *at != NEVER),
        key: Bytes::copy_from_slice(record),
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            times in any::<[u32; 3]>(),
            revoked in proptest::option::of(any::<u32>()),
            names in proptest::option::of("[a-z][a-z0-9-]{0,30}"),
            key in vec(any::<u8>(), 0..80),
        ) {
            let record = Record {
                pool: names.as_deref().map(|n| PoolName::new(n).unwrap()),
                created_ms: times[0].into(),
                used_ms: times[1].into(),
                ends_ms: u64::from(times[2]) << 8,
                owner: names.as_deref().map(|n| NodeId::new(n).unwrap()),
                epoch: Epoch(9),
                revoked_ms: revoked.map(u64::from),
                key: key.into(),
            };
            prop_assert_eq!(decode_record(&encode_record(&record)), Ok(record));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..120)) {
            // They must not panic; what they answer does not matter.
            let _ = (decode_record(&bytes), State::decode(&bytes), decode_row(&bytes), head_name(&bytes));
        }
    }
}

//! What is read: each function looks at one snapshot, and costs what it answers.

use std::ops::Bound;

use bytes::Bytes;
use foreshift_wire::{PartitionName, SessionId, Version};
use redb::ReadableTable;

use super::layout::{self, Change, Keys, Malformed, Span, State};
use crate::engine::{Cursor, Head, Page, Record, Row, Rows, Select};

/// Sessions of a page.
const PAGE: usize = 256;

/// Why something was not read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not as it was written.
    Malformed,
    /// The disk, or the file's structure.
    Storage(redb::Error),
}

impl From<Malformed> for Fault {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

macro_rules! storage {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Storage(error.into())
            }
        }
    )*};
}

storage!(CommitError, StorageError, TableError, TransactionError);

/// Table `records`, to read.
pub(super) trait Records: ReadableTable<u128, &'static [u8]> {}
impl<T: ReadableTable<u128, &'static [u8]>> Records for T {}

/// Table `state`, to read.
pub(super) trait States: ReadableTable<&'static [u8], &'static [u8]> {}
impl<T: ReadableTable<&'static [u8], &'static [u8]>> States for T {}

pub(super) fn record(records: &impl Records, session: SessionId) -> Result<Option<Record>, Fault> {
    let found = records.get(session.0)?;
    Ok(found
        .map(|found| layout::decode_record(found.value()))
        .transpose()?)
}

pub(super) fn page(records: &impl Records, from: Option<&Cursor>) -> Result<Page, Fault> {
    // What is no cursor of ours is as the first.
    let after = from.and_then(Cursor::session);
    let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.0));
    let mut sessions = Vec::new();
    for entry in records.range((from, Bound::Unbounded))?.take(PAGE) {
        let (id, record) = entry?;
        sessions.push((SessionId(id.value()), layout::decode_record(record.value())?));
    }
    let last = sessions.last().filter(|_| sessions.len() == PAGE);
    let next = last.map(|(id, _)| Cursor::after(*id));
    Ok(Page { sessions, next })
}

/// Every partition of a session, whether it ended or not.
pub(super) fn each_head(
    state: &impl States,
    session: SessionId,
    mut each: impl FnMut(&str, State) -> Result<(), Malformed>,
) -> Result<(), Fault> {
    let (from, to) = layout::heads_span(session);
    for entry in state.range(&*from..&*to)? {
        let (key, head) = entry?;
        each(layout::head_name(key.value())?, State::decode(head.value())?)?;
    }
    Ok(())
}

pub(super) fn heads(state: &impl States, session: SessionId, now_ms: u64) -> Result<Vec<Head>, Fault> {
    let mut heads = Vec::new();
    each_head(state, session, |name, head| {
        if head.is_remembered(now_ms) {
            let name = PartitionName::new(name).map_err(|_| Malformed)?;
            heads.push(head.named(name));
        }
        Ok(())
    })?;
    Ok(heads)
}

/// A partition's head.
pub(super) fn head(
    state: &impl States,
    session: SessionId,
    name: &PartitionName,
) -> Result<Option<State>, Fault> {
    let found = state.get(&*layout::head_key(session, name))?;
    Ok(found.map(|found| State::decode(found.value())).transpose()?)
}

/// The rows of a partition that has this head.
pub(super) fn rows(
    state: &impl States,
    session: SessionId,
    name: PartitionName,
    head: State,
    select: Select,
) -> Result<Rows, Fault> {
    let keys = Keys::of(session, &name);
    let (rows, is_delta) = match select {
        Select::Head => (Vec::new(), false),
        Select::All => (all(state, &keys)?, false),
        Select::Keys(wanted) => (some(state, &keys, wanted)?, false),
        Select::Since(since) if since < head.floor => (all(state, &keys)?, false),
        Select::Since(since) => (changed(state, &keys, since)?, true),
    };
    Ok(Rows {
        head: head.named(name),
        rows,
        is_delta,
    })
}

/// Every row that has a value.
fn all(state: &impl States, keys: &Keys) -> Result<Vec<Row>, Fault> {
    let mut rows = Vec::new();
    let (from, to) = keys.rows();
    for entry in state.range(&*from..&*to)? {
        let (key, row) = entry?;
        if let (version, Some(value)) = layout::decode_row(row.value())? {
            rows.push(Row {
                key: Bytes::copy_from_slice(keys.key_of_row(key.value())?),
                version,
                value: Some(Bytes::copy_from_slice(value)),
            });
        }
    }
    Ok(rows)
}

fn some(state: &impl States, keys: &Keys, mut wanted: Vec<Bytes>) -> Result<Vec<Row>, Fault> {
    wanted.sort_unstable();
    wanted.dedup();
    let mut rows = Vec::new();
    for key in wanted {
        rows.extend(one(state, keys, key)?.filter(|row| row.value.is_some()));
    }
    Ok(rows)
}

fn one(state: &impl States, keys: &Keys, key: Bytes) -> Result<Option<Row>, Fault> {
    let Some(found) = state.get(&*keys.row(&key))? else {
        return Ok(None);
    };
    let (version, value) = layout::decode_row(found.value())?;
    let value = value.map(Bytes::copy_from_slice);
    Ok(Some(Row { key, version, value }))
}

fn changed(state: &impl States, keys: &Keys, since: Version) -> Result<Vec<Row>, Fault> {
    let mut rows = Vec::new();
    for (_, key) in changes(state, keys, keys.changes(Change::Written, since))? {
        rows.push(one(state, keys, key)?.ok_or(Malformed)?);
    }
    for (version, key) in changes(state, keys, keys.changes(Change::Removed, since))? {
        let value = None;
        rows.push(Row { key, version, value });
    }
    rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(rows)
}

fn changes(state: &impl States, keys: &Keys, (from, to): Span) -> Result<Vec<(Version, Bytes)>, Fault> {
    let mut changes = Vec::new();
    for entry in state.range(&*from..&*to)? {
        let (change, _) = entry?;
        let (version, key) = keys.of_change(change.value())?;
        changes.push((version, Bytes::copy_from_slice(key)));
    }
    Ok(changes)
}

//! What is written: checks all of a write against what is there, then does all of it, within the group's transaction.
//!
//! What fails after the first change is the disk, and the whole group's transaction with it. So no write is ever half there.

use bytes::Bytes;
use foreshift_wire::{SessionId, Version};
use redb::{ReadableTable, Table};

use super::{
    layout::{self, Change, Keys, State},
    read::{self, Fault},
};
use crate::{
    Refusal,
    engine::{Expiry, Outcome, PARTITIONS_MAX, REMOVED_MAX, Record, Write, too_many_partitions},
};

/// The tables of a transaction.
pub(super) struct Tables<'t> {
    pub(super) records: Table<'t, u128, &'static [u8]>,
    pub(super) state: Table<'t, &'static [u8], &'static [u8]>,
    /// Something was changed.
    pub(super) is_changed: bool,
}

/// A key as it was.
#[derive(Clone, Copy)]
struct Old {
    version: Version,
    /// Bytes of its value; `None`: it was removed.
    value_bytes: Option<u64>,
}

impl Old {
    fn change(&self) -> Change {
        match self.value_bytes {
            Some(_) => Change::Written,
            None => Change::Removed,
        }
    }

    fn live(old: Option<Self>) -> Option<Version> {
        old.filter(|old| old.value_bytes.is_some()).map(|old| old.version)
    }
}

/// What a write makes of one key.
struct Step {
    key: Bytes,
    old: Option<Old>,
    value: Option<Bytes>,
}

/// What a write finds.
struct Found {
    /// The partition, where it was ever written.
    current: Option<State>,
    /// Bytes in the session's other partitions.
    others: u64,
    partitions: usize,
}

impl Tables<'_> {
    pub(super) fn put_record(
        &mut self,
        session: SessionId,
        expected: Option<&Record>,
        record: &Record,
    ) -> Result<Result<(), Option<Record>>, Fault> {
        let found = read::record(&self.records, session)?;
        let is_older = found.as_ref().is_some_and(|found| found.epoch > record.epoch);
        if found.as_ref() != expected || is_older {
            return Ok(Err(found));
        }
        self.is_changed = true;
        self.records.insert(session.0, &*layout::encode_record(record))?;
        Ok(Ok(()))
    }

    pub(super) fn clear(
        &mut self,
        session: SessionId,
        expected: Option<&Record>,
        record: Option<&Record>,
    ) -> Result<Result<(), Option<Record>>, Fault> {
        let found = read::record(&self.records, session)?;
        if found.as_ref() != expected {
            return Ok(Err(found));
        }
        self.is_changed = true;
        match record {
            Some(record) => drop(self.records.insert(session.0, &*layout::encode_record(record))?),
            None => drop(self.records.remove(session.0)?),
        }
        let (from, to) = layout::session_span(session);
        self.state.retain_in(&*from..&*to, |_, _| false)?;
        Ok(Ok(()))
    }

    pub(super) fn write(&mut self, write: &Write) -> Result<Outcome, Fault> {
        let Some(record) = read::record(&self.records, write.session)? else {
            return Ok(Outcome::Refused(Refusal::NoSession));
        };
        if let Some(refusal) = record.refusal(write) {
            return Ok(Outcome::Refused(refusal));
        }
        let found = self.find(write)?;
        if let Some(newest) = found.current.map(|c| c.version).filter(|v| *v >= write.version) {
            return Ok(Outcome::Behind(newest));
        }
        let keys = Keys::of(write.session, &write.partition);
        let steps = match self.steps(write, &found, &keys)? {
            Ok(steps) => steps,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let (next, removed, added) = found.after(write, &steps);
        if let Some(refusal) = too_large(write, &found, &next) {
            return Ok(Outcome::Refused(refusal));
        }
        self.is_changed = true;
        if found.current.is_some() && found.remembered(write).is_none() {
            let (from, to) = keys.all();
            self.state.retain_in(&*from..&*to, |_, _| false)?;
        }
        for step in &steps {
            self.take(&keys, step, write.version)?;
        }
        let next = self.forget(&keys, next)?;
        let head = layout::head_key(write.session, &write.partition);
        self.state.insert(&*head, &*next.encode())?;
        Ok(Outcome::Done { removed, added })
    }

    fn find(&self, write: &Write) -> Result<Found, Fault> {
        let mut found = Found {
            current: None,
            others: 0,
            partitions: 0,
        };
        read::each_head(&self.state, write.session, |name, head| {
            found.partitions += 1;
            if name == write.partition.as_str() {
                found.current = Some(head);
            } else if head.is_remembered(write.now_ms) {
                found.others += head.bytes;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// What becomes of each key; or which condition does not hold.
    fn steps(&self, write: &Write, found: &Found, keys: &Keys) -> Result<Result<Vec<Step>, Refusal>, Fault> {
        let remembered = found.remembered(write);
        let there = remembered
            .filter(|state| state.keys > 0)
            .map(|state| state.version);
        if !write.condition.holds(there) {
            let found = there.unwrap_or_default();
            return Ok(Err(Refusal::Conflict { key: None, found }));
        }
        let mut steps = Vec::with_capacity(write.puts.len());
        for put in &write.puts {
            let old = match remembered {
                Some(_) => self.old(keys, &put.key)?,
                None => None,
            };
            if !put.condition.holds(Old::live(old)) {
                let (key, found) = (Some(put.key.clone()), Old::live(old).unwrap_or_default());
                return Ok(Err(Refusal::Conflict { key, found }));
            }
            let (key, value) = (put.key.clone(), put.value.clone());
            steps.push(Step { key, old, value });
        }
        if write.replace && remembered.is_some() {
            self.remove_unnamed(keys, &mut steps)?;
        }
        Ok(Ok(steps))
    }

    fn old(&self, keys: &Keys, key: &[u8]) -> Result<Option<Old>, Fault> {
        let found = self.state.get(&*keys.row(key))?;
        let old = found.map(|row| old_of(row.value())).transpose()?;
        Ok(old)
    }

    fn remove_unnamed(&self, keys: &Keys, steps: &mut Vec<Step>) -> Result<(), Fault> {
        let mut named: Vec<Bytes> = steps.iter().map(|step| step.key.clone()).collect();
        named.sort_unstable();
        let (from, to) = keys.rows();
        for entry in self.state.range(&*from..&*to)? {
            let (key, row) = entry?;
            let key = keys.key_of_row(key.value())?;
            let old = old_of(row.value())?;
            if old.value_bytes.is_some() && named.binary_search_by(|n| (**n).cmp(key)).is_err() {
                let key = Bytes::copy_from_slice(key);
                let (old, value) = (Some(old), None);
                steps.push(Step { key, old, value });
            }
        }
        Ok(())
    }

    fn take(&mut self, keys: &Keys, step: &Step, version: Version) -> Result<(), Fault> {
        if step.value.is_none() && Old::live(step.old).is_none() {
            return Ok(());
        }
        if let Some(old) = &step.old {
            let change = keys.change(old.change(), old.version, &step.key);
            self.state.remove(&*change)?;
        }
        let row = layout::encode_row(version, step.value.as_deref());
        self.state.insert(&*keys.row(&step.key), &*row)?;
        let change = match step.value {
            Some(_) => Change::Written,
            None => Change::Removed,
        };
        self.state
            .insert(&*keys.change(change, version, &step.key), &[][..])?;
        Ok(())
    }

    /// Forgets the oldest of too many removed keys.
    fn forget(&mut self, keys: &Keys, mut state: State) -> Result<State, Fault> {
        let excess = state.removed.saturating_sub(REMOVED_MAX as u64) as usize;
        for (version, key) in self.oldest_removed(keys, excess)? {
            self.state.remove(&*keys.change(Change::Removed, version, &key))?;
            self.state.remove(&*keys.row(&key))?;
            state.removed = state.removed.saturating_sub(1);
            state.floor = state.floor.max(version);
        }
        Ok(state)
    }

    /// So many of the oldest removed keys, and those that were removed together with the last of them.
    fn oldest_removed(&self, keys: &Keys, count: usize) -> Result<Vec<(Version, Bytes)>, Fault> {
        let mut oldest: Vec<(Version, Bytes)> = Vec::new();
        if count == 0 {
            return Ok(oldest);
        }
        let (from, to) = keys.changes(Change::Removed, Version(0));
        for entry in self.state.range(&*from..&*to)? {
            let (change, _) = entry?;
            let (version, key) = keys.of_change(change.value())?;
            if oldest.len() >= count && oldest.last().is_some_and(|(last, _)| *last != version) {
                break;
            }
            oldest.push((version, Bytes::copy_from_slice(key)));
        }
        Ok(oldest)
    }
}

fn old_of(row: &[u8]) -> Result<Old, layout::Malformed> {
    let (version, value) = layout::decode_row(row)?;
    let value_bytes = value.map(|value| value.len() as u64);
    Ok(Old { version, value_bytes })
}

impl Found {
    fn remembered(&self, write: &Write) -> Option<State> {
        self.current.filter(|state| state.is_remembered(write.now_ms))
    }

    /// The partition's state after a write, how many keys it removes, and how many it adds.
    fn after(&self, write: &Write, steps: &[Step]) -> (State, u32, u32) {
        let fresh = State {
            // What was there before is not remembered key by key.
            floor: write.version,
            ..State::default()
        };
        let mut next = self.remembered(write).unwrap_or(fresh);
        let (mut removed, mut added) = (0, 0);
        for Step { key, old, value } in steps {
            let was = old.and_then(|old| old.value_bytes);
            if let Some(value_bytes) = was {
                next.keys = next.keys.saturating_sub(1);
                next.bytes = next.bytes.saturating_sub(key.len() as u64 + value_bytes);
            }
            match value {
                Some(value) => {
                    next.keys += 1;
                    next.bytes += (key.len() + value.len()) as u64;
                    added += u32::from(was.is_none());
                    let was_removed = old.is_some() && was.is_none();
                    next.removed = next.removed.saturating_sub(was_removed.into());
                }
                None => {
                    removed += u32::from(was.is_some());
                    next.removed += u64::from(was.is_some());
                }
            }
        }
        next.version = write.version;
        match write.expiry {
            Expiry::Keep => {}
            Expiry::At(at) => next.expires_ms = Some(at),
            Expiry::Never => next.expires_ms = None,
        }
        (next, removed, added)
    }
}

fn too_large(write: &Write, found: &Found, next: &State) -> Option<Refusal> {
    let over = |what, bytes, limit| (bytes > limit).then_some(Refusal::TooLarge { what, bytes, limit });
    let too_many = found.current.is_none() && found.partitions >= PARTITIONS_MAX;
    over("the partition", next.bytes, write.max_bytes)
        .or_else(|| too_many.then(too_many_partitions))
        .or_else(|| over("the session", next.bytes + found.others, write.max_session_bytes))
}

//! What scripts answer. What none of them answers is [`Error::Damaged`].

use bytes::Bytes;
use foreshift_wire::{Epoch, NodeId, PartitionName, Version};
use redis::Value;

use super::{
    super::{Head, Outcome, Record, Row, Rows, Write, too_many_partitions},
    layout::{self, damaged},
};
use crate::{Error, Refusal};

fn strange() -> Error {
    damaged("session")
}

fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(strange()),
    }
}

/// Bytes, or nothing.
pub(super) fn bytes(value: Value) -> Result<Option<Vec<u8>>, Error> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        _ => Err(strange()),
    }
}

fn text(value: Option<Value>) -> Result<String, Error> {
    let bytes = bytes(value.ok_or_else(strange)?)?.ok_or_else(strange)?;
    String::from_utf8(bytes).map_err(|_| strange())
}

/// A number, which Redis tells as such or as text.
fn number(value: Option<Value>) -> Result<u64, Error> {
    match value {
        Some(Value::Int(number)) => u64::try_from(number).map_err(|_| strange()),
        other => text(other)?.parse().map_err(|_| strange()),
    }
}

/// The first word of an answer, and what follows.
fn word(answer: Value) -> Result<(String, impl Iterator<Item = Value>), Error> {
    let mut values = array(answer)?.into_iter();
    Ok((text(values.next())?, values))
}

/// Of `record.lua` and `clear.lua`.
pub(super) fn put(answer: Value) -> Result<Result<(), Option<Record>>, Error> {
    let (word, mut rest) = word(answer)?;
    match word.as_str() {
        "done" => Ok(Ok(())),
        "other" => {
            let found = bytes(rest.next().unwrap_or(Value::Nil))?;
            Ok(Err(found.map(|found| layout::record(&found)).transpose()?))
        }
        _ => Err(strange()),
    }
}

/// Of `write.lua`.
pub(super) fn outcome(write: &Write, answer: Value) -> Result<Outcome, Error> {
    // The short way ends with fewer words.
    if matches!(&answer, Value::BulkString(word) if word == b"done") {
        let (removed, added) = (0, 0);
        return Ok(Outcome::Done { removed, added });
    }
    let (word, mut rest) = word(answer)?;
    let refusal = match word.as_str() {
        "done" => {
            let mut count = || Ok::<_, Error>(number(rest.next())?.try_into().unwrap_or(u32::MAX));
            let (removed, added) = (count()?, count()?);
            return Ok(Outcome::Done { removed, added });
        }
        "behind" => return Ok(Outcome::Behind(Version(number(rest.next())?))),
        "unknown" => {
            return Err(Error::Unavailable {
                detail:
                    "a write's answer was lost, and too much was written since to know whether it was done"
                        .into(),
                unknown: true,
            });
        }
        "none" => Refusal::NoSession,
        "revoked" => Refusal::Revoked,
        "fenced" => fenced(rest)?,
        "conflict" => conflict(write, rest)?,
        "large" => large(write, rest)?,
        "many" => too_many_partitions(),
        _ => return Err(strange()),
    };
    Ok(Outcome::Refused(refusal))
}

fn fenced(mut rest: impl Iterator<Item = Value>) -> Result<Refusal, Error> {
    let epoch = Epoch(number(rest.next())?);
    let owner = match text(rest.next())?.as_str() {
        "" => None,
        owner => Some(NodeId::new(owner).map_err(|_| strange())?),
    };
    Ok(Refusal::Fenced { owner, epoch })
}

fn conflict(write: &Write, mut rest: impl Iterator<Item = Value>) -> Result<Refusal, Error> {
    let key = match number(rest.next())? as usize {
        0 => None,
        n => Some(write.puts.get(n - 1).ok_or_else(strange)?.key.clone()),
    };
    let found = Version(number(rest.next())?);
    Ok(Refusal::Conflict { key, found })
}

fn large(write: &Write, mut rest: impl Iterator<Item = Value>) -> Result<Refusal, Error> {
    let (what, limit) = match text(rest.next())?.as_str() {
        "partition" => ("the partition", write.max_bytes),
        _ => ("the session", write.max_session_bytes),
    };
    let bytes = number(rest.next())?;
    Ok(Refusal::TooLarge { what, bytes, limit })
}

/// Of `read.lua`.
pub(super) fn rows(name: PartitionName, answer: Value) -> Result<Option<Rows>, Error> {
    if answer == Value::Nil {
        return Ok(None);
    }
    let mut values = array(answer)?.into_iter();
    let mut next = || values.next().ok_or_else(strange);
    let head = bytes(next()?)?.ok_or_else(strange)?;
    let is_delta = number(Some(next()?))? == 1;
    let mut rows = Vec::new();
    let mut there = array(next()?)?.into_iter();
    while let Some(key) = there.next() {
        let key = bytes(key)?.ok_or_else(strange)?.into();
        rows.extend(row(key, &mut there)?);
    }
    let mut removed = array(next()?)?.into_iter();
    while let Some(key) = removed.next() {
        rows.push(Row {
            key: bytes(key)?.ok_or_else(strange)?.into(),
            version: Version(number(removed.next())?),
            value: None,
        });
    }
    rows.sort_unstable_by(|a, b| Bytes::cmp(&a.key, &b.key));
    let head = layout::head(name, &head)?;
    Ok(Some(Rows { head, rows, is_delta }))
}

/// Of a head and, for each of some keys, what is known of it and its value: all by one command.
pub(super) fn some(
    name: PartitionName,
    keys: &[&Bytes],
    now_ms: u64,
    answer: Value,
) -> Result<Option<Rows>, Error> {
    let mut values = array(answer)?.into_iter();
    let Some(head) = bytes(values.next().ok_or_else(strange)?)? else {
        return Ok(None);
    };
    let head = layout::head(name, &head)?;
    if head.expires_ms.is_some_and(|at| now_ms >= at) {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.extend(row((*key).clone(), &mut values)?);
    }
    let is_delta = false;
    Ok(Some(Rows { head, rows, is_delta }))
}

/// A key, by what is known of it and its value; `None` where it is not there.
fn row(key: Bytes, values: &mut impl Iterator<Item = Value>) -> Result<Option<Row>, Error> {
    let mut next = || bytes(values.next().ok_or_else(strange)?);
    let (known, value) = (next()?, next()?);
    let Some(known) = known else {
        return Ok(None);
    };
    let value = Bytes::from(value.ok_or_else(strange)?);
    let version = layout::version(&known, value.len())?;
    Ok(Some(Row {
        key,
        version,
        value: Some(value),
    }))
}

/// Of `heads.lua`: those that are not over, by name.
pub(super) fn heads(answer: Value, now_ms: u64) -> Result<Vec<Head>, Error> {
    let mut values = array(answer)?.into_iter();
    let mut heads = Vec::new();
    while let Some(name) = values.next() {
        let name = PartitionName::new(&text(Some(name))?).map_err(|_| strange())?;
        let head = bytes(values.next().ok_or_else(strange)?)?.ok_or_else(strange)?;
        heads.push(layout::head(name, &head)?);
    }
    heads.retain(|head| head.expires_ms.is_none_or(|at| now_ms < at));
    heads.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(heads)
}

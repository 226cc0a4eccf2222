//! Partitions as values, and as the JSON that they travel in.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Error, encode};

/// A value: bytes with a media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its media type.
    pub content_type: String,
    /// The value.
    pub bytes: Bytes,
}

impl Value {
    /// Text in UTF-8.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content_type: "text/plain; charset=utf-8".into(),
            bytes: text.into().into(),
        }
    }
}

/// A condition on a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Whatever it is.
    #[default]
    Any,
    /// It is this one.
    Is(u64),
    /// It is there.
    Present,
    /// It is not there.
    Absent,
}

/// One key's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// 1 to 1,024 bytes.
    pub key: Bytes,
    /// Only then; where it does not hold, nothing of the batch is done.
    pub condition: Condition,
    /// `None` removes it.
    pub value: Option<Value>,
}

impl Change {
    /// Sets a key.
    pub fn set(key: impl AsRef<[u8]>, value: Value) -> Self {
        Self {
            key: Bytes::copy_from_slice(key.as_ref()),
            condition: Condition::Any,
            value: Some(value),
        }
    }

    /// Removes a key.
    pub fn remove(key: impl AsRef<[u8]>) -> Self {
        Self {
            key: Bytes::copy_from_slice(key.as_ref()),
            condition: Condition::Any,
            value: None,
        }
    }

    /// Only then.
    #[must_use]
    pub fn only(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }
}

/// A partition without its values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// That of its last write.
    pub version: u64,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of its keys and sealed values.
    pub bytes: u64,
    /// When it ends by itself, in Unix milliseconds.
    #[serde(default)]
    pub expires_ms: Option<u64>,
}

/// A partition with its values, all at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionData {
    /// That of its last write.
    pub version: u64,
    /// By key.
    pub entries: BTreeMap<Bytes, Entry>,
}

/// A key's value and version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// That of its last write.
    pub version: u64,
    /// The value.
    pub value: Value,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The version of the partition, and of each key that was changed.
    pub version: u64,
    /// Keys that were not there before.
    pub added: u32,
    /// Keys that are not there any more.
    pub removed: u32,
}

#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct WrittenBody {
    version: u64,
    added: u32,
    removed: u32,
}

impl From<WrittenBody> for Written {
    fn from(body: WrittenBody) -> Self {
        Self {
            version: body.version,
            added: body.added,
            removed: body.removed,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct PartitionBody {
    version: u64,
    entries: Vec<EntryBody>,
}

#[derive(Deserialize)]
struct EntryBody {
    key: String,
    version: u64,
    #[serde(default)]
    content_type: String,
    value: Option<String>,
    value_base64: Option<String>,
}

impl TryFrom<PartitionBody> for PartitionData {
    type Error = Error;

    fn try_from(body: PartitionBody) -> Result<Self, Error> {
        let strange = || Error::NoAnswer("the server answered something that is no partition".into());
        let mut entries = BTreeMap::new();
        for entry in body.entries {
            let bytes: Bytes = match (entry.value, entry.value_base64) {
                (Some(text), None) => text.into(),
                (None, Some(text)) => STANDARD.decode(text).map_err(|_| strange())?.into(),
                _ => return Err(strange()),
            };
            let value = Value {
                content_type: entry.content_type,
                bytes,
            };
            let key = decode(&entry.key).ok_or_else(strange)?;
            let version = entry.version;
            entries.insert(key, Entry { version, value });
        }
        Ok(Self {
            version: body.version,
            entries,
        })
    }
}

fn decode(text: &str) -> Option<Bytes> {
    let mut key = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        key.push(match byte {
            b'%' => u8::try_from(digit()? << 4 | digit()?).ok()?,
            plain => plain,
        });
    }
    Some(key.into())
}

#[derive(Serialize)]
pub(super) struct WriteBody {
    entries: Vec<ChangeBody>,
}

#[derive(Serialize, Default)]
struct ChangeBody {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_present: Option<bool>,
}

impl WriteBody {
    pub(super) fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        let entries = changes.into_iter().map(ChangeBody::from).collect();
        Self { entries }
    }
}

impl From<Change> for ChangeBody {
    fn from(change: Change) -> Self {
        let mut body = Self {
            key: encode(&change.key, true),
            ..Self::default()
        };
        match change.condition {
            Condition::Any => {}
            Condition::Is(version) => body.if_version = Some(version),
            Condition::Present => body.if_present = Some(true),
            Condition::Absent => body.if_present = Some(false),
        }
        match change.value {
            None => body.remove = Some(true),
            Some(value) => {
                body.content_type = Some(value.content_type);
                match std::str::from_utf8(&value.bytes) {
                    Ok(text) => body.value = Some(text.into()),
                    Err(_) => body.value_base64 = Some(STANDARD.encode(&value.bytes)),
                }
            }
        }
        body
    }
}

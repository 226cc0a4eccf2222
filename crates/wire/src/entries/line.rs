//! A line of JSON: the begin of a partition, or a key.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    CONTENT_TYPE_MAX, CONTENT_TYPE_UNSAID, Entry, Head, PART_MAX, PARTS_MAX, Parts,
    key::{decode_key, encode_key, unescape},
};
use crate::{PartitionName, Version};

/// A line as it is written. What is unknown is refused, as it may change what the rest means.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    partition: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<String>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
}

/// What a line says.
#[derive(Debug)]
pub(super) enum Said {
    Head(Head),
    Removed(Entry),
    /// An entry without its value's bytes, its media type, and how many bytes follow.
    Value(Entry, Arc<str>, u64),
}

impl Line<'_> {
    pub(super) fn of_head(head: &Head) -> Line<'_> {
        let names = |of: fn(&Parts) -> &Vec<Bytes>| {
            let parts = head.parts.as_ref().map(of);
            parts.map(|parts| parts.iter().map(|name| encode_key(name)).collect())
        };
        Line {
            partition: head.partition.as_str().into(),
            version: head.version.0,
            since: Some(head.since.0),
            parts: names(|parts| &parts.told),
            left: names(|parts| &parts.left),
            ..Line::default()
        }
    }

    pub(super) fn of_entry(entry: &Entry) -> Line<'_> {
        let value = entry.value.as_ref();
        Line {
            partition: entry.partition.as_str().into(),
            key: Some(encode_key(&entry.key).into()),
            version: entry.version.0,
            content_type: value
                .filter(|value| *value.content_type != *CONTENT_TYPE_UNSAID)
                .map(|value| (*value.content_type).into()),
            length: value.map(|value| value.bytes.len() as u64),
            removed: value.is_none().then_some(true),
            ..Line::default()
        }
    }

    /// What it says, or what is wrong with it.
    pub(super) fn read(json: &[u8]) -> Result<Said, &'static str> {
        let line: Line<'_> =
            serde_json::from_slice(json).map_err(|_| "is no JSON object of the known fields")?;
        let partition = PartitionName::new(&line.partition).map_err(|_| "names no partition")?;
        match line.key.is_some() {
            true => line.entry(partition),
            false => line.head(partition),
        }
    }

    fn head(self, partition: PartitionName) -> Result<Said, &'static str> {
        if self.content_type.is_some() || self.length.is_some() || self.removed.is_some() {
            return Err("has a value's fields and no key");
        }
        let since = self.since.ok_or("has neither since nor a key")?;
        if since > self.version {
            return Err("tells changes since a version above its own");
        }
        let parts = match (self.parts, self.left) {
            (None, None) => None,
            (Some(told), Some(left)) if told.len() + left.len() <= PARTS_MAX => Some(Parts {
                told: names(&told)?,
                left: names(&left)?,
            }),
            (Some(_), Some(_)) => return Err("has too many parts"),
            _ => return Err("has one of parts and left without the other"),
        };
        Ok(Said::Head(Head {
            partition,
            version: Version(self.version),
            since: Version(since),
            parts,
        }))
    }

    fn entry(self, partition: PartitionName) -> Result<Said, &'static str> {
        if self.since.is_some() || self.parts.is_some() || self.left.is_some() {
            return Err("has a head's fields and a key");
        }
        let key = decode_key(&self.key.unwrap_or_default()).map_err(|_| "has no valid key")?;
        let entry = Entry {
            partition,
            key: key.into(),
            version: Version(self.version),
            value: None,
        };
        match (self.removed, self.length, self.content_type) {
            (Some(true), None, None) => Ok(Said::Removed(entry)),
            (None, Some(_), Some(kind)) if kind.len() > CONTENT_TYPE_MAX => {
                Err("has too long a content_type")
            }
            (None, Some(length), kind) => {
                let kind = kind.unwrap_or(CONTENT_TYPE_UNSAID.into());
                Ok(Said::Value(entry, kind.into(), length))
            }
            _ => Err("has neither a length nor removed, or both"),
        }
    }
}

fn names(texts: &[String]) -> Result<Vec<Bytes>, &'static str> {
    let name = |text: &String| match unescape(text) {
        Ok(name) if name.len() <= PART_MAX && !name.contains(&b'/') => Ok(name.into()),
        _ => Err("names no part"),
    };
    texts.iter().map(name).collect()
}

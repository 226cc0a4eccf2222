//! A node's copies of partitions, kept up by what it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{Entry, Head, Item, part_of};
use crate::{PartitionName, Version};

/// What is told is a change of something that is not held: the answer is 412, and all is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{partition} is told as a change since version {since}, and version {held} is held")]
pub struct NotHeld {
    /// Which.
    pub partition: PartitionName,
    /// What is told is a change of this version.
    pub since: Version,
    /// The version that is held; 0 where none is.
    pub held: Version,
}

/// Copies of one session's partitions. Grows with what it is told: who tells is trusted, and limits what it tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replica(BTreeMap<PartitionName, HeldPartition>);

/// A copy of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldPartition {
    /// Its version.
    pub version: Version,
    /// Parts of which nothing is held: they have to be read where they are needed.
    pub left: BTreeSet<Bytes>,
    /// What is held of its keys.
    pub keys: BTreeMap<Bytes, HeldEntry>,
}

/// A copy of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntry {
    /// That of its last write.
    pub version: Version,
    /// Its value's media type.
    pub content_type: Arc<str>,
    /// Its value.
    pub bytes: Bytes,
}

impl Replica {
    /// A partition, where something is held of it.
    pub fn partition(&self, name: &PartitionName) -> Option<&HeldPartition> {
        self.0.get(name)
    }

    /// All partitions that are held, by name.
    pub fn partitions(&self) -> impl Iterator<Item = (&PartitionName, &HeldPartition)> {
        self.0.iter()
    }

    /// Takes a body's items, all or none of them.
    pub fn take(&mut self, items: &[Item]) -> Result<(), NotHeld> {
        let heads = items.iter().filter_map(|item| match item {
            Item::Head(head) => Some(head),
            Item::Entry(_) => None,
        });
        for head in heads {
            self.check(head)?;
        }
        for item in items {
            match item {
                Item::Head(head) => self.begin(head),
                Item::Entry(entry) => self.change(entry),
            }
        }
        Ok(())
    }

    fn check(&self, head: &Head) -> Result<(), NotHeld> {
        let held = self.0.get(&head.partition).map(|p| p.version).unwrap_or_default();
        if head.since == Version(0) || (head.since <= held && held <= head.version) {
            return Ok(());
        }
        Err(NotHeld {
            partition: head.partition.clone(),
            since: head.since,
            held,
        })
    }

    fn begin(&mut self, head: &Head) {
        if head.since == Version(0) {
            self.0.remove(&head.partition);
        }
        if head.version == Version(0) {
            return;
        }
        let partition = self.0.entry(head.partition.clone()).or_default();
        partition.version = head.version;
        let left = head.parts.iter().flat_map(|parts| &parts.left).cloned();
        partition.left = left.collect();
        let HeldPartition { left, keys, .. } = partition;
        keys.retain(|key, _| !left.contains(part_of(key)));
    }

    fn change(&mut self, entry: &Entry) {
        let Some(partition) = self.0.get_mut(&entry.partition) else {
            return;
        };
        match &entry.value {
            Some(value) => {
                let held = HeldEntry {
                    version: entry.version,
                    content_type: value.content_type.clone(),
                    bytes: value.bytes.clone(),
                };
                partition.keys.insert(entry.key.clone(), held);
            }
            None => drop(partition.keys.remove(&entry.key)),
        }
    }
}

//! What a node is told, as a body: encoded, and compressed where that makes it smaller.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use foreshift_wire::{
    PartitionName, Version,
    entries::{Entry, EntryValue, Head, PART_MAX, PARTS_MAX, Parts, part_of},
};

use crate::sessions::Part;

/// Bodies above this are compressed elsewhere than on a thread that others wait for.
const AT_ONCE_MAX: usize = 128 * 1024;
/// zstd's fastest ordinary level: the time to a switch matters more than the last percent.
const LEVEL: i32 = 1;

/// What a node lacks of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// Which.
    pub partition: PartitionName,
    /// The version that the node holds once it took this; 0: there is no such partition any more.
    pub version: Version,
    /// The version that it must hold for that; 0: it is all that there is.
    pub since: Version,
    /// Entries ([`foreshift_wire::entries`]).
    pub body: Bytes,
    /// How `body` is coded: `zstd`, or not at all.
    pub encoding: Option<&'static str>,
    /// Bytes of keys and values in the whole partition, whatever of it is sent.
    pub bytes_held: u64,
}

/// All that a node lacks, in one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Entries ([`foreshift_wire::entries`]), one partition after the other.
    pub body: Bytes,
    /// How `body` is coded: `zstd`, or not at all.
    pub encoding: Option<&'static str>,
}

/// The digest of bytes as `Content-Digest` and `Foreshift-Digest` have it (RFC 9530).
pub fn content_digest(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

/// What a node is told of a partition, before it is packed.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) head: Head,
    pub(crate) entries: Vec<u8>,
    /// Bytes of keys and values that are told.
    pub(crate) bytes: u64,
    /// Bytes of keys and values in the parts that are left out, as far as they were looked at.
    pub(crate) bytes_left: u64,
    /// Those in the whole partition.
    pub(crate) bytes_whole: u64,
}

impl Told {
    /// That there is nothing any more.
    pub(crate) fn gone(partition: PartitionName) -> Self {
        let head = Head {
            partition,
            version: Version(0),
            since: Version(0),
            parts: None,
        };
        let mut entries = Vec::new();
        head.encode(&mut entries);
        Self {
            head,
            entries,
            bytes: 0,
            bytes_left: 0,
            bytes_whole: 0,
        }
    }

    /// All that was read: of a whole partition, or of its change since a version.
    pub(crate) fn whole(part: Part, since: Version) -> Self {
        Self::of(part, since, None)
    }

    /// What was read, but for the parts in `leaves`. Of a change, those in `before` were left out until now. `None`: not all parts could be
    /// named.
    pub(crate) fn new(
        part: Part,
        since: Version,
        leaves: &BTreeSet<Bytes>,
        before: &BTreeSet<Bytes>,
    ) -> Option<Self> {
        if leaves.is_empty() {
            return Some(Self::whole(part, since));
        }
        let found: BTreeSet<&[u8]> = part.entries.iter().map(|entry| part_of(&entry.key)).collect();
        let (left, told): (BTreeSet<&[u8]>, _) = found.into_iter().partition(|name| leaves.contains(*name));
        let left: BTreeSet<Bytes> = left
            .into_iter()
            .map(Bytes::copy_from_slice)
            .chain(before.iter().cloned())
            .collect();
        if left.is_empty() {
            return Some(Self::whole(part, since));
        }
        let can_be_named =
            told.len() + left.len() <= PARTS_MAX && told.iter().all(|name| name.len() <= PART_MAX);
        let parts = Parts {
            told: told.into_iter().map(Bytes::copy_from_slice).collect(),
            left: left.into_iter().collect(),
        };
        can_be_named.then(|| Self::of(part, since, Some(parts)))
    }

    fn of(part: Part, since: Version, parts: Option<Parts>) -> Self {
        let left: BTreeSet<Bytes> = parts.iter().flat_map(|parts| &parts.left).cloned().collect();
        let head = Head {
            partition: part.info.name,
            version: part.info.version,
            since: if part.is_delta { since } else { Version(0) },
            parts,
        };
        let mut made = Self {
            head,
            entries: Vec::new(),
            bytes: 0,
            bytes_left: 0,
            bytes_whole: part.info.bytes,
        };
        made.head.encode(&mut made.entries);
        for entry in part.entries {
            made.push(entry, &left);
        }
        made
    }

    fn push(&mut self, entry: crate::Entry, left: &BTreeSet<Bytes>) {
        let value_bytes = entry.value.as_ref().map_or(0, |value| value.bytes.len());
        let bytes = (entry.key.len() + value_bytes) as u64;
        if left.contains(part_of(&entry.key)) {
            self.bytes_left += bytes;
            return;
        }
        self.bytes += bytes;
        let value = entry.value.map(|value| EntryValue {
            content_type: value.content_type,
            bytes: value.bytes,
        });
        let entry = Entry {
            partition: self.head.partition.clone(),
            key: entry.key,
            version: entry.version,
            value,
        };
        entry.encode(&mut self.entries);
    }

    pub(crate) async fn into_portion(self, compress_over: u64) -> Portion {
        let (body, encoding) = pack(self.entries, Some(compress_over)).await;
        Portion {
            partition: self.head.partition,
            version: self.head.version,
            since: self.head.since,
            body,
            encoding,
            bytes_held: self.bytes_whole,
        }
    }
}

/// A body as it travels: compressed where it has more bytes than `compress_over`, and only where it is smaller then.
pub(crate) async fn pack(body: Vec<u8>, compress_over: Option<u64>) -> (Bytes, Option<&'static str>) {
    if compress_over.is_none_or(|over| body.len() as u64 <= over) {
        return (body.into(), None);
    }
    let body = Bytes::from(body);
    if body.len() <= AT_ONCE_MAX {
        return compress(body);
    }
    let plain = body.clone();
    let packed = tokio::task::spawn_blocking(move || compress(body)).await;
    packed.unwrap_or((plain, None))
}

fn compress(body: Bytes) -> (Bytes, Option<&'static str>) {
    match zstd::bulk::compress(&body, LEVEL) {
        Ok(small) if small.len() < body.len() => (small.into(), Some("zstd")),
        _ => (body, None),
    }
}

//! The body format `entries`: keys and values of partitions, one after the other.
//!
//! For replay to a node, pull by it, and bulk reads and writes. A line of JSON begins a partition, a line of JSON with the
//! value's bytes behind it is a key, so that values travel as they are and any language reads it with what it has:
//!
//! ```text
//! {"partition":"cart","version":17,"since":9}
//! {"partition":"cart","key":"item/1","version":17,"content_type":"text/plain","length":5}
//! three{"partition":"cart","key":"item/2","version":12,"removed":true}
//! ```
//!
//! [`Decoder`] is total and bounded: any bytes give items or an error, and it holds no more than one line and one value. Here is
//! no compression and no digest: those are of whatever carries the body.

mod copy;
mod decode;
mod encode;
mod key;
mod line;

use std::sync::Arc;

use bytes::Bytes;

pub use self::{
    copy::{HeldEntry, HeldPartition, NotHeld, Replica},
    decode::{Decoder, decode},
    key::{InvalidKey, decode_key, encode_key},
};
use crate::{PartitionName, Version};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "application/vnd.foreshift.entries";
/// Longest key, in bytes.
pub const KEY_MAX: usize = 1024;
/// Longest media type of a value, in bytes.
pub const CONTENT_TYPE_MAX: usize = 255;
/// The media type of a value of which nobody said what it is. Its line has none.
pub const CONTENT_TYPE_UNSAID: &str = "application/octet-stream";
/// Longest line, in bytes, without its end.
pub const LINE_MAX: usize = 16 * 1024;
/// Most parts that a head can name, those that are left out included.
pub const PARTS_MAX: usize = 32;
/// Longest name of a part, in bytes.
pub const PART_MAX: usize = 64;

/// What a body has one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A partition begins; what follows is of it, until the next head.
    Head(Head),
    /// A key of the partition that began last.
    Entry(Entry),
}

/// The begin of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which.
    pub partition: PartitionName,
    /// Whoever takes what follows has this version of it. 0: there is no such partition (any more).
    pub version: Version,
    /// What follows is all that changed after this version. 0: all that there is, and what was held of it is to be forgotten.
    pub since: Version,
    /// Where only parts of the partition are told: which.
    pub parts: Option<Parts>,
}

/// Parts of a partition: a part is all keys that begin with one segment, `inventory` those below `inventory/` and the key
/// `inventory` itself.
///
/// Together they are all parts that the partition has; of a change, `told` are those that something is told of. At most [`PARTS_MAX`], each of at most [`PART_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// Those that are told.
    pub told: Vec<Bytes>,
    /// Those that are left out: to be read when they are needed, and to be forgotten where they are held from before.
    pub left: Vec<Bytes>,
}

/// The part that a key is in: its first segment.
pub fn part_of(key: &[u8]) -> &[u8] {
    let end = key.iter().position(|b| *b == b'/').unwrap_or(key.len());
    &key[..end]
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its partition.
    pub partition: PartitionName,
    /// Any bytes, 1 to [`KEY_MAX`] of them.
    pub key: Bytes,
    /// That of its last write.
    pub version: Version,
    /// `None`: it was removed.
    pub value: Option<EntryValue>,
}

/// A value as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryValue {
    /// Its media type, at most [`CONTENT_TYPE_MAX`] bytes.
    pub content_type: Arc<str>,
    /// The value.
    pub bytes: Bytes,
}

/// Why bytes are no entries. Has nothing of the bytes in it, as they are somebody's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEntries {
    /// A line is not as it must be.
    #[error("line {line} of the entries {what}")]
    Line {
        /// Which, from 1; values are not counted.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A value is too large.
    #[error("a value of {length} bytes; {limit} is the limit")]
    ValueTooLarge {
        /// The bytes that it is said to have.
        length: u64,
        /// The bytes that it may have.
        limit: u64,
    },
    /// The end came in the middle of a line or value.
    #[error("the entries end in the middle of a line or value")]
    Cut,
}

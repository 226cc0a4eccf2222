//! Reads items from bytes as they come.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{
    Entry, EntryValue, InvalidEntries, Item, LINE_MAX,
    line::{Line, Said},
};
use crate::PartitionName;

/// Least room that is made for a value whose bytes come in parts.
const ROOM_MIN: usize = 4096;

/// Reads items from bytes in whatever parts they come.
///
/// Holds at most one line ([`LINE_MAX`]) or one value (the limit that it was made with). A value that lies in one part is not
/// copied: it keeps that part alive.
#[derive(Debug)]
pub struct Decoder {
    value_max: u64,
    /// The line or value that has begun.
    held: Vec<u8>,
    /// The entry whose value is awaited, and the value's length.
    awaited: Option<(Entry, Arc<str>, usize)>,
    partition: Option<PartitionName>,
    lines: u64,
    failed: Option<InvalidEntries>,
}

/// Reads a whole body, with values of at most `value_max` bytes.
pub fn decode(mut body: Bytes, value_max: u64) -> Result<Vec<Item>, InvalidEntries> {
    let mut decoder = Decoder::new(value_max);
    let mut items = Vec::new();
    while let Some(item) = decoder.next(&mut body)? {
        items.push(item);
    }
    decoder.finish()?;
    Ok(items)
}

impl Decoder {
    /// Takes values of at most `value_max` bytes.
    pub fn new(value_max: u64) -> Self {
        Self {
            value_max,
            held: Vec::new(),
            awaited: None,
            partition: None,
            lines: 0,
            failed: None,
        }
    }

    /// The next item. `None`: all of `input` was taken, and more is needed. After an error there is nothing but that error.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Item>, InvalidEntries> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let item = self.advance(input);
        if let Err(error) = &item {
            self.failed = Some(error.clone());
            self.held = Vec::new();
        }
        item
    }

    /// Nothing more comes.
    pub fn finish(&self) -> Result<(), InvalidEntries> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.awaited.is_some() || !self.held.is_empty() => Err(InvalidEntries::Cut),
            None => Ok(()),
        }
    }

    fn advance(&mut self, input: &mut Bytes) -> Result<Option<Item>, InvalidEntries> {
        if self.awaited.is_none() {
            let Some(line) = self.line(input)? else {
                return Ok(None);
            };
            match self.said(&line)? {
                Said::Head(head) => {
                    self.partition = Some(head.partition.clone());
                    return Ok(Some(Item::Head(head)));
                }
                Said::Removed(entry) => return Ok(Some(Item::Entry(entry))),
                Said::Value(entry, kind, length) => {
                    self.awaited = Some((entry, kind, self.length(length)?));
                }
            }
        }
        Ok(self.value(input))
    }

    /// A line without its end, once it is all there.
    fn line(&mut self, input: &mut Bytes) -> Result<Option<Vec<u8>>, InvalidEntries> {
        let end = input.iter().take(LINE_MAX + 1).position(|b| *b == b'\n');
        let taken = end.unwrap_or(input.len());
        if self.held.len() + taken > LINE_MAX {
            self.lines += 1;
            return Err(self.wrong("is too long"));
        }
        self.held.extend_from_slice(&input[..taken]);
        input.advance(taken + usize::from(end.is_some()));
        Ok(end.map(|_| {
            self.lines += 1;
            std::mem::take(&mut self.held)
        }))
    }

    fn said(&self, line: &[u8]) -> Result<Said, InvalidEntries> {
        let said = Line::read(line).map_err(|what| self.wrong(what))?;
        match &said {
            Said::Removed(entry) | Said::Value(entry, ..)
                if self.partition.as_ref() != Some(&entry.partition) =>
            {
                Err(self.wrong("is of a partition that did not begin"))
            }
            _ => Ok(said),
        }
    }

    fn length(&self, length: u64) -> Result<usize, InvalidEntries> {
        let limit = self.value_max;
        let too_large = InvalidEntries::ValueTooLarge { length, limit };
        match usize::try_from(length) {
            Ok(bytes) if length <= limit => Ok(bytes),
            _ => Err(too_large),
        }
    }

    /// The awaited entry, once its value is all there.
    fn value(&mut self, input: &mut Bytes) -> Option<Item> {
        let (_, _, length) = self.awaited.as_ref()?;
        let missing = length - self.held.len();
        let bytes = if self.held.is_empty() && input.len() >= missing {
            input.split_to(missing)
        } else {
            let taken = missing.min(input.len());
            // Never more than the value needs, and not all at once, as it may never come.
            let room = (2 * self.held.len())
                .max(ROOM_MIN)
                .max(self.held.len() + taken)
                .min(*length);
            self.held.reserve_exact(room.saturating_sub(self.held.len()));
            self.held.extend_from_slice(&input.split_to(taken));
            if taken < missing {
                return None;
            }
            std::mem::take(&mut self.held).into()
        };
        let (mut entry, content_type, _) = self.awaited.take()?;
        entry.value = Some(EntryValue { content_type, bytes });
        Some(Item::Entry(entry))
    }

    fn wrong(&self, what: &'static str) -> InvalidEntries {
        InvalidEntries::Line {
            line: self.lines,
            what,
        }
    }
}

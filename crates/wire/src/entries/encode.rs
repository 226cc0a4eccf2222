//! Writes items.

use super::{Entry, Head, Item, line::Line};

impl Item {
    /// Appends it to a body. What is within the limits of its fields reads back.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Head(head) => head.encode(out),
            Self::Entry(entry) => entry.encode(out),
        }
    }
}

impl Head {
    /// Appends it to a body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        append(&Line::of_head(self), out);
    }
}

impl Entry {
    /// Appends it to a body, behind the head of its partition.
    pub fn encode(&self, out: &mut Vec<u8>) {
        append(&Line::of_entry(self), out);
        if let Some(value) = &self.value {
            out.extend_from_slice(&value.bytes);
        }
    }
}

fn append(line: &Line<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, line).expect("memory takes it, and its fields are text and numbers");
    out.push(b'\n');
}

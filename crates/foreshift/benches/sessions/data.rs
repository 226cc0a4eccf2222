//! Values and draws that are the same in each run.

use bytes::Bytes;
use foreshift_store::{Batch, Change, If, Value};

/// Numbers that look drawn: SplitMix64.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Bytes that nothing compresses.
    pub(crate) fn bytes(&mut self, len: usize) -> Bytes {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(len).collect()
    }

    /// JSON as a shop's session has it.
    pub(crate) fn text(&mut self, len: usize) -> Bytes {
        const NAMES: [&str; 8] = [
            "lamp", "chair", "kettle", "notebook", "bicycle", "scarf", "camera", "teapot",
        ];
        let mut text = String::from("[");
        while text.len() < len {
            let (name, price) = (NAMES[self.below(NAMES.len())], self.below(20_000));
            let (id, count) = (self.next() as u32, self.below(9) + 1);
            text += &format!(
                "{{\"item\":\"{name}\",\"sku\":\"{id:08x}\",\"count\":{count},\"price_cents\":{price}}},"
            );
        }
        text.truncate(len);
        text.into()
    }
}

/// The name of a partition's key.
pub(crate) fn key(index: usize) -> Bytes {
    format!("item/{index}").into()
}

/// Sets keys to values, whatever was there.
pub(crate) fn batch(values: impl IntoIterator<Item = (Bytes, Bytes)>) -> Batch {
    let change = |(key, value): (Bytes, Bytes)| Change {
        key,
        condition: If::Any,
        value: Some(Value::bytes(value)),
    };
    Batch {
        changes: values.into_iter().map(change).collect(),
        ..Batch::default()
    }
}

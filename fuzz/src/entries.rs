//! Entries of sessions' state.

use bytes::Bytes;
use foreshift_wire::entries::{Decoder, InvalidEntries, Item, Replica, decode};

/// Least limit of a value.
const VALUE_MAX: u64 = 64;

/// A body: in parts of the size that the first byte says it reads as it does whole, and what was read reads again as we write it.
pub(crate) fn body(bytes: &[u8]) {
    let (size, body) = crate::parts(bytes);
    let whole = read(body, body.len().max(1));
    assert_eq!(read(body, size), whole);
    let (items, _) = whole;
    let mut again = Vec::new();
    items.iter().for_each(|item| item.encode(&mut again));
    assert_eq!(decode(again.into(), VALUE_MAX).as_ref(), Ok(&items));
    // Whatever it tells, a node's copies take it or say why not.
    let _ = Replica::default().take(&items);
}

fn read(body: &[u8], size: usize) -> (Vec<Item>, Result<(), InvalidEntries>) {
    let mut decoder = Decoder::new(VALUE_MAX);
    let mut items = Vec::new();
    for part in body.chunks(size) {
        let mut part = Bytes::copy_from_slice(part);
        loop {
            match decoder.next(&mut part) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, decoder.finish())
}

//! `HSCAN`: fields in the order of their hashes, so that a cursor means the same whatever is written meanwhile.
//!
//! A field's place hangs on nothing but itself. So a field that is there from begin to end is given once, exactly; Redis itself
//! only promises that it is given. Nothing is remembered between two calls.

mod glob;

use bytes::Bytes;

use super::{Command, NOT_AN_INTEGER, SYNTAX, Words};
use glob::matches;

/// Fields that are given at least, where there are as many: each call reads the partition.
const AT_LEAST: usize = 256;

/// A part of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::view) struct Scan {
    cursor: u64,
    count: usize,
    pattern: Option<Bytes>,
    pub(in crate::view) with_values: bool,
}

impl Scan {
    pub(super) fn parse(mut words: Words) -> Result<Command, String> {
        let key = words.key()?;
        let mut scan = Self {
            cursor: decimal(&words.next()?).ok_or("ERR invalid cursor")?,
            count: AT_LEAST,
            pattern: None,
            with_values: true,
        };
        while let Some(option) = words.rest.next() {
            match option.to_ascii_uppercase().as_slice() {
                b"MATCH" => scan.pattern = Some(words.rest.next().ok_or(SYNTAX)?),
                b"COUNT" => scan.count = count(&words.rest.next().ok_or(SYNTAX)?)?,
                b"NOVALUES" => scan.with_values = false,
                _ => return Err(SYNTAX.into()),
            }
        }
        Ok(Command::Scan(key, scan))
    }

    /// Which of `fields` this part gives, and the cursor of the next part; 0 where there is none.
    pub(in crate::view) fn part<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> (u64, Vec<usize>) {
        let mut placed: Vec<_> = fields
            .enumerate()
            .map(|(at, field)| (place(field), at, field))
            .filter(|(place, ..)| *place >= self.cursor)
            .collect();
        placed.sort_unstable();
        let mut next = 0;
        if let Some((beyond, ..)) = placed.get(self.count).copied() {
            // Fields of one place are given together.
            let end = match placed.partition_point(|(place, ..)| *place < beyond) {
                0 => placed.partition_point(|(place, ..)| *place == beyond),
                end => end,
            };
            next = placed.get(end).map_or(0, |(place, ..)| *place);
            placed.truncate(end);
        }
        let wanted = |field: &[u8]| self.pattern.as_ref().is_none_or(|p| matches(p, field));
        let given = placed.into_iter().filter(|(.., field)| wanted(field));
        (next, given.map(|(_, at, _)| at).collect())
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn count(text: &[u8]) -> Result<usize, String> {
    let count = super::integer(text).ok_or(NOT_AN_INTEGER)?;
    match usize::try_from(count) {
        Ok(count) if count > 0 => Ok(count.max(AT_LEAST)),
        _ => Err(SYNTAX.into()),
    }
}

/// Where a field comes: 1 to 2^52, so that every client's numbers hold it, and the same in every process.
fn place(field: &[u8]) -> u64 {
    let fnv = field.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The lower bits of FNV do not depend on all of a byte's bits: mixed once more.
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 12) + 1
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn scan(cursor: u64, count: usize) -> Scan {
        Scan {
            cursor,
            count,
            pattern: None,
            with_values: true,
        }
    }

    proptest! {
        #[test]
        fn a_field_that_is_there_from_begin_to_end_is_given_once(
            stays in prop::collection::btree_set("[a-z]{1,4}", 0..80),
            comes_and_goes in prop::collection::vec(("[a-z]{5}", any::<bool>()), 0..80),
            count in 1usize..20,
        ) {
            let mut fields: BTreeSet<String> = stays.clone();
            let mut given: BTreeMap<String, u32> = BTreeMap::new();
            let (mut cursor, mut changes, mut calls) = (0, comes_and_goes.into_iter(), 0);
            loop {
                let (next, part) = scan(cursor, count).part(fields.iter().map(|f| f.as_bytes()));
                let all: Vec<_> = fields.iter().cloned().collect();
                prop_assert!(part.len() <= count + 1, "no more than asked for, but for equal places");
                for at in part {
                    *given.entry(all[at].clone()).or_default() += 1;
                }
                calls += 1;
                prop_assert!(calls < 200, "it ends");
                for (field, is_added) in changes.by_ref().take(3) {
                    if is_added { fields.insert(field); } else { fields.remove(&field); }
                }
                if next == 0 { break; }
                prop_assert!(next > cursor);
                cursor = next;
            }
            for field in &stays {
                prop_assert_eq!(given.get(field), Some(&1), "{}", field);
            }
        }
    }

    #[test]
    fn places_fit_into_every_client_s_numbers() {
        for field in [&b""[..], b"a", b"b", b"item/1"] {
            let place = place(field);
            assert!((1..=1 << 52).contains(&place), "{place}");
        }
        assert_eq!(place(b"item/1"), place(b"item/1"));
    }

    #[test]
    fn a_pattern_leaves_out_and_the_cursor_goes_on() {
        let fields = ["a1", "a2", "b1", "b2"];
        let with = Scan {
            pattern: Some("b*".into()),
            ..scan(0, 10)
        };
        let (next, mut part) = with.part(fields.iter().map(|f| f.as_bytes()));
        part.sort_unstable();
        assert_eq!((next, part), (0, vec![2, 3]));
    }
}

//! Entries read back as they were written, in whatever parts they come; and no bytes are too much for the decoder.

use bytes::Bytes;
use foreshift_wire::{
    PartitionName, Version,
    entries::{
        Decoder, Entry, EntryValue, Head, InvalidEntries, Item, LINE_MAX, NotHeld, Parts, Replica, decode,
    },
};
use proptest::prelude::*;

const VALUE_MAX: u64 = 300;

fn encoded(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    items.iter().for_each(|item| item.encode(&mut out));
    out
}

/// What is read where the bytes come in parts of these sizes, and how it ends.
fn in_parts(bytes: &[u8], sizes: &[usize]) -> (Vec<Item>, Result<(), InvalidEntries>) {
    let mut decoder = Decoder::new(VALUE_MAX);
    let mut items = Vec::new();
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let (part, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        rest = behind;
        let mut part = Bytes::copy_from_slice(part);
        loop {
            match decoder.next(&mut part) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
        assert!(part.is_empty(), "all of it was taken");
    }
    (items, decoder.finish())
}

fn partition() -> impl Strategy<Value = PartitionName> {
    "[a-z]{1,5}(/[a-z0-9._-]{0,3}[a-z])?".prop_map(|name| PartitionName::new(&name).unwrap())
}

fn value() -> impl Strategy<Value = EntryValue> {
    (
        ".{0,20}",
        prop::collection::vec(any::<u8>(), 0..VALUE_MAX as usize),
    )
        .prop_map(|(kind, bytes)| EntryValue {
            content_type: kind.into(),
            bytes: bytes.into(),
        })
}

fn parts() -> impl Strategy<Value = Parts> {
    let names = |of: Vec<Vec<u8>>| {
        of.into_iter()
            .map(|n| n.into_iter().filter(|b| *b != b'/').collect())
            .collect()
    };
    let list = || prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16).prop_map(names);
    (list(), list()).prop_map(|(told, left)| Parts { told, left })
}

/// One partition: its head and its entries.
fn told() -> impl Strategy<Value = Vec<Item>> {
    let entry = (
        prop::collection::vec(any::<u8>(), 1..60),
        any::<u64>(),
        prop::option::of(value()),
    );
    let entries = prop::collection::vec(entry, 0..6);
    let since = (any::<u64>(), any::<u64>());
    (partition(), since, prop::option::of(parts()), entries).prop_map(|(name, (a, b), parts, entries)| {
        let head = Head {
            partition: name.clone(),
            version: Version(a.max(b)),
            since: Version(a.min(b)),
            parts,
        };
        let entry = |(key, version, value): (Vec<u8>, u64, _)| {
            Item::Entry(Entry {
                partition: name.clone(),
                key: key.into(),
                version: Version(version),
                value,
            })
        };
        std::iter::once(Item::Head(head))
            .chain(entries.into_iter().map(entry))
            .collect()
    })
}

proptest! {
    #[test]
    fn what_was_written_reads_back_in_whatever_parts_it_comes(
        told in prop::collection::vec(told(), 0..4),
        sizes in prop::collection::vec(1usize..200, 1..8),
    ) {
        let items = told.concat();
        let bytes = encoded(&items);
        prop_assert_eq!(in_parts(&bytes, &sizes), (items.clone(), Ok(())));
        prop_assert_eq!(decode(bytes.into(), VALUE_MAX), Ok(items));
    }

    #[test]
    fn a_cut_or_damaged_body_gives_an_error_or_entries(
        told in told(),
        at in any::<prop::sample::Index>(),
        turned in any::<u8>(),
        sizes in prop::collection::vec(1usize..50, 1..4),
    ) {
        let mut bytes = encoded(&told);
        let at = at.index(bytes.len());
        let (items, end) = in_parts(&bytes[..at], &sizes);
        prop_assert!(items.len() < told.len() || at == bytes.len());
        // A head without its newline is cut as well; only between two items it is whole.
        prop_assert_eq!(end.is_ok(), encoded(&items).len() == at);
        bytes[at] ^= turned;
        prop_assert_eq!(in_parts(&bytes, &sizes), in_parts(&bytes, &[usize::MAX]));
    }
}

#[test]
fn a_line_that_says_something_else_is_refused() {
    let head = r#"{"partition":"cart","version":17,"since":9}"#;
    for line in [
        "",
        "null",
        "[]",
        r#"{"partition":"cart"}"#,
        r#"{"partition":"cart","version":17}"#,
        r#"{"partition":"../x","version":17,"since":0}"#,
        r#"{"partition":"cart","version":-1,"since":0}"#,
        r#"{"partition":"cart","version":1,"since":2}"#,
        r#"{"partition":"cart","version":1,"since":0,"more":1}"#,
        r#"{"partition":"cart","version":1,"version":1,"since":0}"#,
        r#"{"partition":"cart","version":1,"since":0,"length":1}"#,
        r#"{"partition":"cart","version":1,"since":0,"parts":["a"]}"#,
        r#"{"partition":"cart","version":1,"since":0,"parts":["a/b"],"left":[]}"#,
        r#"{"partition":"cart","key":"","version":1,"removed":true}"#,
        r#"{"partition":"cart","key":"%x0","version":1,"removed":true}"#,
        r#"{"partition":"cart","key":"a","version":1,"removed":false}"#,
        r#"{"partition":"cart","key":"a","version":1}"#,
        r#"{"partition":"cart","key":"a","version":1,"content_type":"a"}"#,
        r#"{"partition":"cart","key":"a","version":1,"since":1,"removed":true}"#,
        r#"{"partition":"cart","key":"a","version":1,"content_type":"b","length":0,"removed":true}"#,
        r#"{"partition":"auth","key":"a","version":1,"removed":true}"#,
    ] {
        let body = format!("{head}\n{line}\n");
        let (items, end) = in_parts(body.as_bytes(), &[7]);
        assert_eq!(items.len(), 1, "{line}");
        assert!(
            matches!(end, Err(InvalidEntries::Line { line: 2, .. })),
            "{line}: {end:?}"
        );
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_came() {
    let long = "x".repeat(LINE_MAX + 1);
    let (_, end) = in_parts(long.as_bytes(), &[1000]);
    assert!(matches!(
        end,
        Err(InvalidEntries::Line {
            line: 1,
            what: "is too long"
        })
    ));
    let large = concat!(
        "{\"partition\":\"a\",\"version\":1,\"since\":0}\n",
        "{\"partition\":\"a\",\"key\":\"k\",\"version\":1,\"content_type\":\"\",\"length\":18446744073709551615}\n"
    );
    let (_, end) = in_parts(large.as_bytes(), &[1000]);
    let (length, limit) = (u64::MAX, VALUE_MAX);
    assert_eq!(end, Err(InvalidEntries::ValueTooLarge { length, limit }));
}

#[test]
fn after_an_error_there_is_nothing_but_it() {
    let mut decoder = Decoder::new(VALUE_MAX);
    let error = decoder.next(&mut "x\n".into()).unwrap_err();
    let mut good = Bytes::from("{\"partition\":\"a\",\"version\":1,\"since\":0}\n");
    assert_eq!(decoder.next(&mut good), Err(error.clone()));
    assert_eq!(decoder.finish(), Err(error));
}

#[test]
fn a_change_of_what_is_not_held_is_not_taken_at_all() {
    let name = PartitionName::new("cart").unwrap();
    let body = |since: u64, version: u64, key: &str| {
        let text = format!(
            "{{\"partition\":\"cart\",\"version\":{version},\"since\":{since}}}\n\
             {{\"partition\":\"cart\",\"key\":\"{key}\",\"version\":{version},\"content_type\":\"\",\"length\":1}}\nv"
        );
        decode(text.into(), VALUE_MAX).unwrap()
    };
    let mut replica = Replica::default();
    let not_held = |since, held| NotHeld {
        partition: name.clone(),
        since: Version(since),
        held: Version(held),
    };
    assert_eq!(replica.take(&body(3, 5, "a")), Err(not_held(3, 0)));
    assert_eq!(replica.take(&body(0, 5, "a")), Ok(()));
    assert_eq!(replica.take(&body(6, 7, "b")), Err(not_held(6, 5)));
    assert_eq!(replica.take(&body(5, 7, "b")), Ok(()));
    let keys = |replica: &Replica| replica.partition(&name).map(|p| p.keys.len());
    assert_eq!(keys(&replica), Some(2));
    assert_eq!(
        replica.take(&body(0, 9, "c")),
        Ok(()),
        "all is told: the rest is forgotten"
    );
    assert_eq!(keys(&replica), Some(1));
    let gone = "{\"partition\":\"cart\",\"version\":0,\"since\":0}\n";
    replica.take(&decode(gone.into(), 0).unwrap()).unwrap();
    assert_eq!(keys(&replica), None);
}

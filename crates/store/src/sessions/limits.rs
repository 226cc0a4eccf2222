//! What a batch may be.

use foreshift_wire::Session;

use super::{Batch, Value};
use crate::Refusal;

/// Longest key, in bytes.
const KEY_MAX: usize = 1_024;
/// Changes in one batch, and keys that are read at once.
const CHANGES_MAX: usize = 4_096;
/// Longest content type, in bytes.
const CONTENT_TYPE_MAX: usize = 255;

/// Refuses a batch that is not as it must be.
pub(super) fn check(batch: &Batch, config: &Session) -> Result<(), Refusal> {
    count(batch.changes.len())?;
    for change in &batch.changes {
        if !(1..=KEY_MAX).contains(&change.key.len()) {
            let found = change.key.len();
            return invalid(format!("a key has 1 to {KEY_MAX} bytes, and one has {found}"));
        }
        if let Some(value) = &change.value {
            check_value(value, config.max_value_bytes)?;
        }
    }
    let mut keys: Vec<_> = batch.changes.iter().map(|change| &change.key).collect();
    keys.sort_unstable();
    match keys.windows(2).any(|pair| pair[0] == pair[1]) {
        true => invalid("a batch changes each key once at most; one is in it twice".into()),
        false => Ok(()),
    }
}

/// Refuses more keys at once than one request may name.
pub(super) fn count(keys: usize) -> Result<(), Refusal> {
    match keys > CHANGES_MAX {
        true => invalid(format!(
            "{keys} keys are too many at once; {CHANGES_MAX} is the limit"
        )),
        false => Ok(()),
    }
}

fn check_value(value: &Value, max_bytes: u64) -> Result<(), Refusal> {
    let kind = value.content_type.as_bytes();
    if kind.len() > CONTENT_TYPE_MAX || !kind.iter().all(|b| (b' '..=b'~').contains(b)) {
        return invalid(format!(
            "a content type has at most {CONTENT_TYPE_MAX} bytes, all of them printable ASCII"
        ));
    }
    let (bytes, limit) = (value.bytes.len() as u64, max_bytes);
    match bytes > limit {
        true => Err(Refusal::TooLarge {
            what: "a value",
            bytes,
            limit,
        }),
        false => Ok(()),
    }
}

fn invalid<T>(why: String) -> Result<T, Refusal> {
    Err(Refusal::Invalid(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, If};

    #[test]
    fn a_batch_has_keys_and_values_within_limits_and_each_key_once() {
        let change = |key: &[u8], value: Option<usize>| Change {
            key: key.to_vec().into(),
            condition: If::Any,
            value: value.map(|len| Value::bytes(vec![0; len])),
        };
        let kind = |kind: &str| Change {
            value: Some(Value {
                content_type: kind.into(),
                bytes: "x".into(),
            }),
            ..change(b"a", None)
        };
        let many = |n: u32| (0..n).map(|n| change(&n.to_be_bytes(), None)).collect();
        let config = Session {
            max_value_bytes: 10,
            ..Session::default()
        };
        for (what, changes, is_fine) in [
            ("nothing", vec![], true),
            (
                "any bytes",
                vec![change(b"\0", Some(10)), change(b"\xff\n", None)],
                true,
            ),
            ("an empty key", vec![change(b"", None)], false),
            ("the longest key", vec![change(&[7; 1_024], None)], true),
            ("a longer key", vec![change(&[7; 1_025], None)], false),
            ("too long a value", vec![change(b"a", Some(11))], false),
            (
                "a key twice",
                vec![change(b"a", None), change(b"b", None), change(b"a", Some(1))],
                false,
            ),
            ("many", many(4_096), true),
            ("too many", many(4_097), false),
            ("a content type", vec![kind("text/plain; charset=utf-8")], true),
            (
                "a content type that ends a header",
                vec![kind("text/plain\r\nx: y")],
                false,
            ),
            ("too long a content type", vec![kind(&"a".repeat(256))], false),
        ] {
            let batch = Batch {
                changes,
                ..Batch::default()
            };
            assert_eq!(check(&batch, &config).is_ok(), is_fine, "{what}");
        }
    }
}

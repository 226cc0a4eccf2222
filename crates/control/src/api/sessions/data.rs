//! Partitions as JSON: values are text where they are UTF-8, else Base64.

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use foreshift_store::{Batch, Change, Entry, If, Part, PartitionInfo, Value};
use foreshift_wire::{
    EntryView, EntryWrite, PartitionData, PartitionName, PartitionView, PartitionWrite, Session, Version,
    entries::{CONTENT_TYPE_MAX, encode_key},
};

use super::place;
use crate::api::problem::{ApiError, Result};

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// Whether a partition is declared as secret, of whatever pool.
pub(super) fn is_secret(name: &PartitionName, config: &Session) -> bool {
    let mut declared = config.partition.iter();
    declared.any(|one| one.secret && one.name.matches(name))
}

pub(super) fn partition(info: PartitionInfo, config: &Session) -> PartitionView {
    PartitionView {
        secret: is_secret(&info.name, config),
        name: info.name,
        version: info.version,
        keys: info.keys,
        bytes: info.bytes,
        expires_ms: info.expires_ms,
    }
}

/// A partition with its values. `since`: what was asked for.
pub(super) fn data(part: Part, since: Option<Version>) -> PartitionData {
    PartitionData {
        name: part.info.name,
        version: part.info.version,
        since: since.filter(|_| part.is_delta),
        expires_ms: part.info.expires_ms,
        entries: part.entries.into_iter().map(entry).collect(),
    }
}

fn entry(entry: Entry) -> EntryView {
    let mut view = EntryView {
        key: encode_key(&entry.key),
        version: entry.version,
        content_type: None,
        value: None,
        value_base64: None,
        removed: entry.value.is_none(),
    };
    if let Some(value) = entry.value {
        view.content_type = Some(value.content_type.as_ref().into());
        match std::str::from_utf8(&value.bytes) {
            Ok(text) => view.value = Some(text.into()),
            Err(_) => view.value_base64 = Some(STANDARD.encode(&value.bytes)),
        }
    }
    view
}

/// What a body asks for. `replace`: all that the partition is to hold, so that nothing is removed by name.
pub(super) fn batch(write: PartitionWrite, condition: If, replace: bool) -> Result<Batch> {
    let change = |(n, entry)| change(entry).map_err(|why| invalid(format!("entries[{n}]: {why}")));
    let changes: Vec<Change> = write
        .entries
        .into_iter()
        .enumerate()
        .map(change)
        .collect::<Result<_>>()?;
    if replace && changes.iter().any(|change| change.value.is_none()) {
        return Err(invalid(
            "PUT sets all that the partition is to hold: leave out what is to go, or send PATCH",
        ));
    }
    let mut keys: Vec<&Bytes> = changes.iter().map(|change| &change.key).collect();
    keys.sort_unstable();
    if let Some([key, _]) = keys.array_windows().find(|[a, b]| a == b) {
        return Err(invalid(format!("the key {} is named twice", encode_key(key))));
    }
    Ok(Batch {
        condition,
        replace,
        changes,
        ..Batch::default()
    })
}

fn change(entry: EntryWrite) -> std::result::Result<Change, String> {
    let key = place::key(&entry.key).map_err(|error| error.detail().to_owned())?;
    let condition = match (entry.if_version, entry.if_present) {
        (None, None) => If::Any,
        (Some(version), None) => If::Is(version),
        (None, Some(true)) => If::Present,
        (None, Some(false)) => If::Absent,
        (Some(_), Some(_)) => return Err("give if_version or if_present, not both".into()),
    };
    let kind = |usual: &str| content_type(entry.content_type.as_deref().unwrap_or(usual));
    let value = match (entry.value, entry.value_base64, entry.remove) {
        (Some(text), None, false) => Some(Value {
            content_type: kind(TEXT)?,
            bytes: text.into(),
        }),
        (None, Some(text), false) => Some(Value {
            content_type: kind(BYTES)?,
            bytes: STANDARD
                .decode(text)
                .map_err(|error| format!("value_base64: {error}"))?
                .into(),
        }),
        (None, None, true) => None,
        _ => return Err("give exactly one of value, value_base64 and remove".into()),
    };
    Ok(Change {
        key,
        condition,
        value,
    })
}

/// A media type that can be stored, and said in a header again.
pub(super) fn content_type(text: &str) -> std::result::Result<std::sync::Arc<str>, String> {
    let visible = text.bytes().all(|b| (b' '..0x7f).contains(&b));
    match text.len() {
        1..=CONTENT_TYPE_MAX if visible => Ok(text.into()),
        _ => Err(format!(
            "the content type is no text of 1 to {CONTENT_TYPE_MAX} ASCII characters"
        )),
    }
}

fn invalid(why: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(entries: &str) -> PartitionWrite {
        serde_json::from_str(&format!("{{\"entries\":[{entries}]}}")).unwrap()
    }

    proptest! {
        #[test]
        fn every_value_is_read_as_it_was_written(key in prop::collection::vec(any::<u8>(), 1..50), bytes: Vec<u8>) {
            let value = Value::bytes(bytes);
            let stored = Entry { key: key.into(), version: Version(1), value: Some(value.clone()) };
            let view = entry(stored.clone());
            let sent = EntryWrite {
                key: view.key,
                content_type: view.content_type,
                value: view.value,
                value_base64: view.value_base64,
                ..EntryWrite::default()
            };
            let change = change(sent).unwrap();
            prop_assert_eq!(change.key, stored.key);
            prop_assert_eq!(change.value, Some(value));
        }
    }

    #[test]
    fn a_body_that_is_not_plain_is_refused_with_the_entry_that_is_wrong() {
        for (entries, says) in [
            (r#"{"key":"a"}"#, "entries[0]: give exactly one"),
            (r#"{"key":"a","value":"1","value_base64":"MQ=="}"#, "exactly one"),
            (r#"{"key":"a","value":"1","remove":true}"#, "exactly one"),
            (r#"{"key":"","value":"1"}"#, "1 to 1024 bytes"),
            (r#"{"key":"a%","value":"1"}"#, "each %"),
            (
                r#"{"key":"a","value":"1"},{"key":"b","value_base64":"?"}"#,
                "entries[1]: value_base64",
            ),
            (
                r#"{"key":"a","value":"1"},{"key":"%61","value":"2"}"#,
                "a is named twice",
            ),
            (r#"{"key":"a","value":"1","content_type":"é"}"#, "content type"),
            (
                r#"{"key":"a","value":"1","if_version":3,"if_present":true}"#,
                "not both",
            ),
        ] {
            let error = batch(write(entries), If::Any, false).unwrap_err();
            assert!(error.detail().contains(says), "{entries}: {error:?}");
        }
        let removes = write(r#"{"key":"a","remove":true}"#);
        assert!(batch(removes.clone(), If::Any, false).is_ok());
        assert!(batch(removes, If::Any, true).is_err());
    }
}

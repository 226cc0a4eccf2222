//! Fields and their values.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::{
    ATTEMPTS, Batch, Call, Change, Entry, Error, Expiry, If, Refusal, Reply, Select, Value, overtaken,
};
use crate::view::command::{Scan, integer};

impl Call<'_> {
    pub(super) async fn all(&self) -> Result<Vec<Entry>, Error> {
        let part = self.read(Select::All).await?;
        Ok(part.map_or_else(Vec::new, |part| part.entries))
    }

    async fn entry(&self, field: &Bytes) -> Result<Option<Entry>, Error> {
        let part = self.read(Select::Keys(vec![field.clone()])).await?;
        Ok(part.and_then(|part| part.entries.into_iter().next()))
    }

    pub(super) async fn value(&self, field: &Bytes) -> Result<Option<Value>, Error> {
        Ok(self.entry(field).await?.and_then(|entry| entry.value))
    }

    /// The values in the order of `fields`, of which some may be the same.
    pub(super) async fn values(&self, fields: &[Bytes]) -> Result<Reply, Error> {
        let part = self.read(Select::Keys(fields.to_vec())).await?;
        let entries = part.map_or_else(Vec::new, |part| part.entries);
        let pairs = entries
            .into_iter()
            .filter_map(|entry| Some((entry.key, entry.value?.bytes)));
        let found: HashMap<Bytes, Bytes> = pairs.collect();
        let value = |field: &Bytes| found.get(field).cloned().into();
        Ok(Reply::Array(fields.iter().map(value).collect()))
    }

    pub(super) async fn scan(&self, scan: &Scan) -> Result<Reply, Error> {
        let entries = self.all().await?;
        let (cursor, given) = scan.part(entries.iter().map(|entry| &*entry.key));
        let mut replies = Vec::with_capacity(given.len() * 2);
        for at in given {
            let Entry { key, value, .. } = &entries[at];
            replies.push(key.clone().into());
            if scan.with_values {
                replies.push(value.as_ref().map(|value| value.bytes.clone()).into());
            }
        }
        Ok(Reply::Array(vec![
            Reply::text(cursor.to_string()),
            Reply::Array(replies),
        ]))
    }

    /// Sets fields, of which some may be named twice: the last counts. How many are new.
    pub(super) async fn set(&self, pairs: &[(Bytes, Bytes)]) -> Result<u32, Error> {
        let last: BTreeMap<&Bytes, &Bytes> = pairs.iter().map(|(field, value)| (field, value)).collect();
        let changes = last
            .into_iter()
            .map(|(field, value)| set(field, value.clone(), If::Any));
        let written = self.write(changes_of(changes.collect())).await?;
        Ok(written.added)
    }

    pub(super) async fn set_new(&self, field: &Bytes, value: &Bytes) -> Result<Reply, Error> {
        let change = set(field, value.clone(), If::Absent);
        let written = self.write_if(changes_of(vec![change])).await?;
        Ok(Reply::flag(written.is_some()))
    }

    /// Removes fields; a partition that is not there is not begun by that.
    pub(super) async fn remove(&self, fields: &[Bytes]) -> Result<Reply, Error> {
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        fields.dedup();
        let remove = |key| Change {
            key,
            condition: If::Any,
            value: None,
        };
        let batch = Batch {
            condition: If::Present,
            ..changes_of(fields.into_iter().map(remove).collect())
        };
        let removed = self.write_if(batch).await?.map_or(0, |written| written.removed);
        if removed > 0 {
            self.forget_the_end_of_nothing().await.map_err(half_done)?;
        }
        Ok(Reply::Int(removed.into()))
    }

    /// A partition that lost its last field begins anew with the next one, without the time when it was to end.
    async fn forget_the_end_of_nothing(&self) -> Result<(), Error> {
        let is_to_end = match self.any_head().await {
            Ok(head) => head.is_some_and(|head| head.keys == 0 && head.expires_ms.is_some()),
            // It may write what it may not read; the condition tells as well.
            Err(Error::Refused(Refusal::Forbidden { .. })) => true,
            Err(error) => return Err(error),
        };
        if is_to_end {
            let nothing = Batch {
                condition: If::Absent,
                expiry: Expiry::Never,
                ..Batch::default()
            };
            self.write_if(nothing).await?;
        }
        Ok(())
    }

    /// Adds to a field's number; one that is not there is 0. Its content type stays.
    pub(super) async fn add(&self, field: &Bytes, by: i64) -> Result<Reply, Error> {
        let _turn = self.state.lock(self.key).await;
        for _ in 0..ATTEMPTS {
            let found = self.entry(field).await?;
            let condition = found.as_ref().map_or(If::Absent, |entry| If::Is(entry.version));
            let value = found.and_then(|entry| entry.value);
            let number = value.as_ref().map_or(Some(0), |value| integer(&value.bytes));
            let Some(number) = number else {
                return Ok(Reply::error("ERR hash value is not an integer"));
            };
            let Some(sum) = number.checked_add(by) else {
                return Ok(Reply::error("ERR increment or decrement would overflow"));
            };
            let mut change = set(field, sum.to_string().into(), condition);
            if let (Some(new), Some(old)) = (&mut change.value, value) {
                new.content_type = old.content_type;
            }
            if self.write_if(changes_of(vec![change])).await?.is_some() {
                return Ok(Reply::Int(sum));
            }
        }
        Err(overtaken())
    }

    /// Removes everything; whether there was anything.
    pub(super) async fn drop_all(&self) -> Result<bool, Error> {
        let nothing = Batch {
            condition: If::Present,
            replace: true,
            changes: Vec::new(),
            expiry: Expiry::Never,
        };
        Ok(self.write_if(nothing).await?.is_some())
    }
}

/// The fields are removed, whatever comes after.
fn half_done(error: Error) -> Error {
    match error {
        Error::Unavailable { detail, .. } => Error::Unavailable {
            detail,
            unknown: true,
        },
        other => other,
    }
}

fn set(field: &Bytes, value: Bytes, condition: If) -> Change {
    Change {
        key: field.clone(),
        condition,
        value: Some(Value::bytes(value)),
    }
}

fn changes_of(changes: Vec<Change>) -> Batch {
    Batch {
        changes,
        ..Batch::default()
    }
}

//! Sessions to try, on engines to try them on.

use std::{path::Path, sync::Arc};

use foreshift_store::{
    Batch, Caller, Change, Clock, Engine, Error, If, Refusal, Select, Sessions, Value, Written,
    engine::{Embedded, Memory},
};
use foreshift_wire::{NodeId, PartitionName, PoolName, Session, SessionId};

pub(crate) const START_MS: u64 = 1_900_000_000_000;

/// The model and the embedded engine.
pub(crate) fn engines(folder: &Path) -> [Arc<dyn Engine>; 2] {
    let embedded = Embedded::open(&folder.join("sessions.redb"), 1 << 20).expect("a new file");
    [Arc::new(Memory::default()), Arc::new(embedded)]
}

/// Sessions in memory, and the clock that they go by.
pub(crate) fn at_a_clock(config: Session) -> (Sessions, Clock) {
    let clock = Clock::at(START_MS);
    let sessions = Sessions::over_with(Arc::new(Memory::default()), config, clock.clone());
    (sessions, clock)
}

pub(crate) fn pool() -> PoolName {
    PoolName::new("app").expect("a plain name")
}

pub(crate) fn node(id: &str) -> NodeId {
    NodeId::new(id).expect("a plain name")
}

pub(crate) fn name(name: &str) -> PartitionName {
    PartitionName::new(name).expect("a plain name")
}

/// Sets one key, or removes it.
pub(crate) async fn set(
    sessions: &Sessions,
    caller: &Caller,
    id: SessionId,
    partition: &str,
    key: &str,
    value: Option<&str>,
) -> Result<Written, Error> {
    let change = Change {
        key: key.to_owned().into(),
        condition: If::Any,
        value: value.map(|value| Value::bytes(value.to_owned())),
    };
    let batch = Batch {
        changes: vec![change],
        ..Batch::default()
    };
    sessions.write(caller, id, &name(partition), batch).await
}

/// A partition's keys and values.
pub(crate) async fn get(
    sessions: &Sessions,
    caller: &Caller,
    id: SessionId,
    partition: &str,
) -> Result<Vec<(String, String)>, Error> {
    let part = sessions.read(caller, id, &name(partition), Select::All).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entries = part.entries.iter();
    Ok(entries
        .map(|e| {
            (
                text(&e.key),
                e.value.as_ref().map_or_else(String::new, |v| text(&v.bytes)),
            )
        })
        .collect())
}

/// Why it was refused.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> Refusal {
    match answer {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

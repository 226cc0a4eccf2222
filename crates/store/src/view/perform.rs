//! Carries out commands about state.
//!
//! Each command is one read or one write, so that it is done as one; what hangs on what is there (`HINCRBY`, `EXPIRE … GT`) is
//! written on the condition that it is still so, and else done anew.

mod expiry;
mod fields;

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

use super::{
    command::{Command, Half},
    key::Key,
    reply::Reply,
    told::told,
};
use crate::{
    Batch, Caller, Change, Entry, Error, Expiry, If, Part, PartitionInfo, Refusal, Select, Sessions, Value,
    Written,
};

/// How often a conditional write that another one overtook is tried again.
const ATTEMPTS: u32 = 32;
/// Partitions whose conditional writes wait for each other, by their hash.
const LOCKS: usize = 64;

/// What commands work on, for all connections.
pub(super) struct State {
    sessions: Sessions,
    /// Conditional writes of one partition come one after the other, so that none of this view overtakes another.
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

/// A command's state, and who gave it.
struct Call<'a> {
    state: &'a State,
    caller: Caller,
    key: &'a Key,
}

impl State {
    pub(super) fn new(sessions: Sessions) -> Self {
        let locks = std::array::from_fn(|_| Mutex::default());
        let hasher = RandomState::new();
        Self {
            sessions,
            locks,
            hasher,
        }
    }

    /// Carries a command out.
    pub(super) async fn perform(&self, caller: &Caller, command: Command) -> Reply {
        self.attempt(caller, command)
            .await
            .unwrap_or_else(|error| told(&error))
    }

    async fn attempt(&self, caller: &Caller, command: Command) -> Result<Reply, Error> {
        let on = |key| Call::new(self, caller, key);
        Ok(match &command {
            // The connection's own; it does not come here.
            Command::Connection(name, _) => Reply::error(format!("ERR '{name}' is about a connection")),
            Command::Get(key, field) => on(key).value(field).await?.map(|value| value.bytes).into(),
            Command::FieldLength(key, field) => {
                let value = on(key).value(field).await?;
                Reply::count(value.map_or(0, |value| value.bytes.len() as u64))
            }
            Command::HasField(key, field) => Reply::flag(on(key).value(field).await?.is_some()),
            Command::GetMany(key, fields) => on(key).values(fields).await?,
            Command::All(key, half) => half.of(on(key).all().await?),
            Command::Length(key) => Reply::count(on(key).head().await?.map_or(0, |head| head.keys)),
            Command::Scan(key, scan) => on(key).scan(scan).await?,
            Command::Set(key, pairs, is_old) => {
                let added = on(key).set(pairs).await?;
                if *is_old {
                    Reply::OK
                } else {
                    Reply::Int(added.into())
                }
            }
            Command::SetNew(key, field, value) => on(key).set_new(field, value).await?,
            Command::Remove(key, fields) => on(key).remove(fields).await?,
            Command::Add(key, field, by) => on(key).add(field, *by).await?,
            Command::Drop(keys) => {
                let mut count = 0;
                for key in keys {
                    count += u64::from(on(key).drop_all().await?);
                }
                Reply::count(count)
            }
            Command::Count(keys) => {
                let mut count = 0;
                for key in keys {
                    count += u64::from(on(key).head().await?.is_some());
                }
                Reply::count(count)
            }
            Command::Type(key) => {
                let is_there = on(key).head().await?.is_some();
                Reply::Status(if is_there { "hash" } else { "none" })
            }
            Command::Expire(key, expire) => on(key).expire(expire).await?,
            Command::Ends(key, when) => on(key).ends(*when).await?,
            Command::Persist(key) => on(key).persist().await?,
        })
    }

    async fn lock(&self, key: &Key) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one((key.session, &key.partition));
        self.locks[hash as usize % LOCKS].lock().await
    }
}

impl<'a> Call<'a> {
    fn new(state: &'a State, caller: &Caller, key: &'a Key) -> Self {
        let caller = Caller {
            epoch: key.epoch,
            ..caller.clone()
        };
        Self { state, caller, key }
    }

    /// Reads of the partition; `None` where it is not there.
    async fn read(&self, select: Select) -> Result<Option<Part>, Error> {
        let Key {
            session, partition, ..
        } = self.key;
        match self
            .state
            .sessions
            .read(&self.caller, *session, partition, select)
            .await
        {
            Ok(part) => Ok(Some(part)),
            Err(Error::Refused(Refusal::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is told of the partition where it has fields.
    async fn head(&self) -> Result<Option<PartitionInfo>, Error> {
        Ok(self.any_head().await?.filter(|head| head.keys > 0))
    }

    async fn any_head(&self) -> Result<Option<PartitionInfo>, Error> {
        Ok(self.read(Select::Head).await?.map(|part| part.info))
    }

    async fn write(&self, batch: Batch) -> Result<Written, Error> {
        let Key {
            session, partition, ..
        } = self.key;
        self.state
            .sessions
            .write(&self.caller, *session, partition, batch)
            .await
    }

    /// Writes where the batch's conditions hold; `None` where they do not.
    async fn write_if(&self, batch: Batch) -> Result<Option<Written>, Error> {
        match self.write(batch).await {
            Ok(written) => Ok(Some(written)),
            Err(Error::Refused(Refusal::Conflict { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Others wrote what a command hung on, each time that it was tried.
fn overtaken() -> Error {
    Error::Unavailable {
        detail: "other writers were faster each time".into(),
        unknown: false,
    }
}

impl Half {
    fn of(self, entries: Vec<Entry>) -> Reply {
        let pairs = entries
            .into_iter()
            .filter_map(|entry| Some((entry.key, entry.value?.bytes)));
        match self {
            Self::Fields => Reply::Array(pairs.map(|(field, _)| field.into()).collect()),
            Self::Values => Reply::Array(pairs.map(|(_, value)| value.into()).collect()),
            Self::Both => Reply::Map(pairs.map(|(field, value)| (field.into(), value.into())).collect()),
        }
    }
}

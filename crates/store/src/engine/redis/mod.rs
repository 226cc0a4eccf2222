//! Sessions in Redis or Valkey, on one server or in a cluster.
//!
//! A session is one hash ([`layout`]), and each operation one script that runs where the hash is, in one round trip: what it checks
//! and what it changes is one step. Its server orders the writes; redundancy and failover are the servers', and how many replicas
//! must have a write before it is acknowledged is configured. Which server has a session is in [`routes`], what becomes of
//! an operation whose server moves, fails or stalls in [`run`], and what its errors mean in [`fault`].
//!
//! The crate's own cluster connection is not used: it does not say whether an attempt may have been carried out, and `WAIT` must
//! follow its write on the same connection.

mod answers;
mod attempt;
mod fault;
mod layout;
mod nodes;
mod pages;
mod routes;
mod run;
mod scripts;
mod settings;
mod slots;

use bytes::Bytes;
use foreshift_wire::{PartitionName, Session, SessionId};
use redis::{Cmd, Value};

use super::{
    Cursor, Engine, Expiry, Head, If, Outcome, PARTITIONS_MAX, Page, REMOVED_MAX, Record, Rows, Select, Write,
};
use crate::{BoxFuture, Error};
use run::{Arguments, Ask, Runner};
use scripts::Script;
use settings::Settings;

/// Keeps sessions in Redis or Valkey. Has no `Debug`, as it holds a password.
pub struct Redis(Runner);

impl Redis {
    /// Sessions on the servers of `[session]`; an error where that says what cannot be. Does not connect: servers that are away
    /// are an error of each operation, until they are back.
    pub fn open(config: &Session) -> Result<Self, Error> {
        Ok(Self(Runner::new(Settings::of(config)?)))
    }

    async fn read_with(
        &self,
        session: SessionId,
        script: &'static Script,
        arguments: Arguments<'_>,
    ) -> Result<Value, Error> {
        let ask = Ask {
            session,
            script,
            writes: false,
            bytes: 0,
            arguments,
        };
        self.0.ask(ask).await
    }

    async fn write_with(
        &self,
        session: SessionId,
        script: &'static Script,
        bytes: usize,
        arguments: Arguments<'_>,
    ) -> Result<Value, Error> {
        let ask = Ask {
            session,
            script,
            writes: true,
            bytes,
            arguments,
        };
        self.0.ask(ask).await
    }

    async fn field(&self, session: SessionId, field: &str) -> Result<Option<Vec<u8>>, Error> {
        let arguments = |cmd: &mut Cmd| {
            cmd.arg(field);
        };
        let answer = self.read_with(session, &scripts::FIELD, &arguments).await?;
        answers::bytes(answer)
    }

    async fn put(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> Result<Result<(), Option<Record>>, Error> {
        let (text, fence) = (layout::record_text(&record), layout::fence_text(&record));
        let expected = expected.as_ref().map(layout::record_text).unwrap_or_default();
        let bytes = 2 * text.len();
        let arguments = |cmd: &mut Cmd| {
            cmd.arg(&text).arg(&fence).arg(record.epoch.0);
            cmd.arg(layout::forget_ms(&record)).arg(&expected);
        };
        let answer = self
            .write_with(session, &scripts::RECORD, bytes, &arguments)
            .await?;
        answers::put(answer)
    }

    async fn remove(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> Result<Result<(), Option<Record>>, Error> {
        let expected = expected.as_ref().map(layout::record_text).unwrap_or_default();
        let kept = record.map(|r| {
            (
                layout::record_text(&r),
                layout::fence_text(&r),
                layout::forget_ms(&r),
            )
        });
        let arguments = |cmd: &mut Cmd| {
            cmd.arg(&expected);
            if let Some((text, fence, at)) = &kept {
                cmd.arg(text).arg(fence).arg(*at);
            }
        };
        let bytes = 2 * expected.len();
        let answer = self
            .write_with(session, &scripts::CLEAR, bytes, &arguments)
            .await?;
        answers::put(answer)
    }

    async fn select(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> Result<Option<Rows>, Error> {
        let arguments = |cmd: &mut Cmd| {
            cmd.arg(partition.as_str()).arg(now_ms);
            match &select {
                Select::All => cmd.arg("all"),
                Select::Head => cmd.arg("head"),
                Select::Since(version) => cmd.arg("since").arg(version.0),
                Select::Keys(keys) => {
                    let mut wanted: Vec<&[u8]> = keys.iter().map(Bytes::as_ref).collect();
                    wanted.sort_unstable();
                    wanted.dedup();
                    cmd.arg("keys").arg(wanted)
                }
            };
        };
        let answer = self.read_with(session, &scripts::READ, &arguments).await?;
        answers::rows(partition.clone(), answer)
    }

    async fn store(&self, write: Write) -> Result<Outcome, Error> {
        let id = new_id();
        let arguments = |cmd: &mut Cmd| {
            cmd.arg(&id).arg(write.partition.as_str());
            cmd.arg(write.fence.node.as_ref().map_or("", |node| node.as_str()));
            cmd.arg(
                write
                    .fence
                    .epoch
                    .map_or_else(String::new, |epoch| epoch.to_string()),
            );
            cmd.arg(write.version.0).arg(condition(write.condition));
            cmd.arg(u8::from(write.replace));
            match write.expiry {
                Expiry::Keep => cmd.arg("="),
                Expiry::Never => cmd.arg("-"),
                Expiry::At(at) => cmd.arg(at),
            };
            cmd.arg(write.max_bytes)
                .arg(write.max_session_bytes)
                .arg(write.now_ms);
            cmd.arg(REMOVED_MAX).arg(PARTITIONS_MAX);
            for put in &write.puts {
                cmd.arg(&put.key[..]).arg(condition(put.condition));
                cmd.arg(u8::from(put.value.is_some()));
                cmd.arg(put.value.as_deref().unwrap_or_default());
            }
        };
        let size = |put: &super::Put| put.key.len() + put.value.as_ref().map_or(0, Bytes::len) + 64;
        let bytes = write.puts.iter().map(size).sum();
        let answer = self
            .write_with(write.session, &scripts::WRITE, bytes, &arguments)
            .await?;
        answers::outcome(&write, answer)
    }
}

/// An id of one try to write, by which its script knows it when it comes again.
fn new_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

fn condition(condition: If) -> String {
    match condition {
        If::Any => "*".into(),
        If::Present => "+".into(),
        If::Absent => "-".into(),
        If::Is(version) => version.to_string(),
    }
}

impl Engine for Redis {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        Box::pin(async move {
            let text = self.field(session, "@record").await?;
            text.map(|text| layout::record(&text)).transpose()
        })
    }

    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        Box::pin(self.put(session, expected, record))
    }

    fn clear(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        Box::pin(self.remove(session, expected, record))
    }

    fn heads(&self, session: SessionId, now_ms: u64) -> BoxFuture<'_, Result<Vec<Head>, Error>> {
        Box::pin(async move {
            let answer = self.read_with(session, &scripts::HEADS, &|_| ()).await?;
            answers::heads(answer, now_ms)
        })
    }

    fn read(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> BoxFuture<'_, Result<Option<Rows>, Error>> {
        Box::pin(self.select(session, partition, select, now_ms))
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>> {
        Box::pin(self.store(write))
    }

    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>> {
        Box::pin(self.0.page(from))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.nodes.clear() })
    }
}

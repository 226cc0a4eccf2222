//! Sessions in Redis or Valkey, on one server or in a cluster.
//!
//! A session is one hash ([`layout`]), and each operation one step on it, in one round trip: reads of single keys are one command
//! ([`read`]), all else is a script that runs where the hash is ([`write`]). Its server orders the writes; redundancy and failover are the servers', and how many replicas
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
mod read;
mod routes;
mod run;
mod scripts;
mod settings;
mod slots;
mod write;

use foreshift_wire::{PartitionName, Session, SessionId};
use redis::{Cmd, Value};

use super::{Cursor, Engine, Head, Outcome, Page, Record, Rows, Select, Write};
use crate::{BoxFuture, Error};
use run::{Arguments, Ask, Call, Runner};
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
        call: Call<'_>,
        arguments: Arguments<'_>,
    ) -> Result<Value, Error> {
        let ask = Ask {
            session,
            call,
            writes: false,
            bytes: 0,
            arguments,
        };
        self.0.ask(ask).await
    }

    async fn write_with(
        &self,
        session: SessionId,
        call: Call<'_>,
        bytes: usize,
        arguments: Arguments<'_>,
    ) -> Result<Value, Error> {
        let ask = Ask {
            session,
            call,
            writes: true,
            bytes,
            arguments,
        };
        self.0.ask(ask).await
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
        let arguments = |cmd: &mut Cmd, _: bool| {
            cmd.arg(&text).arg(&fence).arg(record.epoch.0);
            cmd.arg(layout::forget_ms(&record)).arg(&expected);
        };
        let answer = self
            .write_with(session, Call::Script(&scripts::RECORD), bytes, &arguments)
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
        let arguments = |cmd: &mut Cmd, _: bool| {
            cmd.arg(&expected);
            if let Some((text, fence, at)) = &kept {
                cmd.arg(text).arg(fence).arg(*at);
            }
        };
        let bytes = 2 * expected.len();
        let answer = self
            .write_with(session, Call::Script(&scripts::CLEAR), bytes, &arguments)
            .await?;
        answers::put(answer)
    }
}

impl Engine for Redis {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        Box::pin(async move {
            let arguments = |cmd: &mut Cmd, _: bool| {
                cmd.arg("@record");
            };
            let answer = self.read_with(session, Call::Command("HGET"), &arguments).await?;
            answers::bytes(answer)?
                .map(|text| layout::record(&text))
                .transpose()
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
            let answer = self
                .read_with(session, Call::Script(&scripts::HEADS), &|_, _| ())
                .await?;
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

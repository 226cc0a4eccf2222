//! An engine that answers late, in another order, not at all, or wrongly.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use foreshift_store::{
    BoxFuture, Engine, Error,
    engine::{Cursor, Fence, Head, If, Outcome, Page, Record, Rows, Select, Write},
};
use foreshift_wire::{PartitionName, SessionId};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// Writes of a history whose outcome is unknown, at most: each may be done at any time, which makes many orders.
const UNKNOWN_MAX: u32 = 5;

/// How an engine breaks its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It takes writes of whoever served the session once.
    NoFence,
    /// It does not look at conditions.
    NoCondition,
    /// It acknowledges some writes that it does not store.
    LosesAcknowledged,
    /// It acknowledges before it stores.
    AcknowledgesEarly,
    /// It reads what was there a moment ago.
    ReadsOld,
    /// It stores a part of a batch.
    HalfABatch,
}

/// What becomes of a write.
enum Fate {
    Answered,
    /// Done or not, an error is told.
    Unknown {
        is_done: bool,
    },
    /// An error is told, and it is done later.
    Late(Duration),
    /// Nothing is done, and this is told.
    Refused,
}

pub(crate) struct Faulty {
    engine: Arc<dyn Engine>,
    rng: Mutex<SmallRng>,
    unknown: AtomicU32,
    broken: Option<Broken>,
    last: Mutex<Option<Rows>>,
}

impl Faulty {
    pub(crate) fn new(engine: Arc<dyn Engine>, seed: u64, broken: Option<Broken>) -> Self {
        Self {
            engine,
            rng: Mutex::new(SmallRng::seed_from_u64(!seed)),
            unknown: AtomicU32::new(0),
            broken,
            last: Mutex::default(),
        }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut SmallRng) -> T) -> T {
        draw(&mut self.rng.lock().expect("no draw panics"))
    }

    /// Requests overtake each other: each waits as long as it is drawn.
    async fn wait(&self) {
        let ms = self.draw(|rng| rng.random_range(0..4u64));
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn fate(&self) -> Fate {
        let fate = self.draw(|rng| rng.random_range(0..100u32));
        let may_be_unknown = || self.unknown.fetch_add(1, Ordering::Relaxed) < UNKNOWN_MAX;
        match fate {
            0..4 => Fate::Refused,
            4..8 if may_be_unknown() => Fate::Unknown { is_done: true },
            8..10 if may_be_unknown() => Fate::Unknown { is_done: false },
            10..14 if may_be_unknown() => {
                Fate::Late(Duration::from_millis(self.draw(|rng| rng.random_range(1..30))))
            }
            _ => Fate::Answered,
        }
    }

    fn is_broken(&self, how: Broken) -> bool {
        self.broken == Some(how)
    }

    async fn carry_out(&self, mut write: Write) -> Result<Outcome, Error> {
        if self.is_broken(Broken::NoFence) {
            write.fence = Fence::default();
        }
        if self.is_broken(Broken::NoCondition) {
            write.condition = If::Any;
            write.puts.iter_mut().for_each(|put| put.condition = If::Any);
        }
        if self.is_broken(Broken::HalfABatch) && write.puts.len() > 1 && self.draw(|rng| rng.random_bool(0.2))
        {
            write.puts.pop();
        }
        let (removed, added) = (0, 0);
        if self.is_broken(Broken::LosesAcknowledged) && self.draw(|rng| rng.random_bool(0.1)) {
            return Ok(Outcome::Done { removed, added });
        }
        if self.is_broken(Broken::AcknowledgesEarly) && self.draw(|rng| rng.random_bool(0.3)) {
            self.later(write, Duration::from_millis(5));
            return Ok(Outcome::Done { removed, added });
        }
        self.engine.write(write).await
    }

    fn later(&self, write: Write, after: Duration) {
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // Whoever sent it does not listen any more.
            let _ = engine.write(write).await;
        });
    }

    async fn write_with_faults(&self, write: Write) -> Result<Outcome, Error> {
        self.wait().await;
        match self.fate() {
            Fate::Answered => {
                let outcome = self.carry_out(write).await;
                self.wait().await;
                outcome
            }
            Fate::Unknown { is_done } => {
                if is_done {
                    self.carry_out(write).await?;
                }
                Err(failed(true))
            }
            Fate::Late(after) => {
                self.later(write, after);
                Err(failed(true))
            }
            Fate::Refused => Err(failed(false)),
        }
    }

    async fn read_with_faults(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> Result<Option<Rows>, Error> {
        self.wait().await;
        if self.draw(|rng| rng.random_bool(0.03)) {
            return Err(failed(false));
        }
        let rows = self.engine.read(session, partition, select, now_ms).await?;
        let before = std::mem::replace(&mut *self.last.lock().expect("nobody panics"), rows.clone());
        self.wait().await;
        match before {
            Some(before) if self.is_broken(Broken::ReadsOld) && self.draw(|rng| rng.random_bool(0.3)) => {
                Ok(Some(before))
            }
            _ => Ok(rows),
        }
    }
}

fn failed(unknown: bool) -> Error {
    Error::Unavailable {
        detail: "drawn by the test".into(),
        unknown,
    }
}

impl Engine for Faulty {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        Box::pin(async move {
            self.wait().await;
            self.engine.record(session).await
        })
    }

    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        Box::pin(async move {
            self.wait().await;
            let stored = self.engine.put_record(session, expected, record).await;
            self.wait().await;
            match self.draw(|rng| rng.random_bool(0.05)) {
                // It was stored, but nobody is told.
                true => Err(failed(true)),
                false => stored,
            }
        })
    }

    fn clear(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Option<Record>,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        self.engine.clear(session, expected, record)
    }

    fn heads(&self, session: SessionId, now_ms: u64) -> BoxFuture<'_, Result<Vec<Head>, Error>> {
        self.engine.heads(session, now_ms)
    }

    fn read(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> BoxFuture<'_, Result<Option<Rows>, Error>> {
        Box::pin(self.read_with_faults(session, partition, select, now_ms))
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>> {
        Box::pin(self.write_with_faults(write))
    }

    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>> {
        self.engine.page(from)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.engine.close()
    }
}

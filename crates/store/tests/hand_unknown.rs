//! A hand-over whose answer is lost may be stored all the same. The node that serves on must not stay fenced by it.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use common::service::{get, node, pool, refusal, set};
use foreshift_store::{
    BoxFuture, Caller, Engine, Error, Refusal, Served, Sessions,
    engine::{Cursor, Head, Memory, Outcome, Page, Record, Rows, Select, Write},
};
use foreshift_wire::{Epoch, PartitionName, SessionId};

const ID: SessionId = SessionId(7);

/// Stores records, and says or not that it did.
#[derive(Default)]
struct Mute {
    engine: Memory,
    is_mute: AtomicBool,
    /// Does not even say that it does not know.
    hangs: AtomicBool,
}

impl Engine for Mute {
    fn record(&self, session: SessionId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        self.engine.record(session)
    }

    fn put_record(
        &self,
        session: SessionId,
        expected: Option<Record>,
        record: Record,
    ) -> BoxFuture<'_, Result<Result<(), Option<Record>>, Error>> {
        Box::pin(async move {
            let stored = self.engine.put_record(session, expected, record).await;
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            match self.is_mute.load(Ordering::Relaxed) {
                true => Err(Error::Unavailable {
                    detail: "too few replicas have it".into(),
                    unknown: true,
                }),
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
        self.engine.read(session, partition, select, now_ms)
    }

    fn write(&self, write: Write) -> BoxFuture<'_, Result<Outcome, Error>> {
        self.engine.write(write)
    }

    fn page(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, Error>> {
        self.engine.page(from)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.engine.close()
    }
}

fn caller(id: &str, epoch: Epoch) -> Caller {
    Caller {
        node: Some(node(id)),
        epoch: Some(epoch),
        ..Caller::own()
    }
}

fn serve(sessions: &Sessions, id: &str) -> Epoch {
    match sessions.serving(&pool(), ID, &node(id)) {
        Served::Since(epoch) => epoch,
        Served::Revoked => panic!("revoked"),
    }
}

#[tokio::test]
async fn a_node_that_serves_on_after_an_unknown_hand_over_writes_again_in_the_reign_that_it_is_told() {
    for hangs in [false, true] {
        let engine = Arc::new(Mute::default());
        let sessions = Sessions::over(engine.clone(), Default::default());
        let first = serve(&sessions, "a");
        set(&sessions, &caller("a", first), ID, "cart", "x", Some("1"))
            .await
            .unwrap();

        engine.is_mute.store(true, Ordering::Relaxed);
        engine.hangs.store(hangs, Ordering::Relaxed);
        // To the other node, and back: neither is answered.
        for to in ["b", "a"] {
            let (pool, to) = (pool(), node(to));
            tokio::select! {
                biased;
                handed = sessions.hand(&pool, ID, &to) => {
                    assert!(matches!(handed, Err(Error::Unavailable { unknown: true, .. })), "{handed:?}");
                }
                () = tokio::task::yield_now() => assert!(hangs),
            }
        }
        engine.is_mute.store(false, Ordering::Relaxed);
        engine.hangs.store(false, Ordering::Relaxed);

        let Served::Since(now) = sessions.reinstate(&pool(), ID, &node("a")) else {
            panic!("revoked");
        };
        assert_eq!(serve(&sessions, "a"), now);
        let stored = engine.record(ID).await.unwrap().unwrap();
        assert!(
            now > stored.epoch,
            "{now} is above {}, which is stored",
            stored.epoch
        );
        let late = set(&sessions, &caller("a", first), ID, "cart", "x", Some("2")).await;
        assert!(
            matches!(refusal(late), Refusal::Fenced { owner, epoch } if owner == Some(node("a")) && epoch == now)
        );
        let a = caller("a", now);
        set(&sessions, &a, ID, "cart", "x", Some("3")).await.unwrap();
        assert_eq!(
            get(&sessions, &a, ID, "cart").await.unwrap(),
            [("x".into(), "3".into())]
        );
    }
}

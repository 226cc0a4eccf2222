//! Writes go on while the slots of their sessions move from one server to another: none fails, none is lost, none is done twice.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use common::{
    cluster::Cluster,
    redis::{ask, host, is_installed, text, until},
    sessions::{begin, done, only, set},
};
use foreshift_store::engine::{Engine, If, Redis};
use foreshift_wire::{SessionId, Version};
use redis::{Value, aio::MultiplexedConnection};
use tokio::task::JoinHandle;

/// What is written; of every other session so large that it follows its write.
fn value(id: SessionId, version: u64) -> String {
    let width = if id.0.is_multiple_of(2) { 1 } else { 5_000 };
    format!("{version:0width$}")
}

/// Counts up in a session's cart, each write on the condition that the one before is the last.
struct Writer {
    id: SessionId,
    acknowledged: Arc<AtomicU64>,
    stops: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start(engine: Arc<Redis>, id: SessionId) -> Self {
        let (acknowledged, stops) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, stop) = (acknowledged.clone(), stops.clone());
        let task = tokio::spawn(async move {
            for version in 1.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let condition = match version {
                    1 => If::Absent,
                    _ => If::Is(Version(version - 1)),
                };
                let outcome = engine
                    .write(set(id, version, condition, "n", &value(id, version)))
                    .await;
                assert_eq!(outcome.expect("the cluster is well"), done((version == 1).into()));
                count.store(version, Ordering::SeqCst);
            }
        });
        Self {
            id,
            acknowledged,
            stops,
            task,
        }
    }

    /// Waits until it wrote some more.
    async fn goes_on(&self) {
        let before = self.acknowledged.load(Ordering::SeqCst);
        until("writes go on", async || {
            assert!(!self.task.is_finished(), "a writer failed");
            self.acknowledged.load(Ordering::SeqCst) > before + 20
        })
        .await;
    }

    async fn end(self) -> (SessionId, u64) {
        self.stops.store(true, Ordering::SeqCst);
        self.task.await.expect("every write was done");
        (self.id, self.acknowledged.load(Ordering::SeqCst))
    }
}

fn key(id: SessionId) -> String {
    format!("{{fs:{id}}}")
}

async fn slot(to: &mut MultiplexedConnection, id: SessionId) -> String {
    match ask(to, &["cluster", "keyslot", &key(id)]).await {
        Value::Int(slot) => slot.to_string(),
        other => panic!("{other:?}"),
    }
}

/// What a server answers to a read of a session, as text.
async fn answer(to: &mut MultiplexedConnection, id: SessionId) -> String {
    let mut command = redis::cmd("HGET");
    command.arg(key(id)).arg("@fence");
    match command.query_async::<Value>(to).await {
        Ok(value) => text(&value),
        Err(error) => error.code().unwrap_or_default().into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_follow_their_slots() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start(10_000).await;
    let engine = Arc::new(Redis::open(&cluster.session()).unwrap());
    let mut primaries = cluster.primaries().await;
    let names = [cluster.id(0).await, cluster.id(1).await];
    // Sessions of the first server; they move to the second.
    let mut ours = Vec::new();
    for id in (0..).map(SessionId) {
        if answer(&mut primaries[0], id).await != "MOVED" {
            ours.push(id);
        }
        if ours.len() == 7 {
            break;
        }
    }
    let late = ours.pop().expect("seven");
    begin(&*engine, ours.iter().copied()).await;
    let writers: Vec<_> = ours.iter().map(|id| Writer::start(engine.clone(), *id)).collect();
    for writer in &writers {
        writer.goes_on().await;
    }

    let port = cluster.servers[1].port.to_string();
    for id in ours.iter().copied().chain([late]) {
        let slot = slot(&mut primaries[0], id).await;
        ask(
            &mut primaries[1],
            &["cluster", "setslot", &slot, "importing", &names[0]],
        )
        .await;
        ask(
            &mut primaries[0],
            &["cluster", "setslot", &slot, "migrating", &names[1]],
        )
        .await;
        if id == late {
            // It begins on a slot that is on its way, where its server is to be asked for.
            assert_eq!(answer(&mut primaries[0], id).await, "ASK");
            begin(&*engine, [late]).await;
        } else {
            ask(
                &mut primaries[0],
                &["migrate", &host().to_string(), &port, &key(id), "0", "5000"],
            )
            .await;
            assert_eq!(answer(&mut primaries[0], id).await, "ASK");
            let writer = writers.iter().find(|writer| writer.id == id).expect("ours");
            writer.goes_on().await;
        }
        for primary in [1, 0, 2] {
            ask(
                &mut primaries[primary],
                &["cluster", "setslot", &slot, "node", &names[1]],
            )
            .await;
        }
        assert_eq!(answer(&mut primaries[0], id).await, "MOVED");
    }
    for writer in &writers {
        writer.goes_on().await;
    }
    for writer in writers {
        let (id, acknowledged) = writer.end().await;
        assert_eq!(only(&*engine, id).await, (acknowledged, value(id, acknowledged)));
    }
    assert!(engine.record(late).await.unwrap().is_some());
}

//! A primary of a cluster is killed while many write: nothing that a replica was waited for is lost, and nothing is done twice.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{
    cluster::Cluster,
    redis::{is_installed, until},
    sessions::{NOW_MS, begin, cart, only, set},
};
use foreshift_store::{
    Error,
    engine::{Engine, If, Outcome, Redis, Select},
};
use foreshift_wire::{Session, SessionId, Version};
use tokio::task::JoinHandle;

/// Sessions that are written, each by one writer.
const SESSIONS: u128 = 24;

/// The version that is stored; waits until a server says so.
async fn stored(engine: &Redis, id: SessionId) -> u64 {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match engine.read(id, cart(), Select::Head, NOW_MS).await {
            Ok(rows) => return rows.map_or(0, |rows| rows.head.version.0),
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    }
}

/// Counts up, each write on the condition that the one before is the last. So one that is lost, or done twice, shows at once.
fn writer(
    engine: Arc<Redis>,
    id: SessionId,
    stops: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut last, mut acknowledged) = (0, 0);
        while !stops.load(Ordering::SeqCst) {
            let version = last + 1;
            let condition = match last {
                0 => If::Absent,
                last => If::Is(Version(last)),
            };
            match engine
                .write(set(id, version, condition, "n", &version.to_string()))
                .await
            {
                Ok(Outcome::Done { .. }) => {
                    (last, acknowledged) = (version, version);
                    count.store(version, Ordering::SeqCst);
                }
                Err(Error::Unavailable { unknown, detail }) => {
                    let found = stored(&engine, id).await;
                    assert!(
                        (acknowledged..=last).contains(&found) || (unknown && found == version),
                        "{acknowledged} was acknowledged and {last} seen, {found} is stored: {detail}"
                    );
                    last = found;
                }
                other => panic!("{version}: {other:?}"),
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_a_primary() {
    if !is_installed() {
        return;
    }
    let mut cluster = Cluster::start(2_000).await;
    let session = Session {
        wait_replicas: 1,
        wait_timeout: foreshift_wire::Duration::from_secs(1),
        timeout: foreshift_wire::Duration::from_secs(5),
        ..cluster.session()
    };
    let engine = Arc::new(Redis::open(&session).unwrap());
    let ids: Vec<_> = (0..SESSIONS).map(SessionId).collect();
    begin(&*engine, ids.iter().copied()).await;
    let stops = Arc::<AtomicBool>::default();
    let counts: Vec<_> = ids.iter().map(|_| Arc::<AtomicU64>::default()).collect();
    let start = |(id, count): (&SessionId, &Arc<AtomicU64>)| {
        writer(engine.clone(), *id, stops.clone(), count.clone())
    };
    let writers: Vec<_> = ids.iter().zip(&counts).map(start).collect();
    all_go_on(&counts, &writers).await;

    cluster.servers[0].kill();
    until("its replica takes over", async || {
        let mut to = cluster.servers[3].connect().await;
        let info = common::redis::ask(&mut to, &["info", "replication"]).await;
        common::redis::text(&info).contains("role:master")
    })
    .await;
    // Without a replica nothing is acknowledged there; the killed one comes back as such.
    cluster.servers[0].run().await;
    until("it has a replica again", async || cluster.leads(3).await).await;
    all_go_on(&counts, &writers).await;

    stops.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("what is stored is what was acknowledged");
    }
    for (id, count) in ids.iter().zip(&counts) {
        let (version, value) = only(&*engine, *id).await;
        let acknowledged = count.load(Ordering::SeqCst);
        assert_eq!(value, version.to_string());
        assert!(
            version >= acknowledged,
            "{acknowledged} was acknowledged, {version} is stored"
        );
    }
}

/// Waits until every writer wrote some more.
async fn all_go_on(counts: &[Arc<AtomicU64>], writers: &[JoinHandle<()>]) {
    let now = |count: &Arc<AtomicU64>| count.load(Ordering::SeqCst);
    let before: Vec<_> = counts.iter().map(now).collect();
    until("writes go on", async || {
        assert!(!writers.iter().any(JoinHandle::is_finished), "a writer failed");
        counts
            .iter()
            .zip(&before)
            .all(|(count, before)| now(count) > before + 20)
    })
    .await;
}

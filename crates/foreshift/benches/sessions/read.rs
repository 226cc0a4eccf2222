//! Getting one key of the embedded engine in this process: sealed values, a warm cache, and writes going on or not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use foreshift_store::{Caller, Select, Sessions};
use foreshift_wire::SessionId;

use crate::{
    Plan,
    data::{Draws, batch, key},
    figure::{Figures, Goal},
    store::{self, KEYS, VALUE_BYTES},
    times::{Sorted, Times},
};

const GOAL_US: Goal = Goal::AtMost(200.0);
/// Callers that write meanwhile.
const WRITERS: usize = 16;

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    let runtime = store::runtime()?;
    let folder = tempfile::tempdir_in(&plan.folder)?;
    let time = Duration::from_secs(plan.seconds);
    let (alone, busy, written) = runtime.block_on(async {
        let sessions = Sessions::open(&store::config(folder.path(), store::usual_cache()), &[]).await?;
        let ids = store::fill(&sessions, plan.sessions).await?;
        gets(&sessions, &ids, time / 2).await?;
        let alone = gets(&sessions, &ids, time).await?;
        let (busy, written) = beside_writes(&sessions, &ids, time).await?;
        sessions.close().await;
        anyhow::Ok((alone, busy, written))
    })?;
    figures.add("embedded get, p99", alone.us(0.99), "us", GOAL_US, alone.spread());
    let note = format!(
        "{written:.0} durable batches/s by {WRITERS} writers; {}",
        busy.spread()
    );
    figures.add(
        "embedded get while others write, p99",
        busy.us(0.99),
        "us",
        GOAL_US,
        note,
    );
    Ok(())
}

/// One caller that gets one key after the other.
async fn gets(sessions: &Sessions, ids: &Arc<[SessionId]>, time: Duration) -> Result<Sorted> {
    let (sessions, ids, cart) = (sessions.clone(), ids.clone(), store::cart()?);
    let reader = tokio::spawn(async move {
        let (caller, mut draws, mut times) = (Caller::own(), Draws::seeded(7), Times::default());
        let end = Instant::now() + time;
        while Instant::now() < end {
            let id = ids[draws.below(ids.len())];
            let select = Select::Keys(vec![key(draws.below(KEYS))]);
            let begun = Instant::now();
            let part = sessions.read(&caller, id, &cart, select).await?;
            times.since(begun);
            let value = part.entries.first().and_then(|entry| entry.value.as_ref());
            ensure!(
                value.is_some_and(|value| value.bytes.len() == VALUE_BYTES),
                "a value is not as it was set"
            );
            // Reads that wait for nothing would keep others from running.
            tokio::task::yield_now().await;
        }
        Ok(times.sorted())
    });
    reader.await?
}

async fn beside_writes(sessions: &Sessions, ids: &Arc<[SessionId]>, time: Duration) -> Result<(Sorted, f64)> {
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (sessions, ids, cart) = (sessions.clone(), ids.clone(), store::cart()?);
        let (stop, written) = (stop.clone(), written.clone());
        writers.spawn(async move {
            let (caller, mut draws) = (Caller::own(), Draws::seeded(100 + writer as u64));
            while !stop.load(Ordering::Relaxed) {
                let id = ids[draws.below(ids.len())];
                let value = (key(draws.below(KEYS)), draws.bytes(VALUE_BYTES));
                sessions.write(&caller, id, &cart, batch([value])).await?;
                written.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    let begun = Instant::now();
    let times = gets(sessions, ids, time).await?;
    let rate = written.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    Ok((times, rate))
}

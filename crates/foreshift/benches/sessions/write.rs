//! Durable batches by many callers at once, beside how often the disk syncs.
//!
//! A batch is acknowledged once it is on disk; all that wait share one commit. So the disk's own limit is its syncs each second,
//! by those of a commit, times the callers that can wait for one.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use foreshift_store::{Caller, Sessions};
use foreshift_wire::SessionId;
use redb::{ReadableDatabase, TableDefinition};
use tokio::task::JoinSet;

use crate::{
    Plan,
    data::{Draws, batch, key},
    figure::{Figures, Goal},
    store::{self, KEYS},
};

const GOAL: f64 = 20_000.0;
/// Syncs of a commit in two phases.
const SYNCS: f64 = 2.0;
/// Callers, and bytes of the value that each batch sets.
const CASES: [(usize, usize); 4] = [(64, 128), (1_024, 128), (1_024, 1_024), (4_096, 128)];

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    let folder = tempfile::tempdir_in(&plan.folder)?;
    let syncs = syncs(folder.path(), Duration::from_secs(plan.seconds.min(3)))?;
    let name = "syncs of a 4 KiB write";
    figures.add(
        name,
        syncs,
        "1/s",
        Goal::None,
        "one after the other, same folder".into(),
    );
    for (writers, bytes) in CASES {
        let folder = tempfile::tempdir_in(&plan.folder)?;
        let config = store::config(folder.path(), store::usual_cache());
        let (before, after, batches, time) = store::runtime()?.block_on(async {
            let sessions = Sessions::open(&config, &[]).await?;
            let ids = store::fill(&sessions, plan.sessions).await?;
            sessions.close().await;
            let before = commits(&config.path)?;
            let sessions = Sessions::open(&config, &[]).await?;
            let (batches, time) = batches(&sessions, &ids, writers, bytes, plan.seconds).await?;
            sessions.close().await;
            anyhow::Ok((before, commits(&config.path)?, batches, time.as_secs_f64()))
        })?;
        let rate = batches as f64 / time;
        let commits = (after - before) as f64;
        let limit = (syncs / SYNCS * writers as f64).min(GOAL).round();
        let note = format!(
            "{:.0} commits/s of {:.0} batches each",
            commits / time,
            batches as f64 / commits
        );
        let name = format!("batches of a value of {bytes} B, {writers} callers");
        figures.add(&name, rate, "1/s", Goal::AtLeast(limit), note);
    }
    Ok(())
}

/// How often a second a write of 4 KiB to a file that has its length is on disk.
fn syncs(folder: &Path, time: Duration) -> Result<f64> {
    const PAGES: u64 = 4_096;
    let mut file = File::create(folder.join("syncs"))?;
    for _ in 0..PAGES {
        file.write_all(&[1; 4096])?;
    }
    file.sync_all()?;
    let (begun, mut done) = (Instant::now(), 0_u64);
    while begun.elapsed() < time {
        file.write_all_at(&[2; 4096], done % PAGES * 4096)?;
        file.sync_data()?;
        done += 1;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

/// Batches that so many callers did, each one after the other, and in what time.
async fn batches(
    sessions: &Sessions,
    ids: &Arc<[SessionId]>,
    callers: usize,
    bytes: usize,
    seconds: u64,
) -> Result<(u64, Duration)> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    for writer in 0..callers {
        let (sessions, ids, cart) = (sessions.clone(), ids.clone(), store::cart()?);
        tasks.spawn(async move {
            let (caller, mut draws) = (Caller::own(), Draws::seeded(writer as u64));
            let mut done = 0;
            while Instant::now() < end {
                let id = ids[draws.below(ids.len())];
                let value = (key(draws.below(KEYS)), draws.bytes(bytes));
                sessions.write(&caller, id, &cart, batch([value])).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut all = 0;
    while let Some(done) = tasks.join_next().await {
        all += done??;
    }
    Ok((all, begun.elapsed()))
}

/// Commits of a closed store, which counts them itself.
fn commits(path: &Path) -> Result<u64> {
    const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
    let database = redb::Database::open(path)?;
    let read = database.begin_read()?;
    let count = read.open_table(ABOUT)?.get("commits")?;
    Ok(count.context("the store does not count its commits")?.value())
}

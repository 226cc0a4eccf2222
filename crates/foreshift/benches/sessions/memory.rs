//! Memory of the embedded engine: that of a session that is cached, and that the cache keeps to its limit.
//!
//! Each case in a process of its own, as memory that was used once is not always given back. What counts is resident memory that is
//! no file's, beyond that of the same store without sessions.

use std::path::Path;

use anyhow::{Result, bail};
use foreshift_store::{Caller, Select, Sessions};

use crate::{
    Plan,
    common::Role,
    figure::{Figures, Goal},
    own::{heard, order, resident, shared},
    store::{self, KEYS, VALUE_BYTES},
};

const MIB: u64 = 1024 * 1024;
/// Sessions, and bytes that their cache may have.
const CASES: [(usize, u64); 4] = [
    (10_000, 1024 * MIB),
    (100_000, 2048 * MIB),
    (100_000, 64 * MIB),
    (100_000, 16 * MIB),
];
/// What a store may need beside its cache: buffers of a commit, and what the allocator keeps.
const BESIDE: u64 = 64 * MIB;

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    for (sessions, cache) in CASES {
        let folder = tempfile::tempdir_in(&plan.folder)?;
        let mut child = shared(Role::start("memory"))?;
        shared(child.say(&format!("{sessions} {cache} {}", folder.path().display())))?;
        heard(&mut child)?;
        let empty = resident(child.id())?;
        shared(child.say("fill"))?;
        heard(&mut child)?;
        let grown = resident(child.id())?.saturating_sub(empty);
        let (cache_mib, grown_mib) = (cache / MIB, grown as f64 / MIB as f64);
        let name = format!("{sessions} sessions, cache of {cache_mib} MiB");
        let (held, note) = (sessions * KEYS * VALUE_BYTES, format!("{grown_mib:.1} MiB"));
        match cache > 2 * held as u64 {
            true => {
                let each = grown as f64 / sessions as f64;
                let note = format!("{note}; a session has {KEYS} keys of {VALUE_BYTES} B");
                figures.add(&name, each, "B/session", Goal::None, note);
            }
            false => {
                let goal = Goal::AtMost((cache + BESIDE) as f64 / MIB as f64);
                let note = format!("of {} MiB of values", held as u64 / MIB);
                figures.add(&name, grown_mib, "MiB", goal, note);
            }
        }
    }
    Ok(())
}

/// Opens a store, fills it where asked to, reads it whole from disk, and says when each is done.
pub(crate) fn child() -> Result<()> {
    let words = order()?;
    let [count, cache, folder] = &words[..] else {
        bail!("count, cache and folder are needed");
    };
    let (count, config) = (count.parse()?, store::config(Path::new(folder), cache.parse()?));
    store::runtime()?.block_on(async {
        let sessions = Sessions::open(&config, &[]).await?;
        println!("open");
        order()?;
        let ids = store::fill(&sessions, count).await?;
        for id in ids.iter() {
            sessions
                .read(&Caller::own(), *id, &store::cart()?, Select::All)
                .await?;
        }
        println!("filled");
        order()?;
        sessions.close().await;
        Ok(())
    })
}

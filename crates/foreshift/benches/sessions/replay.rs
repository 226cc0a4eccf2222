//! Bytes that are sent of a session that moves, by those that it has: eight partitions, of which the new node requires two.
//!
//! Bytes are those of the bodies, as `Sessions::missing` makes them; what HTTP adds to each is told by the part `drain`.

use anyhow::{Context, Result};
use bytes::Bytes;
use foreshift_store::{Caller, Sessions};
use foreshift_wire::{NodeId, PartitionName, PartitionPattern, PoolName, SessionId};

use crate::{
    Plan,
    data::{Draws, batch, key},
    figure::{Figures, Goal},
    store,
};

/// All of a session.
pub(crate) const PARTITIONS: [&str; 8] = [
    "auth",
    "cart",
    "wishlist",
    "game/inventory",
    "chat",
    "profile",
    "history",
    "drafts",
];
/// What the new node requires.
pub(crate) const REQUIRED: [&str; 2] = ["auth", "cart"];
/// Bytes of a session's values.
pub(crate) const SESSION_BYTES: usize = 64 * 1024;
/// Keys of a partition.
const KEYS: usize = 32;
/// Keys of a required partition that are set anew before the session comes back.
const CHANGED: usize = 3;

/// A value of so many bytes.
type Make = fn(&mut Draws, usize) -> Bytes;

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    let kinds: [(&str, Make); 2] = [("incompressible", Draws::bytes), ("text", Draws::text)];
    for (kind, make) in kinds {
        let folder = tempfile::tempdir_in(&plan.folder)?;
        let (all, again) = store::runtime()?.block_on(moved(folder.path(), make))?;
        let whole = SESSION_BYTES as f64;
        let note = |sent: usize| {
            format!(
                "{sent} B of {SESSION_BYTES} B of values, {} of 8 partitions",
                REQUIRED.len()
            )
        };
        let (name, share) = (
            format!("sent of a session, {kind} values"),
            100.0 * all as f64 / whole,
        );
        figures.add(&name, share, "%", Goal::AtMost(30.0), note(all));
        let name = format!("sent again after {CHANGED} changes, {kind} values");
        let note = format!(
            "{}; values of {} B",
            note(again),
            SESSION_BYTES / PARTITIONS.len() / KEYS
        );
        figures.add(&name, 100.0 * again as f64 / whole, "%", Goal::AtMost(5.0), note);
    }
    Ok(())
}

/// Bytes sent to a node that holds nothing, and to the same after a few changes by another.
async fn moved(folder: &std::path::Path, make: Make) -> Result<(usize, usize)> {
    let config = store::config(folder, store::usual_cache());
    let sessions = Sessions::open(&config, &[]).await?;
    let (pool, id, draws) = (PoolName::new("bench")?, SessionId(1), &mut Draws::seeded(3));
    let (a, b) = (NodeId::new("a")?, NodeId::new("b")?);
    sessions.serving(&pool, id, &a);
    fill(&sessions, id, make, SESSION_BYTES, draws).await?;
    let all = told(&sessions, &pool, id, &b).await?;
    sessions.serving(&pool, id, &b);
    let value_bytes = SESSION_BYTES / PARTITIONS.len() / KEYS;
    sessions.serving(&pool, id, &a);
    let changes = (0..CHANGED).map(|index| (key(index * 7), make(draws, value_bytes)));
    let cart = PartitionName::new(REQUIRED[1])?;
    sessions.write(&Caller::own(), id, &cart, batch(changes)).await?;
    let again = told(&sessions, &pool, id, &b).await?;
    sessions.close().await;
    Ok((all, again))
}

/// Gives a session all its partitions, of so many bytes together.
pub(crate) async fn fill(
    sessions: &Sessions,
    id: SessionId,
    make: fn(&mut Draws, usize) -> Bytes,
    bytes: usize,
    draws: &mut Draws,
) -> Result<()> {
    let value_bytes = bytes / PARTITIONS.len() / KEYS;
    for name in PARTITIONS {
        let values: Vec<_> = (0..KEYS)
            .map(|index| (key(index), make(draws, value_bytes)))
            .collect();
        let partition = PartitionName::new(name)?;
        sessions
            .write(&Caller::own(), id, &partition, batch(values))
            .await?;
    }
    Ok(())
}

/// What a node is sent, and acknowledges.
async fn told(sessions: &Sessions, pool: &PoolName, id: SessionId, to: &NodeId) -> Result<usize> {
    let required: Vec<PartitionPattern> = REQUIRED
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()
        .ok()
        .context("patterns")?;
    let portions = sessions.missing(pool, id, to, &required).await?;
    for portion in &portions {
        sessions.holds(id, to, &portion.partition, portion.version);
    }
    Ok(portions.iter().map(|portion| portion.body.len()).sum())
}

//! Dynamic partitioning: a partition whose parts are used apart is replayed in parts.
//!
//! A part is what lies below one first segment of the keys (`inventory/...`, `map/...`). While a node serves a session, which
//! parts are used is noted; when the session moves on, that is counted for its pool: which parts are used together, and which
//! apart. Where that is sure enough, a session is replayed with the parts that go with those it used, and the others are named as left out.
//! When they come to be used together, they are joined again.
//!
//! Pure: no clock and no random numbers; old counts fade with the reigns that follow. Seen is what goes through the store: what a node reads
//! in its own copy is not, but fetching a part that was left out is, and so a part that is left out wrongly is so no longer.

mod interval;
mod reigns;
mod uses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use foreshift_wire::{NodeId, PartitionName, PoolName, SessionId, entries::part_of};

pub use self::uses::{Splitting, Together};
use self::{
    reigns::{Reigns, Used},
    uses::Uses,
};

/// Partitions of pools that are measured; those that come later are replayed whole.
const PARTITIONS_MAX: usize = 64;
/// Sessions whose reigns are noted.
const SESSIONS_MAX: usize = 16 * 1024;

/// A measured partition's place in the list of them.
type Place = u16;

/// How a partition of a pool's sessions is replayed, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitView {
    /// The pool.
    pub pool: PoolName,
    /// The partition.
    pub partition: PartitionName,
    /// What is decided, and why.
    pub decision: Splitting,
    /// Reigns that count at present.
    pub reigns: u32,
    /// How often the decision on two parts changed since the start.
    pub changes: u64,
    /// How often a part was used that had been left out.
    pub misses: u64,
}

/// What is used together and what apart.
#[derive(Debug)]
pub(crate) struct Parting(Mutex<State>);

#[derive(Debug)]
struct State {
    places: BTreeMap<(PoolName, PartitionName), Place>,
    measured: Vec<(Uses, u64)>,
    reigns: Reigns,
}

/// What is left out of a partition at a move: parts by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Leaves(pub(crate) BTreeSet<Bytes>);

impl Default for Parting {
    fn default() -> Self {
        Self::bounded(SESSIONS_MAX)
    }
}

impl Parting {
    fn bounded(sessions_max: usize) -> Self {
        Self(Mutex::new(State {
            places: BTreeMap::new(),
            measured: Vec::new(),
            reigns: Reigns::new(sessions_max),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is half done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys of a partition were used.
    pub(crate) fn used<'a>(
        &self,
        pool: &PoolName,
        session: SessionId,
        partition: &PartitionName,
        keys: impl Iterator<Item = &'a [u8]>,
    ) {
        let mut state = self.lock();
        let Some(place) = state.place(pool, partition) else {
            return;
        };
        let uses = &mut state.measured[usize::from(place)].0;
        let parts = keys.fold(0, |parts, key| parts | uses.bit(part_of(key)));
        state.note(
            session,
            place,
            Used {
                parts,
                is_whole: false,
            },
        );
    }

    /// All of a partition was used at once.
    pub(crate) fn used_whole(&self, pool: &PoolName, session: SessionId, partition: &PartitionName) {
        let mut state = self.lock();
        if let Some(place) = state.place(pool, partition) {
            let (parts, is_whole) = (0, true);
            state.note(session, place, Used { parts, is_whole });
        }
    }

    /// A session moves to a node: its reign at the one before is counted. Again with the same node, it is the same move.
    pub(crate) fn moves(&self, session: SessionId, to: &NodeId) {
        let mut state = self.lock();
        for (place, used) in state.reigns.moves(session, to) {
            state.count(place, used);
        }
    }

    /// What a session that moves need not be told of a partition: nothing where it is not sure.
    pub(crate) fn leaves(&self, pool: &PoolName, session: SessionId, partition: &PartitionName) -> Leaves {
        let mut state = self.lock();
        let key = (pool.clone(), partition.clone());
        let Some(place) = state.places.get(&key).copied() else {
            return Leaves::default();
        };
        let used = state.reigns.used(session, place);
        let uses = &state.measured[usize::from(place)].0;
        let left = uses.apart_from(used);
        let names = uses.names(left);
        state.reigns.left(session, place, left);
        Leaves(names)
    }

    /// The session ended.
    pub(crate) fn end(&self, session: SessionId) {
        let mut state = self.lock();
        for (place, used) in state.reigns.remove(session) {
            state.count(place, used);
        }
    }

    /// All that is measured.
    pub(crate) fn views(&self) -> Vec<SplitView> {
        let state = self.lock();
        let view = |((pool, partition), place): (&(PoolName, PartitionName), &Place)| {
            let (uses, misses) = &state.measured[usize::from(*place)];
            SplitView {
                pool: pool.clone(),
                partition: partition.clone(),
                decision: uses.decision(),
                reigns: uses.reigns(),
                changes: uses.changes(),
                misses: *misses,
            }
        };
        state.places.iter().map(view).collect()
    }
}

impl State {
    fn place(&mut self, pool: &PoolName, partition: &PartitionName) -> Option<Place> {
        let key = (pool.clone(), partition.clone());
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        let place = self.measured.len();
        if place >= PARTITIONS_MAX {
            return None;
        }
        self.measured.push(Default::default());
        self.places.insert(key, place as Place);
        Some(place as Place)
    }

    fn note(&mut self, session: SessionId, place: Place, used: Used) {
        let noted = self.reigns.note(session, place, used);
        self.measured[usize::from(place)].1 += u64::from(noted.was_left);
        for (place, used) in noted.ended {
            self.count(place, used);
        }
    }

    fn count(&mut self, place: Place, used: Used) {
        let uses = &mut self.measured[usize::from(place)].0;
        uses.count(if used.is_whole { uses.all() } else { used.parts });
    }
}

#[cfg(test)]
mod tests;

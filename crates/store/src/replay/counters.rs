//! What replay did, counted by partition.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use foreshift_wire::PartitionName;

/// Partitions that are counted by their names; the others are counted together.
const NAMES_MAX: usize = 64;

/// What was replayed of partitions of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Portions that were made for nodes, to be sent or fetched.
    pub portions: u64,
    /// Those of them that were changes of what the node held.
    pub deltas: u64,
    /// Bytes of their bodies, as they travel.
    pub bytes_sent: u64,
    /// Bytes of keys and values that were not sent, as the nodes held them already.
    pub bytes_held: u64,
    /// Bytes of keys and values in parts that were left out, as they are used apart.
    pub bytes_left: u64,
    /// Portions that nodes acknowledged.
    pub acknowledged: u64,
}

/// What replay did since the start, and what it remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayStats {
    /// By partition.
    pub partitions: BTreeMap<PartitionName, Counts>,
    /// Of partitions whose names came when there were too many already.
    pub others: Counts,
    /// Bytes of keys and values that stayed behind, as the nodes did not require their partitions.
    pub bytes_not_required: u64,
    /// Sessions of which it is remembered what nodes hold.
    pub sessions_known: usize,
    /// About how many bytes that takes.
    pub bytes_known: usize,
    /// Tokens that were given to nodes and did not come back yet.
    pub tickets: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<ReplayStats>);

impl Counters {
    /// Counts something of a partition.
    pub(crate) fn count(&self, name: &PartitionName, count: impl FnOnce(&mut Counts)) {
        let mut stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = &mut *stats;
        if let Some(known) = stats.partitions.get_mut(name) {
            count(known);
        } else if stats.partitions.len() < NAMES_MAX {
            count(stats.partitions.entry(name.clone()).or_default());
        } else {
            count(&mut stats.others);
        }
    }

    /// Counts what was not required.
    pub(crate) fn not_required(&self, bytes: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes_not_required += bytes;
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> ReplayStats {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_names_are_counted_together() {
        let counters = Counters::default();
        for n in 0..1_000 {
            let name = PartitionName::new(&format!("p{n}")).unwrap();
            counters.count(&name, |counts| counts.portions += 1);
        }
        let stats = counters.stats();
        assert_eq!(
            (stats.partitions.len(), stats.others.portions),
            (NAMES_MAX, 1_000 - NAMES_MAX as u64)
        );
    }
}

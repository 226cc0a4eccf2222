//! Single keys that live elsewhere than their bucket says.
//!
//! 256 small hash tables, each shared until it changes: a new version copies the shards that it touches and 2 KiB
//! of pointers, so that thousands of moves in a second cost little, however many overrides there are. The hash
//! is the session itself, which is a keyed hash already and which a client cannot choose.

use std::sync::Arc;

use foreshift_wire::SessionId;
use hashbrown::HashTable;

use super::NodeIndex;

const SHARDS: usize = 256;

/// 18 bytes; a `u128` as it is would round it up to 32.
#[derive(Debug, Clone, Copy)]
struct Entry {
    session: [u8; 16],
    node: u16,
}

type Shard = HashTable<Entry>;

#[derive(Debug, Clone)]
pub(super) struct Overrides {
    shards: Arc<[Arc<Shard>; SHARDS]>,
    len: usize,
}

/// Bits that neither the shard (64 to 71) nor the bucket (112 to 127) uses.
#[inline]
fn hash(session: [u8; 16]) -> u64 {
    u128::from_ne_bytes(session) as u64
}

#[inline]
fn shard(session: SessionId) -> usize {
    usize::from((session.0 >> 64) as u8)
}

impl Overrides {
    pub(super) fn none() -> Self {
        let empty = Arc::new(Shard::new());
        Self {
            shards: Arc::new(std::array::from_fn(|_| empty.clone())),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, session: SessionId) -> Option<NodeIndex> {
        if self.len == 0 {
            return None;
        }
        let key = session.0.to_ne_bytes();
        let found = self.shards[shard(session)].find(hash(key), |entry| entry.session == key);
        found.map(|entry| NodeIndex(entry.node))
    }

    pub(super) fn set(&mut self, session: SessionId, node: NodeIndex) {
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard(session)]);
        let key = session.0.to_ne_bytes();
        if let Some(entry) = shard.find_mut(hash(key), |entry| entry.session == key) {
            entry.node = node.0;
        } else {
            shard.insert_unique(
                hash(key),
                Entry {
                    session: key,
                    node: node.0,
                },
                |entry| hash(entry.session),
            );
            self.len += 1;
        }
    }

    pub(super) fn clear(&mut self, session: SessionId) {
        // Asked first, so that clearing what is not there copies nothing.
        if self.get(session).is_none() {
            return;
        }
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard(session)]);
        let key = session.0.to_ne_bytes();
        if let Ok(entry) = shard.find_entry(hash(key), |entry| entry.session == key) {
            entry.remove();
            self.len -= 1;
        }
        if shard.capacity() > 4 * shard.len() {
            shard.shrink_to_fit(|entry| hash(entry.session));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, NodeIndex)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|entry| {
            (
                SessionId(u128::from_ne_bytes(entry.session)),
                NodeIndex(entry.node),
            )
        })
    }

    /// Bytes on the heap, shared ones included.
    pub(super) fn memory_bytes(&self) -> usize {
        let shard =
            |shard: &Arc<Shard>| shard.allocation_size() + size_of::<Shard>() + 2 * size_of::<usize>();
        size_of::<[Arc<Shard>; SHARDS]>() + self.shards.iter().map(shard).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, session_id};
    use foreshift_wire::PoolName;

    fn sessions(count: u32) -> impl Iterator<Item = SessionId> {
        let (secret, pool) = (Secret::from_bytes([3; 16]), PoolName::new("app").expect("a name"));
        (0..count).map(move |key| session_id(&secret, &pool, &key.to_le_bytes()))
    }

    #[test]
    fn an_override_takes_at_most_64_bytes() {
        for count in [2_000, 5_000, 10_000, 14_000, 20_000, 57_000, 100_000] {
            let mut overrides = Overrides::none();
            sessions(count).for_each(|session| overrides.set(session, NodeIndex(1)));
            let each = overrides.memory_bytes() as f64 / f64::from(count);
            assert!(each <= 64.0, "{count}: {each:.1} B");
        }
    }

    #[test]
    fn clearing_gives_memory_back() {
        let mut overrides = Overrides::none();
        sessions(100_000).for_each(|session| overrides.set(session, NodeIndex(1)));
        sessions(99_000).for_each(|session| overrides.clear(session));
        assert_eq!(overrides.len(), 1_000);
        assert!(
            overrides.memory_bytes() < 128 * 1024,
            "{}",
            overrides.memory_bytes()
        );
    }

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let all: Vec<_> = sessions(1_000).collect();
        let mut overrides = Overrides::none();
        all.iter()
            .for_each(|session| overrides.set(*session, NodeIndex(1)));
        let before = overrides.clone();
        overrides.set(all[0], NodeIndex(2));
        overrides.clear(all[1]);
        assert_eq!(
            (before.get(all[0]), before.get(all[1]), before.len()),
            (Some(NodeIndex(1)), Some(NodeIndex(1)), 1_000)
        );
        assert_eq!(
            (overrides.get(all[0]), overrides.get(all[1]), overrides.len()),
            (Some(NodeIndex(2)), None, 999)
        );
    }
}

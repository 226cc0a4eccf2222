//! Sessions' keys that were opened, so that the next use need not unwrap them: as many as there is memory for.
//!
//! Two generations a part: what is used moves to the young one, and when that is full, the old one is forgotten and the young one
//! is old. So what was used lately stays, without a list to keep in order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use foreshift_wire::SessionId;

use super::DataKey;

/// Parts that are locked apart.
const SHARDS: usize = 16;
/// What an opened key takes, with its wrapped form and its place in the map: some 600 bytes of AES schedule and GCM tables, and
/// what is around them.
const KEY_COSTS: u64 = 1_024;

/// A session's key, and the wrapped form that it was opened from.
type Opened = (Bytes, Arc<DataKey>);

#[derive(Default)]
struct Shard {
    young: HashMap<SessionId, Opened>,
    old: HashMap<SessionId, Opened>,
}

pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Keys in one generation of a part at most.
    each: usize,
}

impl Cache {
    pub(super) fn with(bytes: u64) -> Self {
        let each = bytes / KEY_COSTS / (2 * SHARDS as u64);
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            each: usize::try_from(each).unwrap_or(usize::MAX).max(1),
        }
    }

    fn shard(&self, session: SessionId) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(session.0 % SHARDS as u128) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that was opened from this wrapped form.
    pub(super) fn get(&self, session: SessionId, wrapped: &Bytes) -> Option<Arc<DataKey>> {
        let mut shard = self.shard(session);
        if let Some((from, key)) = shard.young.get(&session) {
            return (from == wrapped).then(|| key.clone());
        }
        let (from, key) = shard.old.remove(&session)?;
        if from != *wrapped {
            return None;
        }
        self.add(&mut shard, session, (from, key.clone()));
        Some(key)
    }

    pub(super) fn put(&self, session: SessionId, wrapped: Bytes, key: Arc<DataKey>) {
        let mut shard = self.shard(session);
        shard.old.remove(&session);
        self.add(&mut shard, session, (wrapped, key));
    }

    fn add(&self, shard: &mut Shard, session: SessionId, opened: Opened) {
        if shard.young.len() >= self.each && !shard.young.contains_key(&session) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(session, opened);
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn opened(byte: u8) -> (Bytes, Arc<DataKey>) {
        let key = DataKey::new(&Zeroizing::new([byte; 32])).unwrap();
        (Bytes::from(vec![byte]), Arc::new(key))
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_keeps_what_is_used() {
        let cache = Cache::with(64 * KEY_COSTS);
        let (wrapped, key) = opened(1);
        let used = SessionId(0);
        cache.put(used, wrapped.clone(), key.clone());
        for session in 1..10_000 {
            cache.put(SessionId(session), wrapped.clone(), key.clone());
            assert!(cache.get(used, &wrapped).is_some(), "{session}");
        }
        let held = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        };
        assert!(cache.shards.iter().map(held).sum::<usize>() <= 64);
        assert!(cache.get(SessionId(1), &wrapped).is_none(), "forgotten");
    }

    #[test]
    fn another_wrapped_form_is_not_taken_for_the_one_that_was_opened() {
        let cache = Cache::with(1 << 20);
        let ((first, key), (second, _)) = (opened(1), opened(2));
        cache.put(SessionId(1), first.clone(), key);
        assert!(cache.get(SessionId(1), &second).is_none());
        assert!(cache.get(SessionId(1), &first).is_some());
        assert!(cache.get(SessionId(2), &first).is_none());
    }
}

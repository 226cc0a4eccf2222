//! Sessions' keys that were opened, so that the next use need not unwrap them: as many as there is memory for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use foreshift_wire::SessionId;

use super::DataKey;
use crate::generations::Generations;

/// Parts that are locked apart.
const SHARDS: usize = 16;
/// What an opened key takes, with its wrapped form and its place in the map: some 600 bytes of AES schedule and GCM tables, and
/// what is around them.
const KEY_COSTS: u64 = 1_024;

/// A session's key, and the wrapped form that it was opened from.
type Opened = (Bytes, Arc<DataKey>);

pub(super) struct Cache(Vec<Mutex<Generations<SessionId, Opened>>>);

impl Cache {
    pub(super) fn with(bytes: u64) -> Self {
        let most = usize::try_from(bytes / KEY_COSTS).unwrap_or(usize::MAX);
        let shard = || Mutex::new(Generations::of(most / SHARDS));
        Self((0..SHARDS).map(|_| shard()).collect())
    }

    fn shard(&self, session: SessionId) -> MutexGuard<'_, Generations<SessionId, Opened>> {
        let shard = &self.0[(session.0 % SHARDS as u128) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that was opened from this wrapped form.
    pub(super) fn get(&self, session: SessionId, wrapped: &Bytes) -> Option<Arc<DataKey>> {
        let mut shard = self.shard(session);
        let (from, key) = shard.get(&session)?;
        (from == wrapped).then(|| key.clone())
    }

    pub(super) fn put(&self, session: SessionId, wrapped: Bytes, key: Arc<DataKey>) {
        self.shard(session).put(session, (wrapped, key));
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
        let held = cache.0.iter().map(|shard| shard.lock().unwrap().len());
        assert!(held.sum::<usize>() <= 64);
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

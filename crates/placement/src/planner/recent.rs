//! A table of what happened lately, bounded in time and in number.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// The last time of each key, with a value. Every operation is O(1), amortised.
#[derive(Debug, Clone)]
pub(super) struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// In the order of arrival; a key that came again is here twice, and only its newest counts.
    order: VecDeque<(u64, K)>,
    keep_ms: u64,
    entries_max: usize,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(keep_ms: u64, entries_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            keep_ms,
            entries_max,
        }
    }

    pub(super) fn put(&mut self, at_ms: u64, key: K, value: V) {
        self.expire(at_ms);
        if self.order.len() >= self.entries_max {
            self.pop();
        }
        self.entries.insert(key.clone(), (at_ms, value));
        self.order.push_back((at_ms, key));
    }

    pub(super) fn get(&self, key: &K) -> Option<&(u64, V)> {
        self.entries.get(key)
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, u64)> {
        self.entries.iter().map(|(key, (at, _))| (key, *at))
    }

    /// Forgets what is older than `keep_ms`.
    pub(super) fn expire(&mut self, now_ms: u64) {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| !within(now_ms, *at, self.keep_ms))
        {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((at, key)) = self.order.pop_front()
            && self.entries.get(&key).is_some_and(|(newest, _)| *newest == at)
        {
            self.entries.remove(&key);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len().max(self.entries.len())
    }
}

/// True where the two times are less than `span_ms` apart. A time in the future counts too, but no longer than the
/// span: a clock that was set back must not forbid moves for as long as it was set back.
pub(super) fn within(now_ms: u64, at_ms: u64, span_ms: u64) -> bool {
    now_ms.abs_diff(at_ms) < span_ms
}

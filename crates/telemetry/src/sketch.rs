//! The heaviest keys of a stream, in bounded memory.
//!
//! Space-saving: Metwally, Agrawal and El Abbadi, *Efficient Computation of Frequent and Top-k Elements in Data
//! Streams*, ICDT 2005. The smallest counter is given to a new key, which inherits its count as possible error. Weighted,
//! with a heap instead of the list of equal counts, as weights differ. Merging after Cafaro, Pulimeno and
//! Tempesta, *A parallel space saving algorithm for frequent items and the Hurwitz zeta distribution*, 2016.

mod heap;

use std::{
    collections::HashSet,
    hash::{BuildHasher, Hash, RandomState},
};

use hashbrown::{HashTable, hash_table::Entry};
use heap::{Heap, Slot};

/// Counts the weight of keys with a fixed number of counters.
///
/// Over a stream of total weight `n` and with `k` counters, for every key: `true <= count <= true + error`, `error
/// <= n / k`, and every key heavier than `n / k` has a counter. That holds after merging too, with the smallest `k` of
/// all that were merged. Update: O(1) for keys that grow little, O(log k) at most.
///
/// `V` is what the caller keeps for each key as long as it has a counter; it starts from its default
/// whenever a counter changes hands. The default hasher resists chosen keys.
#[derive(Debug, Clone)]
pub struct SpaceSaving<K, V = (), S = RandomState> {
    heap: Heap<K, V>,
    /// Slots by key.
    index: HashTable<u32>,
    hasher: S,
    capacity: usize,
    total: u64,
    /// Highest weight that a key without a counter can have while counters are free; above 0 only after merging.
    floor: u64,
}

/// A key with a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heavy<'a, K, V> {
    /// The key.
    pub key: &'a K,
    /// Its weight; at most `error` too high, never too low.
    pub count: u64,
    /// By how much `count` may be too high.
    pub error: u64,
    /// What the caller keeps for it.
    pub value: &'a V,
}

impl<K: Hash + Eq, V: Default> SpaceSaving<K, V> {
    /// With so many counters, at least 1.
    pub fn new(capacity: usize) -> Self {
        Self::with_hasher(capacity, RandomState::new())
    }
}

impl<K: Hash + Eq, V: Default, S: BuildHasher> SpaceSaving<K, V, S> {
    /// With so many counters, at least 1 and at most 2^32 − 1, and a hasher for keys that no client chooses.
    pub fn with_hasher(capacity: usize, hasher: S) -> Self {
        let capacity = capacity.clamp(1, u32::MAX as usize);
        Self {
            heap: Heap::with_capacity(capacity.min(1 << 16)),
            index: HashTable::with_capacity(capacity.min(1 << 16)),
            hasher,
            capacity,
            total: 0,
            floor: 0,
        }
    }

    /// Adds weight to a key and returns what is kept for it.
    pub fn add(&mut self, key: K, weight: u64) -> &mut V {
        self.total = self.total.saturating_add(weight);
        let hash = self.hasher.hash_one(&key);
        let found = self.index.find(hash, |slot| self.heap.slot(*slot).key == key);
        let slot = match found.copied() {
            Some(slot) => {
                self.heap.increase(slot, weight);
                slot
            }
            None if self.heap.len() < self.capacity => self.occupy(hash, key, weight),
            None => self.replace(hash, key, weight),
        };
        &mut self.heap.slot_mut(slot).value
    }

    /// A free counter for a new key.
    fn occupy(&mut self, hash: u64, key: K, weight: u64) -> u32 {
        let slot = self.heap.push(Slot {
            key,
            count: self.floor.saturating_add(weight),
            error: self.floor,
            value: V::default(),
        });
        let (heap, hasher) = (&self.heap, &self.hasher);
        self.index
            .insert_unique(hash, slot, |slot| hasher.hash_one(&heap.slot(*slot).key));
        slot
    }

    /// The smallest counter for a new key.
    fn replace(&mut self, hash: u64, key: K, weight: u64) -> u32 {
        let slot = self.heap.smallest();
        let (heap, hasher) = (&self.heap, &self.hasher);
        let old = heap.slot(slot);
        let entry = self.index.entry(
            hasher.hash_one(&old.key),
            |other| *other == slot,
            |other| hasher.hash_one(&heap.slot(*other).key),
        );
        if let Entry::Occupied(entry) = entry {
            entry.remove();
        }
        let error = old.count;
        self.heap.replace_smallest(Slot {
            key,
            count: error.saturating_add(weight),
            error,
            value: V::default(),
        });
        let heap = &self.heap;
        self.index
            .insert_unique(hash, slot, |slot| hasher.hash_one(&heap.slot(*slot).key));
        slot
    }

    /// A key's counter, where it has one.
    pub fn get(&self, key: &K) -> Option<Heavy<'_, K, V>> {
        let hash = self.hasher.hash_one(key);
        let slot = self.index.find(hash, |slot| self.heap.slot(*slot).key == *key)?;
        Some(self.heap.slot(*slot).into())
    }

    /// The heaviest weight that a key without a counter can have.
    pub fn absent_max(&self) -> u64 {
        match self.heap.len() < self.capacity {
            true => self.floor,
            false => self.heap.slot(self.heap.smallest()).count,
        }
    }

    /// Adds what another sketch counted. `join` adds what the other keeps for a key to what is kept here.
    pub fn merge<T>(&mut self, other: &SpaceSaving<K, V, T>, mut join: impl FnMut(&mut V, &V))
    where
        K: Clone,
        T: BuildHasher,
    {
        let (ours, theirs) = (self.absent_max(), other.absent_max());
        let mut slots: Vec<Slot<K, V>> = std::mem::take(&mut self.heap).into_slots();
        self.index.clear();
        let known: HashSet<K> = slots.iter().map(|slot| slot.key.clone()).collect();
        for slot in &mut slots {
            let there = other.get(&slot.key);
            let (count, error) = there.as_ref().map_or((theirs, theirs), |h| (h.count, h.error));
            slot.count = slot.count.saturating_add(count);
            slot.error = slot.error.saturating_add(error);
            if let Some(there) = there {
                join(&mut slot.value, there.value);
            }
        }
        for there in other.iter().filter(|there| !known.contains(there.key)) {
            let mut value = V::default();
            join(&mut value, there.value);
            slots.push(Slot {
                key: there.key.clone(),
                count: there.count.saturating_add(ours),
                error: there.error.saturating_add(ours),
                value,
            });
        }
        slots.sort_unstable_by_key(|slot| std::cmp::Reverse(slot.count));
        slots.truncate(self.capacity);
        self.total = self.total.saturating_add(other.total);
        self.floor = ours.saturating_add(theirs);
        self.rebuild(slots);
    }

    fn rebuild(&mut self, slots: Vec<Slot<K, V>>) {
        for slot in slots {
            let hash = self.hasher.hash_one(&slot.key);
            let slot = self.heap.push(slot);
            let (heap, hasher) = (&self.heap, &self.hasher);
            self.index
                .insert_unique(hash, slot, |slot| hasher.hash_one(&heap.slot(*slot).key));
        }
    }
}

impl<K, V, S> SpaceSaving<K, V, S> {
    /// All keys with a counter, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Heavy<'_, K, V>> {
        self.heap.slots().iter().map(Heavy::from)
    }

    /// All keys with a counter, heaviest first.
    pub fn heaviest(&self) -> Vec<Heavy<'_, K, V>> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|heavy| std::cmp::Reverse(heavy.count));
        all
    }

    /// Weight of all keys together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Keys with a counter.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.index.clear();
        (self.total, self.floor) = (0, 0);
    }
}

impl<'a, K, V> From<&'a Slot<K, V>> for Heavy<'a, K, V> {
    fn from(slot: &'a Slot<K, V>) -> Self {
        Self {
            key: &slot.key,
            count: slot.count,
            error: slot.error,
            value: &slot.value,
        }
    }
}

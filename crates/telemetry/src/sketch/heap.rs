//! Counters in a binary heap, smallest first, whose slots do not move.
//!
//! A slot keeps its number as long as it lives, so that the index by key is touched only when a counter changes
//! hands, not when the heap reorders.

/// One counter.
#[derive(Debug, Clone)]
pub(super) struct Slot<K, V> {
    pub(super) key: K,
    pub(super) count: u64,
    pub(super) error: u64,
    pub(super) value: V,
}

#[derive(Debug, Clone)]
pub(super) struct Heap<K, V> {
    slots: Vec<Slot<K, V>>,
    /// Numbers of slots, in heap order.
    order: Vec<u32>,
    /// Of each slot, its place in `order`.
    place: Vec<u32>,
}

impl<K, V> Default for Heap<K, V> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<K, V> Heap<K, V> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            slots: Vec::with_capacity(capacity),
            order: Vec::with_capacity(capacity),
            place: Vec::with_capacity(capacity),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slots(&self) -> &[Slot<K, V>] {
        &self.slots
    }

    pub(super) fn into_slots(self) -> Vec<Slot<K, V>> {
        self.slots
    }

    pub(super) fn slot(&self, slot: u32) -> &Slot<K, V> {
        &self.slots[slot as usize]
    }

    pub(super) fn slot_mut(&mut self, slot: u32) -> &mut Slot<K, V> {
        &mut self.slots[slot as usize]
    }

    /// The slot of the smallest count; there must be one.
    pub(super) fn smallest(&self) -> u32 {
        self.order[0]
    }

    pub(super) fn push(&mut self, slot: Slot<K, V>) -> u32 {
        let number = self.slots.len() as u32;
        self.slots.push(slot);
        self.order.push(number);
        self.place.push(number);
        self.rise(number as usize);
        number
    }

    pub(super) fn increase(&mut self, slot: u32, by: u64) {
        let count = &mut self.slot_mut(slot).count;
        *count = count.saturating_add(by);
        self.sink(self.place[slot as usize] as usize);
    }

    /// The new count must not be smaller.
    pub(super) fn replace_smallest(&mut self, slot: Slot<K, V>) {
        let number = self.smallest();
        *self.slot_mut(number) = slot;
        self.sink(0);
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.order.clear();
        self.place.clear();
    }

    fn count_at(&self, place: usize) -> u64 {
        self.slot(self.order[place]).count
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.order.swap(a, b);
        self.place[self.order[a] as usize] = a as u32;
        self.place[self.order[b] as usize] = b as u32;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.count_at(parent) <= self.count_at(place) {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            let Some(smaller) = [left, left + 1]
                .into_iter()
                .filter(|child| *child < self.order.len())
                .min_by_key(|child| self.count_at(*child))
            else {
                break;
            };
            if self.count_at(place) <= self.count_at(smaller) {
                break;
            }
            self.swap(place, smaller);
            place = smaller;
        }
    }
}

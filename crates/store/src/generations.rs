//! A map of bounded size that forgets what was not used for longest.
//!
//! Two halves: what is used moves to the young one; when that is full it becomes the old one, and what was in the old one is
//! forgotten. So no order has to be kept, and each use costs a look-up or two.

use std::{collections::HashMap, hash::Hash};

#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Entries of one half.
    half: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// For so many entries, two at least.
    pub(crate) fn of(most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (most / 2).max(1),
        }
    }

    /// What is there, which is used by this.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.make_room();
            self.young.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if !self.young.contains_key(&key) {
            self.make_room();
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let young = self.young.remove(key);
        let old = self.old.remove(key);
        young.or(old)
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// All keys, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.young.keys().chain(self.old.keys())
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn what_is_used_stays() {
        let mut map = Generations::of(8);
        for n in 0..100 {
            map.put(n, n);
            assert!(map.get(&0).is_some(), "{n}");
            assert!(map.len() <= 8);
        }
        assert!(map.get(&50).is_none());
    }

    proptest! {
        #[test]
        fn it_never_says_what_was_not_put_and_has_its_bound(steps in vec((0..3u8, 0..20u8, any::<u8>()), 0..200)) {
            let mut map = Generations::of(6);
            let mut model = HashMap::new();
            for (what, key, value) in steps {
                match what {
                    0 => {
                        map.put(key, value);
                        model.insert(key, value);
                        prop_assert_eq!(map.get(&key), Some(&mut value.clone()));
                    }
                    1 => drop((map.remove(&key), model.remove(&key))),
                    _ => if let Some(found) = map.get(&key) {
                        prop_assert_eq!(Some(&*found), model.get(&key));
                    },
                }
                prop_assert!(map.len() <= 6);
            }
        }
    }
}

//! Values of one worker that a reload replaces while requests go on with those they took.
//!
//! A worker is one thread, so taking a value is a counter of its own and no lock, and a request that began with one
//! configuration ends with it. Pools never move and are never taken away, so that whoever serves a connection may
//! hold on to its pool.

use std::{
    cell::{Cell, OnceCell, RefCell},
    ops::Index,
    rc::Rc,
};

/// A value that is replaced as a whole.
pub(crate) struct Live<T>(RefCell<Rc<T>>);

impl<T> Live<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RefCell::new(Rc::new(value)))
    }

    /// The value of now; it stays as it is for whoever took it.
    #[inline]
    pub(crate) fn get(&self) -> Rc<T> {
        self.0.borrow().clone()
    }

    /// Whoever takes the value from now on gets this one.
    pub(crate) fn set(&self, value: T) {
        *self.0.borrow_mut() = Rc::new(value);
    }
}

/// A list that grows while its elements are in use. An element's place is its name for good.
pub(crate) struct Grown<T> {
    /// Each twice as long as the one before, so that none ever moves.
    blocks: [OnceCell<Box<[OnceCell<T>]>>; BLOCKS],
    len: Cell<usize>,
}

/// Elements of the first block.
const FIRST: usize = 4;
/// So many blocks hold more elements than there are numbers for pools.
const BLOCKS: usize = 24;

impl<T> Grown<T> {
    pub(crate) fn new() -> Self {
        Self {
            blocks: [const { OnceCell::new() }; BLOCKS],
            len: Cell::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Adds an element at the end. `None` where there is no room for one more.
    pub(crate) fn push(&self, value: T) -> Option<&T> {
        let at = self.len.get();
        let (block, place) = place(at);
        let slots = self.blocks.get(block)?.get_or_init(|| {
            std::iter::repeat_with(OnceCell::new)
                .take(FIRST << block)
                .collect()
        });
        self.len.set(at + 1);
        Some(slots[place].get_or_init(|| value))
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        let (block, place) = place(at);
        self.blocks.get(block)?.get()?[place].get()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl<T> Index<usize> for Grown<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: usize) -> &T {
        self.get(at)
            .expect("indices come from this list, which only grows")
    }
}

/// In which block an element is, and where in it.
#[inline]
fn place(at: usize) -> (usize, usize) {
    let block = (at / FIRST + 1).ilog2() as usize;
    (block, at - FIRST * ((1 << block) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_a_value_keeps_it() {
        let live = Live::new(1);
        let taken = live.get();
        live.set(2);
        assert_eq!((*taken, *live.get()), (1, 2));
    }

    #[test]
    fn elements_stay_where_they_are_while_the_list_grows() {
        let list = Grown::new();
        let first: *const usize = list.push(0).unwrap();
        for n in 1..1000 {
            list.push(n);
        }
        assert!(std::ptr::eq(first, &list[0]));
        assert_eq!(list.len(), 1000);
        assert!(list.iter().copied().eq(0..1000));
        assert!(list.get(1000).is_none());
    }
}

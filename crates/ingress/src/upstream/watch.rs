//! What a worker sees of a node's failures, for the pool's judgement.
//!
//! Gateway errors: no connection, no answer in time or none at all, an answer that is none, and 5xx. Errors in a row are
//! counted over all workers, in the one number that they share, and only where outliers are looked for; while a node
//! behaves, it is read and not written.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// One worker's view of one node.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    run: RefCell<Option<Arc<AtomicU32>>>,
    watched: Cell<bool>,
    ejected: Cell<bool>,
    pub(crate) answered: Cell<u64>,
    pub(crate) failed: Cell<u64>,
    /// Most errors in a row since the last report.
    pub(crate) in_a_row: Cell<u32>,
}

impl Watch {
    /// Takes the pool's judgement. A node that comes back begins anew.
    pub(crate) fn judged(&self, run: Option<Arc<AtomicU32>>, ejected: bool) {
        let was = self.ejected.replace(ejected);
        if was && !ejected {
            self.in_a_row.set(0);
            if let Some(run) = &run {
                run.store(0, Relaxed);
            }
        }
        self.watched.set(run.is_some());
        *self.run.borrow_mut() = run;
    }

    #[inline]
    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.get()
    }

    /// A try of a request came to its end.
    #[inline]
    pub(crate) fn ended(&self, failed: bool) {
        if self.watched.get() {
            self.count(failed);
        }
    }

    fn count(&self, failed: bool) {
        let run = self.run.borrow();
        let Some(run) = &*run else { return };
        self.answered.set(self.answered.get() + 1);
        if failed {
            self.failed.set(self.failed.get() + 1);
            let now = run.fetch_add(1, Relaxed).saturating_add(1);
            self.in_a_row.set(self.in_a_row.get().max(now));
        } else if run.load(Relaxed) != 0 {
            run.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_a_row_are_counted_over_workers_and_a_success_ends_them() {
        let run = Arc::new(AtomicU32::new(0));
        let workers = [Watch::default(), Watch::default()];
        workers.iter().for_each(|w| w.judged(Some(run.clone()), false));
        workers[0].ended(true);
        workers[1].ended(true);
        workers[0].ended(true);
        let seen = workers.each_ref().map(|w| w.in_a_row.take());
        assert_eq!(seen, [3, 2]);
        workers[1].ended(false);
        workers[0].ended(true);
        assert_eq!(workers[0].in_a_row.take(), 1);
        assert_eq!((workers[0].answered.get(), workers[0].failed.get()), (3, 3));
    }

    #[test]
    fn who_comes_back_begins_anew() {
        let run = Arc::new(AtomicU32::new(7));
        let watch = Watch::default();
        watch.judged(Some(run.clone()), true);
        assert!(watch.is_ejected());
        watch.judged(Some(run), false);
        watch.ended(true);
        assert_eq!(watch.in_a_row.take(), 1);
    }

    #[test]
    fn where_nobody_asks_nothing_is_counted() {
        let watch = Watch::default();
        watch.ended(true);
        assert_eq!((watch.answered.get(), watch.in_a_row.get()), (0, 0));
    }
}

//! A limit over all workers that can be changed while it is in use.
//!
//! A fair semaphore: who waits gets the next slot before anybody who comes later. What is taken although none is
//! free (a session that moves is not turned away), and what a lowered limit does not cover any more, is a debt:
//! slots that come back pay it before anybody else gets them. So `taken <= limit` holds exactly, but for that debt.

use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};

use tokio::sync::Semaphore;

/// Stands for "no limit"; far above what one process can have open.
const UNLIMITED: usize = 1 << 30;

/// Slots of one kind.
#[derive(Debug)]
pub(super) struct Slots {
    free: Semaphore,
    limit: AtomicUsize,
    debt: AtomicUsize,
}

impl Slots {
    pub(super) fn new(limit: Option<u32>) -> Self {
        let limit = size(limit);
        Self {
            free: Semaphore::new(limit),
            limit: AtomicUsize::new(limit),
            debt: AtomicUsize::new(0),
        }
    }

    /// Takes a slot where one is free and nobody waits for it.
    pub(super) fn try_take(&self) -> bool {
        self.free.try_acquire().map(|slot| slot.forget()).is_ok()
    }

    /// Takes a slot once one is free, in the order of coming. Nothing is taken where the future is dropped.
    pub(super) async fn take(&self) {
        if let Ok(slot) = self.free.acquire().await {
            slot.forget();
        }
    }

    /// Takes a slot in any case.
    pub(super) fn force(&self) {
        if !self.try_take() {
            self.debt.fetch_add(1, AcqRel);
        }
    }

    /// Gives a slot back.
    pub(super) fn give_back(&self) {
        if self
            .debt
            .fetch_update(AcqRel, Acquire, |debt| debt.checked_sub(1))
            .is_err()
        {
            self.free.add_permits(1);
        }
    }

    /// Changes the limit; those who wait for a slot get what becomes free. One thread at a time.
    pub(super) fn set_limit(&self, limit: Option<u32>) {
        let limit = size(limit);
        let before = self.limit.swap(limit, AcqRel);
        if limit < before {
            let cut = before - limit;
            let forgotten = self.free.forget_permits(cut);
            self.debt.fetch_add(cut - forgotten, AcqRel);
        } else {
            let more = limit - before;
            let pay = |debt: usize| Some(debt.saturating_sub(more));
            let debt = self.debt.fetch_update(AcqRel, Acquire, pay).unwrap_or(0);
            self.free.add_permits(more - debt.min(more));
        }
    }

    /// Whether a slot is free.
    pub(super) fn has_room(&self) -> bool {
        self.free.available_permits() > 0
    }
}

fn size(limit: Option<u32>) -> usize {
    limit.map_or(UNLIMITED, |limit| (limit as usize).min(UNLIMITED))
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use futures_util::task::noop_waker;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Take,
        Force,
        GiveBack,
        Limit(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Take),
            1 => Just(Step::Force),
            3 => Just(Step::GiveBack),
            1 => (1_u32..8).prop_map(Step::Limit),
        ]
    }

    proptest! {
        #[test]
        fn a_slot_is_free_exactly_where_fewer_are_taken_than_the_limit(
            steps in prop::collection::vec(any_step(), 1..200),
        ) {
            let slots = Slots::new(Some(4));
            let (mut taken, mut limit) = (0_u32, 4_u32);
            for step in steps {
                match step {
                    Step::Take => {
                        let got = slots.try_take();
                        prop_assert_eq!(got, taken < limit);
                        taken += u32::from(got);
                    }
                    Step::Force => {
                        slots.force();
                        taken += 1;
                    }
                    Step::GiveBack if taken > 0 => {
                        slots.give_back();
                        taken -= 1;
                    }
                    Step::GiveBack => {}
                    Step::Limit(new) => {
                        slots.set_limit(Some(new));
                        limit = new;
                    }
                }
                prop_assert_eq!(slots.has_room(), taken < limit, "{} of {}", taken, limit);
            }
        }
    }

    #[test]
    fn who_waited_longest_is_next() {
        let slots = Slots::new(Some(1));
        assert!(slots.try_take());
        let (mut first, mut second) = (Box::pin(slots.take()), Box::pin(slots.take()));
        let waker = noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        slots.give_back();
        assert!(!slots.try_take(), "the slot is the first one's");
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(first.as_mut().poll(&mut cx).is_ready());
        slots.give_back();
        assert!(second.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn who_stops_waiting_leaves_the_slot_to_the_next() {
        let slots = Slots::new(Some(1));
        assert!(slots.try_take());
        let (mut first, mut second) = (Box::pin(slots.take()), Box::pin(slots.take()));
        let waker = noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        slots.give_back();
        drop(first);
        assert!(second.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn no_limit_can_become_one() {
        let slots = Slots::new(None);
        (0..10).for_each(|_| assert!(slots.try_take()));
        slots.set_limit(Some(8));
        assert!(!slots.has_room());
        (0..3).for_each(|_| slots.give_back());
        assert!(slots.try_take() && !slots.try_take());
        slots.set_limit(None);
        assert!(slots.try_take());
    }
}

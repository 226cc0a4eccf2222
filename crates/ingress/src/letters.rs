//! What the next request of a session tells its new node, where the session has no stream that could.
//!
//! The request may come to any worker, so a [`Letter`] lies with all of them and is taken once. Only pools whose sessions' state is
//! kept look for one.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use foreshift_wire::SessionId;

use crate::reigns::Carried;

/// Letters of one pool at once; a session whose letter is left out has its node fetch its state unasked.
const LETTERS_MAX: usize = 100_000;

/// What is to be told.
#[derive(Debug)]
pub(crate) struct Letter {
    carried: Carried,
    until: Instant,
    taken: AtomicBool,
}

impl Letter {
    pub(crate) fn new(carried: Carried, until: Instant) -> Self {
        Self {
            carried,
            until,
            taken: AtomicBool::new(false),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until <= now || self.taken.load(Ordering::Relaxed)
    }
}

/// One worker's for one pool.
#[derive(Debug, Default)]
pub(crate) struct Letters(RefCell<HashMap<SessionId, Arc<Letter>>>);

impl Letters {
    /// Keeps a letter, in the place of an earlier one.
    pub(crate) fn put(&self, session: SessionId, letter: Arc<Letter>) {
        let mut letters = self.0.borrow_mut();
        if letters.len() < LETTERS_MAX || letters.contains_key(&session) {
            letters.insert(session, letter);
        }
    }

    /// The session moved on: what was to be told is not true any more.
    pub(crate) fn drop_of(&self, session: SessionId) {
        self.0.borrow_mut().remove(&session);
    }

    /// Takes a session's letter, where no other worker was faster.
    #[inline]
    pub(crate) fn take(&self, session: SessionId, now: Instant) -> Option<Carried> {
        if self.0.borrow().is_empty() {
            return None;
        }
        let letter = self.0.borrow_mut().remove(&session)?;
        let mine = letter.until > now && !letter.taken.swap(true, Ordering::Relaxed);
        mine.then(|| letter.carried.clone())
    }

    /// Forgets what nobody takes any more.
    pub(crate) fn sweep(&self, now: Instant) {
        self.0.borrow_mut().retain(|_, letter| !letter.is_over(now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_letter_is_taken_once_and_in_time() {
        let (now, session) = (Instant::now(), SessionId(7));
        let carried = Carried {
            token: Some("t".into()),
            ..Carried::default()
        };
        let letter = Arc::new(Letter::new(carried.clone(), now + Duration::from_secs(1)));
        let (here, there) = (Letters::default(), Letters::default());
        here.put(session, letter.clone());
        there.put(session, letter.clone());
        assert_eq!(here.take(session, now), Some(carried));
        assert_eq!((there.take(session, now), here.take(session, now)), (None, None));
        let late = Arc::new(Letter::new(Carried::default(), now));
        here.put(session, late);
        assert_eq!(here.take(session, now), None);
        there.put(session, letter);
        there.sweep(now);
        assert!(there.0.borrow().is_empty(), "taken elsewhere");
    }
}

//! Times that only rise: versions and epochs are drawn from them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The time in Unix milliseconds.
pub(crate) fn unix_ms() -> u64 {
    unix_us() / 1_000
}

fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

/// What time it is: the system's, or one that is set, for tests of what takes hours.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// A clock that stands at a time, in Unix milliseconds, until it is set to another.
    pub fn at(unix_ms: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(unix_ms))))
    }

    /// Sets it, and all its clones. The system's stays as it is.
    pub fn set(&self, unix_ms: u64) {
        if let Some(set) = &self.0 {
            set.store(unix_ms, Ordering::Relaxed);
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0
            .as_ref()
            .map_or_else(unix_ms, |set| set.load(Ordering::Relaxed))
    }
}

/// Draws numbers that rise with each draw, and are microseconds since 1970 where no more than one is drawn in each.
///
/// So two processes that follow each other draw rising numbers without asking for the last one, as long as the clock is not
/// set back between them; and where it is, who holds a higher number says so ([`Rising::above`]).
#[derive(Debug, Default)]
pub(crate) struct Rising(AtomicU64);

impl Rising {
    /// The next number.
    pub(crate) fn draw(&self) -> u64 {
        self.above(0)
    }

    /// The next number, which is above `floor` too.
    pub(crate) fn above(&self, floor: u64) -> u64 {
        let now = unix_us();
        let next = |last: u64| Some((last + 1).max(floor + 1).max(now));
        // The closure always gives a number, so that the update cannot fail.
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        next(last.unwrap_or_default()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_pass_what_they_are_told_of() {
        let rising = Rising::default();
        let first = rising.draw();
        assert!(first >= unix_us() - 1_000_000);
        let second = rising.draw();
        assert!(second > first);
        let ahead = rising.above(second + 1_000_000_000);
        assert!(ahead > second + 1_000_000_000);
        assert!(rising.draw() > ahead);
        assert!(ahead < 1 << 53, "JSON numbers hold it");
    }
}

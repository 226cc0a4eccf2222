//! Spreads arrivals so that no second sees more than a given number of them.
//!
//! The generic cell rate algorithm: one instant is all the memory, however many arrivals are planned. A small burst is
//! allowed, so that a shell whose timers are coarse keeps up; it is taken out of the steady rate, and so the limit
//! holds over every window of one second and longer.
//!
//! Pure: `now` is an argument, as the time since any start.

use std::time::Duration;

/// Plans arrivals at one place.
#[derive(Debug, Clone)]
pub struct Pacer {
    /// Time between two at the steady rate.
    gap: Duration,
    /// By how much arrivals may be ahead of the steady rate.
    ahead: Duration,
    /// When the next one is due at the steady rate.
    next: Option<Duration>,
}

impl Pacer {
    /// At most `per_second` (at least 1) in any second, `burst` of them at once: at least 1, at most half of them.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let per_second = per_second.max(1);
        let burst = burst.clamp(1, (per_second / 2).max(1));
        // What is ahead and a second at the steady rate are together what a second may see.
        let steady = per_second - (burst - 1);
        let gap = Duration::from_nanos(1_000_000_000_u64.div_ceil(u64::from(steady)));
        Self {
            gap,
            ahead: gap * (burst - 1),
            next: None,
        }
    }

    /// When the next arrival may be, `now` or later; it is taken to happen then.
    pub fn reserve(&mut self, now: Duration) -> Duration {
        let due = self.next.map_or(now, |next| next.max(now));
        self.next = Some(due + self.gap);
        due
    }

    /// Whether an arrival may be `now`; it is then taken to happen. Otherwise when to ask again.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        let due = self.next.unwrap_or(now);
        if due > now + self.ahead {
            return Err(due - self.ahead);
        }
        self.next = Some(due.max(now) + self.gap);
        Ok(())
    }
}

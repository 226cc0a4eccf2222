//! Puts ticks that come early, late, twice or not at all on a regular grid.
//!
//! Models count in steps; a tick belongs to the step it is nearest to. The grid's phase follows the ticks slowly, so
//! that a timer that drifts, or a first tick that was late, does not put every later one at the edge of two steps.

/// What a tick means for the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    /// The first one, or the first after a break too long to bridge: the series begins anew.
    Restart,
    /// It belongs to a step that was already given; it is not used.
    Repeated,
    /// It is the next step after `missing` steps of which nothing was seen.
    Next {
        /// Steps without an observation before this one.
        missing: u64,
    },
}

/// The grid: its step and the newest step's instant.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    step_ms: u64,
    gap_steps_max: u64,
    last_ms: Option<u64>,
}

/// The grid moves by 1/8 of each tick's distance from it.
const PHASE_SHARE: i64 = 8;

impl Grid {
    pub(crate) fn new(step_ms: u64, gap_steps_max: u64) -> Self {
        Self {
            step_ms,
            gap_steps_max,
            last_ms: None,
        }
    }

    /// The newest step's instant, in Unix milliseconds.
    pub(crate) fn last_ms(&self) -> Option<u64> {
        self.last_ms
    }

    /// Places one tick.
    ///
    /// A clock that goes back by two steps or more re-bases the grid: the tick is the next step and later instants
    /// are counted from it. Less than that is a tick told twice. A clock that jumps forward looks like missing
    /// steps, and like a restart when more than `gap_steps_max` are missing.
    pub(crate) fn place(&mut self, now_ms: u64) -> Tick {
        let Some(last_ms) = self.last_ms else {
            self.last_ms = Some(now_ms);
            return Tick::Restart;
        };
        if now_ms < last_ms {
            return self.place_before(now_ms, last_ms);
        }
        let steps = (now_ms - last_ms).saturating_add(self.step_ms / 2) / self.step_ms;
        if steps == 0 {
            return Tick::Repeated;
        }
        if steps > self.gap_steps_max {
            self.last_ms = Some(now_ms);
            return Tick::Restart;
        }
        let due_ms = last_ms.saturating_add(steps * self.step_ms);
        let late_ms = now_ms as i64 - due_ms as i64;
        self.last_ms = Some(due_ms.saturating_add_signed(late_ms / PHASE_SHARE));
        Tick::Next { missing: steps - 1 }
    }

    fn place_before(&mut self, now_ms: u64, last_ms: u64) -> Tick {
        if last_ms - now_ms < 2 * self.step_ms {
            return Tick::Repeated;
        }
        self.last_ms = Some(now_ms);
        Tick::Next { missing: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Grid {
        let mut grid = Grid::new(500, 120);
        assert_eq!(grid.place(1_000_000), Tick::Restart);
        grid
    }

    #[test]
    fn a_tick_belongs_to_the_step_it_is_nearest_to() {
        for (offset_ms, tick) in [
            (500, Tick::Next { missing: 0 }),
            (730, Tick::Next { missing: 0 }),
            (270, Tick::Next { missing: 0 }),
            (200, Tick::Repeated),
            (0, Tick::Repeated),
            (1_500, Tick::Next { missing: 2 }),
            (60_000, Tick::Next { missing: 119 }),
            (61_000, Tick::Restart),
        ] {
            assert_eq!(
                started().place(1_000_000 + offset_ms),
                tick,
                "{offset_ms} ms later"
            );
        }
    }

    #[test]
    fn a_clock_that_goes_back_rebases_and_a_tick_told_twice_is_dropped() {
        let mut grid = started();
        assert_eq!(grid.place(999_500), Tick::Repeated);
        assert_eq!(grid.place(400_000), Tick::Next { missing: 0 });
        assert_eq!(grid.last_ms(), Some(400_000));
        assert_eq!(grid.place(400_500), Tick::Next { missing: 0 });
    }

    #[test]
    fn a_timer_with_jitter_and_a_late_start_still_gives_every_step_once() {
        let mut grid = Grid::new(500, 120);
        let mut next = 0;
        for i in 0..2_000_u64 {
            let jitter_ms = if i == 0 { 240 } else { (i * 7_919) % 200 };
            let tick = grid.place(1_000_000 + i * 500 + jitter_ms);
            next += u64::from(tick == Tick::Next { missing: 0 });
        }
        assert!(next >= 1_998, "{next}");
    }
}

//! When a node counts as healthy: `rise` passed checks in a row, or not: `fall` failed ones in a row.
//!
//! Pure. What is done with a verdict is in [`super`], how a check is made in [`super::probe`].

use std::time::Duration;

use foreshift_wire::{HealthCheck, NodeState};

/// Shortest pause between two checks of one node.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// What the checks of one node say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not enough checks yet.
    Unknown,
    Healthy,
    Unhealthy,
}

/// The checks of one node so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judge {
    verdict: Verdict,
    /// Checks in a row that spoke against the verdict (for `Unknown`: that agreed with each other).
    streak: u16,
    passing: bool,
}

impl Judge {
    /// A node of which nothing is known but what a former run left.
    pub(crate) fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            streak: 0,
            passing: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Takes in one check; the new verdict where it changed.
    pub(crate) fn on(&mut self, passed: bool, check: &HealthCheck) -> Option<Verdict> {
        let against = match self.verdict {
            Verdict::Unknown => true,
            Verdict::Healthy => !passed,
            Verdict::Unhealthy => passed,
        };
        if !against {
            self.streak = 0;
            return None;
        }
        self.streak = if self.streak > 0 && self.passing != passed {
            1
        } else {
            self.streak.saturating_add(1)
        };
        self.passing = passed;
        let (needed, next) = match passed {
            true => (check.rise, Verdict::Healthy),
            false => (check.fall, Verdict::Unhealthy),
        };
        (self.streak >= needed).then(|| {
            *self = Self::new(next);
            next
        })
    }

    /// Time to the next check: four times as often while the checks are changing their mind.
    pub(crate) fn pause(&self, check: &HealthCheck) -> Duration {
        let undecided = self.verdict == Verdict::Unknown || self.streak > 0;
        let pause = if undecided {
            check.interval.get() / 4
        } else {
            check.interval.get()
        };
        pause.max(PAUSE_MIN)
    }
}

/// The state that counts: the operator's wish joined with what the checks say.
///
/// Checks never override a wish for `draining` or `down`. Without checks a node is what it is wished to be.
pub(crate) fn observed(wish: NodeState, verdict: Option<Verdict>) -> NodeState {
    match (wish, verdict) {
        (NodeState::Draining | NodeState::Down, _) => wish,
        (_, None | Some(Verdict::Healthy)) => NodeState::Ready,
        (_, Some(Verdict::Unknown)) => NodeState::Joining,
        (_, Some(Verdict::Unhealthy)) => NodeState::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rise: u16, fall: u16) -> HealthCheck {
        HealthCheck {
            rise,
            fall,
            ..Default::default()
        }
    }

    #[test]
    fn a_verdict_changes_only_after_enough_checks_in_a_row() {
        use Verdict::{Healthy, Unhealthy, Unknown};
        // Each character is one check: + passed, - failed.
        for (start, rise, fall, checks, verdict) in [
            (Unknown, 2, 3, "+", Unknown),
            (Unknown, 2, 3, "++", Healthy),
            (Unknown, 2, 3, "+-+", Unknown),
            (Unknown, 2, 3, "+-++", Healthy),
            (Unknown, 2, 3, "--", Unknown),
            (Unknown, 2, 3, "---", Unhealthy),
            (Unknown, 1, 1, "-", Unhealthy),
            (Healthy, 2, 3, "--", Healthy),
            (Healthy, 2, 3, "--+--", Healthy),
            (Healthy, 2, 3, "---", Unhealthy),
            (Healthy, 2, 3, "---+", Unhealthy),
            (Healthy, 2, 3, "---+-+", Unhealthy),
            (Healthy, 2, 3, "---++", Healthy),
            (Unhealthy, 0, 0, "+", Healthy),
        ] {
            let mut judge = Judge::new(start);
            for passed in checks.chars() {
                judge.on(passed == '+', &check(rise, fall));
            }
            assert_eq!(
                judge.verdict(),
                verdict,
                "{start:?} rise {rise} fall {fall} {checks}"
            );
        }
    }

    #[test]
    fn a_change_is_told_once() {
        let mut judge = Judge::new(Verdict::Unknown);
        let told: Vec<_> = [true, true, true]
            .map(|passed| judge.on(passed, &check(2, 2)))
            .into();
        assert_eq!(told, [None, Some(Verdict::Healthy), None]);
    }

    #[test]
    fn checks_are_closer_together_while_undecided() {
        let check = check(2, 3);
        let mut judge = Judge::new(Verdict::Healthy);
        assert_eq!(judge.pause(&check), check.interval.get());
        judge.on(false, &check);
        assert_eq!(judge.pause(&check), check.interval.get() / 4);
    }

    #[test]
    fn the_operators_wish_comes_first() {
        use NodeState::{Down, Draining, Joining, Ready};
        for (wish, verdict, state) in [
            (Ready, None, Ready),
            (Joining, None, Ready),
            (Ready, Some(Verdict::Unknown), Joining),
            (Ready, Some(Verdict::Healthy), Ready),
            (Ready, Some(Verdict::Unhealthy), Down),
            (Draining, Some(Verdict::Healthy), Draining),
            (Draining, Some(Verdict::Unhealthy), Draining),
            (Down, Some(Verdict::Healthy), Down),
            (Down, None, Down),
        ] {
            assert_eq!(observed(wish, verdict), state, "{wish:?} {verdict:?}");
        }
    }
}

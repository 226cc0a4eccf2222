//! One alarm's account: what it foresaw, what it missed, and how often it cried wolf.
//!
//! An alarm says "an overload begins within the horizon", and is held to that. It is judged when one has begun or the
//! horizon is over; an alarm that is still on then has said it anew. So an alarm that is always on foresees everything
//! and is wrong once a horizon, instead of counting as one alarm that was right.

/// What the load does at a step, as [`Events`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not overloaded.
    Calm,
    /// An overload begins at this step.
    Begins,
    /// An overload goes on, or has only just ended.
    Overload,
}

/// Divides a series into overloads and calm.
///
/// An overload begins with a value above the threshold and ends when no value has been above it for `rest` steps:
/// load that flutters about the threshold is one overload, not twenty. One that goes on as the account begins is not
/// counted. A missing value changes nothing.
#[derive(Debug)]
pub(super) struct Events {
    threshold: f64,
    rest: usize,
    /// Steps since the last value above the threshold, in an overload; absent in calm.
    since_above: Option<usize>,
    is_first: bool,
}

impl Events {
    pub(super) fn new(threshold: f64, rest: usize) -> Self {
        Self {
            threshold,
            rest,
            since_above: None,
            is_first: true,
        }
    }

    pub(super) fn observe(&mut self, y: Option<f64>) -> Phase {
        let Some(y) = y else {
            return self.since_above.map_or(Phase::Calm, |_| Phase::Overload);
        };
        let is_first = std::mem::take(&mut self.is_first);
        if y > self.threshold {
            let begins = self.since_above.replace(0).is_none() && !is_first;
            return if begins { Phase::Begins } else { Phase::Overload };
        }
        self.since_above = self
            .since_above
            .map(|steps| steps + 1)
            .filter(|steps| *steps < self.rest);
        self.since_above.map_or(Phase::Calm, |_| Phase::Overload)
    }
}

/// How one kind of alarm did.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmTally {
    /// Overloads that an alarm came before, within the horizon.
    pub foreseen: u64,
    /// Overloads that none came before.
    pub missed: u64,
    /// Alarms that no overload followed within the horizon.
    pub false_alarms: u64,
    /// Steps in calm.
    pub calm_steps: u64,
    /// Of those, steps with the alarm on.
    pub alarm_steps: u64,
    /// Of those, steps that no overload followed within the horizon.
    pub vain_steps: u64,
    /// How many overloads were foreseen so many steps before; element 0 is one step.
    leads: Vec<u64>,
    /// Since when it has been on without a break.
    on_since: Option<usize>,
    /// When it last said that an overload comes, while that is open.
    said_at: Option<usize>,
    /// Steps with the alarm on since then.
    said_steps: u64,
}

impl AlarmTally {
    pub(super) fn new(horizon: usize) -> Self {
        Self {
            foreseen: 0,
            missed: 0,
            false_alarms: 0,
            calm_steps: 0,
            alarm_steps: 0,
            vain_steps: 0,
            leads: vec![0; horizon],
            on_since: None,
            said_at: None,
            said_steps: 0,
        }
    }

    /// Step `now`: what the load does, and whether the alarm is on once that is known.
    pub(super) fn observe(&mut self, now: usize, phase: Phase, is_on: bool) {
        match phase {
            Phase::Begins => self.overload_begins(now),
            Phase::Overload => {}
            Phase::Calm => return self.calm(now, is_on),
        }
        (self.on_since, self.said_at, self.said_steps) = (None, None, 0);
    }

    fn overload_begins(&mut self, now: usize) {
        let Some(said_at) = self.said_at else {
            self.missed += 1;
            return;
        };
        self.foreseen += 1;
        let first = self.on_since.map_or(said_at, |since| since.min(said_at));
        let lead = (now - first).clamp(1, self.leads.len());
        self.leads[lead - 1] += 1;
    }

    fn calm(&mut self, now: usize, is_on: bool) {
        if self.said_at.is_some_and(|at| now - at >= self.leads.len()) {
            self.false_alarms += 1;
            self.vain_steps += self.said_steps;
            (self.said_at, self.said_steps) = (None, 0);
        }
        self.calm_steps += 1;
        self.alarm_steps += u64::from(is_on);
        if is_on {
            self.on_since.get_or_insert(now);
            self.said_at.get_or_insert(now);
            self.said_steps += 1;
        } else {
            self.on_since = None;
        }
    }

    /// Whether calm lasts no longer than two horizons on the mean, so that an alarm is right by chance.
    pub(super) fn is_calm_short(&self) -> bool {
        let overloads = self.foreseen + self.missed;
        self.calm_steps <= 2 * overloads * self.leads.len() as u64
    }

    /// Share of the calm time with the alarm on; 0 where there was none.
    pub fn on_share(&self) -> f64 {
        self.alarm_steps as f64 / self.calm_steps.max(1) as f64
    }

    /// Share of the calm time with the alarm on and no overload to follow within the horizon; 0 where there was none.
    pub fn vain_share(&self) -> f64 {
        self.vain_steps as f64 / self.calm_steps.max(1) as f64
    }

    /// Median of the lead times in steps, the lower one of two; absent where nothing was foreseen.
    pub fn lead_median(&self) -> Option<usize> {
        self.lead_at(self.foreseen.div_ceil(2))
    }

    /// The shortest lead time in steps.
    pub fn lead_min(&self) -> Option<usize> {
        self.lead_at(1)
    }

    fn lead_at(&self, rank: u64) -> Option<usize> {
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank && rank > 0
        };
        self.leads.iter().position(reached).map(|index| index + 1)
    }

    /// Share of the overloads that were foreseen; absent where there was none.
    pub fn foreseen_share(&self) -> Option<f64> {
        share(self.foreseen, self.missed)
    }

    /// Share of the alarms that an overload followed; absent where there was none.
    pub fn right_share(&self) -> Option<f64> {
        share(self.foreseen, self.false_alarms)
    }

    /// Overloads that were foreseen a quarter of the horizon before or sooner: in time to do something.
    pub fn in_time(&self) -> u64 {
        let least = self.leads.len().div_ceil(4);
        self.leads.iter().skip(least.saturating_sub(1)).sum()
    }

    /// Harmonic mean (F1) of the share of overloads that were foreseen in time, and of alarms that such an overload
    /// followed; 0 where there was none. One number to compare alarms by, which one that comes late does not gain from.
    pub fn score(&self) -> f64 {
        let late = self.foreseen - self.in_time();
        let wrong = (self.missed + late + late + self.false_alarms) as f64;
        let right = 2.0 * self.in_time() as f64;
        if right > 0.0 { right / (right + wrong) } else { 0.0 }
    }
}

fn share(part: u64, rest: u64) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One character a step: `.` calm, `a` calm with the alarm on, `X` an overload begins, `x` it goes on.
    fn tally(steps: &str, horizon: usize) -> AlarmTally {
        let mut tally = AlarmTally::new(horizon);
        for (now, step) in steps.chars().enumerate() {
            let phase = match step {
                'X' => Phase::Begins,
                'x' => Phase::Overload,
                _ => Phase::Calm,
            };
            tally.observe(now, phase, step == 'a');
        }
        tally
    }

    #[test]
    fn alarms_are_held_to_their_horizon() {
        // Steps, then foreseen, missed, false alarms, shortest and median lead.
        for (steps, expected) in [
            ("...X..", (0, 1, 0, None, None)),
            ("..aaXx", (1, 0, 0, Some(2), Some(2))),
            ("..a.X.", (1, 0, 0, Some(2), Some(2))),
            ("a...X.", (1, 0, 0, Some(4), Some(4))),
            ("a....X", (0, 1, 1, None, None)),
            (".aXx..aaaX..", (2, 0, 0, Some(1), Some(1))),
            // On for ever: wrong once a horizon.
            ("aaaaaaaaa", (0, 0, 2, None, None)),
            // On for longer than the horizon: no lead is longer than it.
            ("aaaaaaaX", (1, 0, 1, Some(4), Some(4))),
            // What was on in an overload says nothing, and what is open at the end is not judged.
            ("XxxXxx.a.", (0, 2, 0, None, None)),
        ] {
            let found = tally(steps, 4);
            let leads = (found.lead_min(), found.lead_median());
            let counts = (found.foreseen, found.missed, found.false_alarms, leads.0, leads.1);
            assert_eq!(counts, expected, "{steps}");
        }
    }

    #[test]
    fn steps_with_the_alarm_on_are_in_vain_only_where_no_overload_follows() {
        for (steps, on, vain) in [
            ("aaX..aaX", 4, 0),
            ("aaaa....", 4, 4),
            ("aaaaaaaaa", 9, 8),
            ("a....aX", 2, 1),
        ] {
            let found = tally(steps, 4);
            assert_eq!((found.alarm_steps, found.vain_steps), (on, vain), "{steps}");
        }
    }

    #[test]
    fn the_score_weighs_what_was_missed_and_what_was_wrong() {
        assert_eq!(tally("....", 2).score(), 0.0);
        assert_eq!(tally("aX..aX", 2).score(), 1.0);
        assert_eq!(tally("aX...X", 2).score(), 2.0 / 3.0);
        // One step of eight before is too late, two are not.
        assert_eq!(tally("..aX....", 8).score(), 0.0);
        assert_eq!(tally(".aaX....", 8).score(), 1.0);
        assert_eq!(tally("aX...X", 2).foreseen_share(), Some(0.5));
        assert_eq!(tally("aX.a...", 2).right_share(), Some(0.5));
    }

    #[test]
    fn load_that_flutters_about_the_threshold_is_one_overload() {
        let phases = |values: &str, rest: usize| -> String {
            let mut events = Events::new(1.0, rest);
            let step = |c: char| match c {
                '-' => events.observe(None),
                c => events.observe(c.to_digit(10).map(f64::from)),
            };
            let name = |phase: Phase| match phase {
                Phase::Calm => '.',
                Phase::Begins => 'X',
                Phase::Overload => 'x',
            };
            values.chars().map(step).map(name).collect()
        };
        assert_eq!(phases("0102022020002", 1), "...X.Xx.X...X");
        assert_eq!(phases("0102022020002", 3), "...Xxxxxxxx.X");
        assert_eq!(
            phases("2202", 1),
            "xx.X",
            "one that goes on at the start is not counted"
        );
        assert_eq!(phases("-02--0-2", 2), "..Xxxxxx");
    }
}

//! Tells a lasting change of level from a burst.
//!
//! A change of level misses the band once for each step of the horizon, and adaptive levels would pay each of those
//! misses back by minutes of a band far too wide. It is one event: once the series has stayed on its new level for a
//! whole horizon, the levels go back to what was promised, and neither the event nor the forecasts made on the way to the
//! new level are held against the band.
//!
//! Where that happens again and again it is no event but how the load is, and the band must cover it: a change
//! within 240 steps of the one before counts as any other error.

/// Watches for jumps, and for what becomes of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shift {
    last: Option<f64>,
    /// Mean absolute change from one step to the next.
    change: f64,
    jump: Option<Jump>,
    /// Steps since the newest jump that proved lasting, if there was one.
    since: Option<u32>,
}

/// What a lasting change of level is to the forecasts that come due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// The jump was one horizon ago: forecasts made before it have all come due.
    Shown,
    /// The jump was up to three horizons ago: those come due that were made while the models followed it, which at the
    /// end of the horizon takes until the first errors since have come in.
    Settling,
}

#[derive(Debug, Clone, Copy)]
struct Jump {
    from: f64,
    to: f64,
    age: usize,
}

/// Gain of the mean absolute change.
const CHANGE_GAIN: f64 = 0.1;
/// A change so many times the mean is a jump.
const JUMP: f64 = 5.0;
/// Lasting changes closer than this are how the load is.
const RARE_STEPS: u32 = 240;
/// Horizons after which a jump is over.
const SETTLED_AFTER: usize = 3;
/// A jump lasts when so much of it is left.
const LASTING_SHARE: f64 = 0.5;

impl Shift {
    /// The newest observation.
    pub(crate) fn last(&self) -> Option<f64> {
        self.last
    }

    /// Mean absolute change from one step to the next.
    pub(crate) fn change(&self) -> f64 {
        self.change
    }

    /// Takes one observation; tells of a jump, `steps` to three times as many ago, that is there to stay. Jumps that follow
    /// each other within less are one.
    pub(crate) fn observe(&mut self, y: f64, steps: usize) -> Option<Lasting> {
        let last = self.last.replace(y).unwrap_or(y);
        let change = (y - last).abs();
        let is_jump = change > JUMP * self.change && self.change > 0.0;
        self.change += CHANGE_GAIN * (change - self.change);
        if is_jump {
            let from = self.jump.map_or(last, |jump| jump.from);
            self.jump = Some(Jump { from, to: y, age: 0 });
            return None;
        }
        self.since = self.since.map(|since| since.saturating_add(1));
        let mut jump = self.jump?;
        jump.age += 1;
        self.jump = (jump.age < SETTLED_AFTER * steps).then_some(jump);
        let left = (y - jump.from).abs();
        let lasts = left > LASTING_SHARE * (jump.to - jump.from).abs() && left > JUMP * self.change;
        if jump.age < steps || !lasts {
            return None;
        }
        if jump.age > steps {
            return Some(Lasting::Settling);
        }
        let is_rare = self.since.replace(0).is_none_or(|since| since > RARE_STEPS);
        if !is_rare {
            self.jump = None;
        }
        is_rare.then_some(Lasting::Shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_shift_and_a_surge_is_none() {
        let noise = |t: u32| f64::from(t.wrapping_mul(2_654_435_761) >> 24) / 128.0;
        let shifts = |level: fn(u32) -> f64| {
            let mut shift = Shift::default();
            (0..300)
                .filter(|&t| shift.observe(level(t) + noise(t), 20).is_some())
                .collect::<Vec<_>>()
        };
        let lasting: Vec<u32> = (120..=160).collect();
        assert_eq!(shifts(|t| if t < 100 { 20.0 } else { 70.0 }), lasting);
        assert_eq!(shifts(|t| if t < 100 { 70.0 } else { 20.0 }), lasting);
        assert_eq!(
            shifts(|t| if (100..110).contains(&t) { 70.0 } else { 20.0 }),
            [0; 0]
        );
        assert_eq!(shifts(|_| 20.0), [0; 0]);
        let steps = |t: u32| f64::from(20 + 25 * (t / 60));
        assert_eq!(
            shifts(steps),
            (80..=119).collect::<Vec<_>>(),
            "only the first of many"
        );
    }
}

//! A repeating pattern, and what is on top of it.

use super::{Autoregression, Forecaster, LAG_MAX, PERIOD_STEPS_MAX};

/// One level for each slot of a known period, and an autoregression on the deviation from it.
///
/// The pattern carries what the recent past cannot tell, such as a surge that is twenty seconds away; the deviation
/// carries what the pattern cannot, such as a load that is higher today. Each step corrects the slot's level by a
/// share of what neither of them expected, so that a lasting change of level goes to the deviation and not into the
/// slots one after the other. In the spirit of SPAR (Chen et al., NSDI 2008), but fitted as observations come.
///
/// Without a period it is the autoregression alone, and not ready. A missing observation lets the pattern run on.
#[derive(Debug, Clone)]
pub struct Seasonal {
    /// Level of each slot; NaN where it was never seen.
    levels: Vec<f32>,
    /// The period was given and stays.
    is_fixed: bool,
    /// The slot of the next observation.
    slot: usize,
    cycles: u32,
    deviation: Autoregression<4>,
}

/// A slot's level moves by at least this share of what was not expected.
const LEVEL_GAIN: f64 = 0.25;

impl Default for Seasonal {
    fn default() -> Self {
        Self::new()
    }
}

impl Seasonal {
    /// Knows no period yet.
    pub fn new() -> Self {
        Self::of(0)
    }

    /// Of one period of `period_steps`, which may be longer than any that is detected on the fly; 0 and over 1,048,576
    /// is none.
    pub fn with_period(period_steps: usize) -> Self {
        let levels = if period_steps > LAG_MAX { 0 } else { period_steps };
        Self {
            is_fixed: true,
            ..Self::of(levels)
        }
    }

    fn of(period_steps: usize) -> Self {
        Self {
            levels: vec![f32::NAN; period_steps],
            is_fixed: false,
            slot: 0,
            cycles: 0,
            deviation: Autoregression::of_order_4(),
        }
    }

    /// The period in steps, where there is one.
    pub fn period_steps(&self) -> Option<usize> {
        (!self.levels.is_empty()).then_some(self.levels.len())
    }

    fn expected_deviation(&self) -> f64 {
        let mut next = [0.0];
        self.deviation.forecast(&mut next);
        next[0]
    }

    fn observe(&mut self, y: f64) {
        let level = f64::from(self.levels[self.slot]);
        if level.is_nan() {
            self.levels[self.slot] = single(y - self.expected_deviation());
            self.deviation.update(None);
            return;
        }
        let gain = LEVEL_GAIN.max(1.0 / f64::from(self.cycles + 1));
        let unexpected = y - level - self.expected_deviation();
        self.levels[self.slot] = single(level + gain * unexpected);
        self.deviation.update(Some(y - level));
    }

    fn advance(&mut self) {
        self.slot += 1;
        if self.slot == self.levels.len() {
            self.slot = 0;
            self.cycles = self.cycles.saturating_add(1);
        }
    }

    /// The nearest earlier level that was seen; 0 where none was.
    fn level(&self, slot: usize) -> f64 {
        if !self.levels[slot].is_nan() {
            return f64::from(self.levels[slot]);
        }
        let earlier = self.levels[..=slot]
            .iter()
            .rev()
            .chain(self.levels[slot + 1..].iter().rev());
        earlier
            .copied()
            .find(|level| !level.is_nan())
            .map_or(0.0, f64::from)
    }
}

/// In single precision, and never infinite: an expectation may be some times larger than what was believed.
fn single(level: f64) -> f32 {
    let most = f64::from(f32::MAX);
    level.clamp(-most, most) as f32
}

impl Forecaster for Seasonal {
    fn name(&self) -> &str {
        "seasonal"
    }

    fn reset(&mut self) {
        if self.is_fixed {
            self.levels.fill(f32::NAN);
        } else {
            self.levels.clear();
        }
        (self.slot, self.cycles) = (0, 0);
        self.deviation.reset();
    }

    fn update(&mut self, y: Option<f64>) {
        // The levels are single precision: what they cannot hold is not believed.
        let y = y.filter(|y| y.abs() <= f64::from(f32::MAX) / 4.0);
        if self.levels.is_empty() {
            self.deviation.update(y);
            return;
        }
        match y {
            Some(y) => self.observe(y),
            None => self.deviation.update(None),
        }
        self.advance();
    }

    fn forecast(&self, path: &mut [f64]) {
        self.deviation.forecast(path);
        if self.levels.is_empty() {
            return;
        }
        let mut slot = self.slot;
        // Looked for once: over a long gap it is far, and the next slot's is this one.
        let mut level = self.level(slot);
        for y in path {
            if !self.levels[slot].is_nan() {
                level = f64::from(self.levels[slot]);
            }
            *y += level;
            slot = if slot + 1 == self.levels.len() {
                0
            } else {
                slot + 1
            };
        }
    }

    fn set_period(&mut self, period_steps: Option<usize>) -> bool {
        let period_steps = period_steps.filter(|p| (2..=PERIOD_STEPS_MAX).contains(p));
        if self.is_fixed || period_steps == self.period_steps() {
            return false;
        }
        self.reset();
        // Exactly what is needed: most series have no season, and there is one of these for each node.
        self.levels = vec![f32::NAN; period_steps.unwrap_or(0)];
        true
    }

    fn is_ready(&self) -> bool {
        self.cycles > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surge(t: usize) -> f64 {
        if t % 60 >= 40 && t % 60 < 50 { 90.0 } else { 30.0 }
    }

    fn trained(steps: usize) -> Seasonal {
        let mut model = Seasonal::new();
        assert!(model.set_period(Some(60)));
        (0..steps).for_each(|t| model.update(Some(surge(t))));
        model
    }

    #[test]
    fn a_surge_beyond_the_recent_past_is_in_the_path() {
        let mut path = [0.0; 20];
        trained(200).forecast(&mut path);
        for (h, y) in path.iter().enumerate() {
            assert!((y - surge(200 + h)).abs() < 2.0, "step {h}: {y}");
        }
    }

    #[test]
    fn a_lasting_change_of_level_lifts_the_whole_pattern_within_a_few_steps() {
        let mut model = trained(240);
        (240..260).for_each(|t| model.update(Some(surge(t) + 20.0)));
        let mut path = [0.0; 30];
        model.forecast(&mut path);
        assert!(
            (path[25] - 110.0).abs() < 12.0,
            "the surge on the new level: {path:?}"
        );
    }

    #[test]
    fn missing_observations_let_the_pattern_run_on() {
        let mut model = trained(240);
        (0..30).for_each(|_| model.update(None));
        let mut path = [0.0; 20];
        model.forecast(&mut path);
        assert!((path[12] - 90.0).abs() < 2.0, "{path:?}");
    }
}

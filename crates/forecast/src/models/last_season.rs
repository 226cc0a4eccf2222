//! What was one season ago.

use super::{Forecaster, believable};

/// The value one period before. A missing observation is taken as what it was one period before.
#[derive(Debug, Clone)]
pub struct LastSeason {
    period: usize,
    /// By slot.
    values: Vec<f64>,
    slot: usize,
}

impl LastSeason {
    /// A season of `period_steps`, 1 or more.
    pub fn new(period_steps: usize) -> Self {
        Self {
            period: period_steps.max(1),
            values: Vec::new(),
            slot: 0,
        }
    }
}

impl Forecaster for LastSeason {
    fn name(&self) -> &str {
        "last_season"
    }

    fn reset(&mut self) {
        self.values.clear();
        self.slot = 0;
    }

    fn update(&mut self, y: Option<f64>) {
        match (believable(y), self.values.get_mut(self.slot)) {
            (Some(y), Some(value)) => *value = y,
            (None, Some(_)) => {}
            (y, None) => {
                let newest = self.values.last().copied().unwrap_or(0.0);
                self.values.push(y.unwrap_or(newest));
            }
        }
        self.slot = (self.slot + 1) % self.period;
    }

    fn forecast(&self, path: &mut [f64]) {
        let newest = self.values.last().copied().unwrap_or(0.0);
        for (step, y) in path.iter_mut().enumerate() {
            let slot = (self.slot + step) % self.period;
            *y = self.values.get(slot).copied().unwrap_or(newest);
        }
    }

    fn is_ready(&self) -> bool {
        self.values.len() == self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_season_repeats_also_over_a_gap() {
        let mut model = LastSeason::new(3);
        [Some(1.0), Some(2.0), Some(3.0), Some(4.0), None]
            .into_iter()
            .for_each(|y| model.update(y));
        let mut path = [0.0; 5];
        model.forecast(&mut path);
        assert!(model.is_ready());
        assert_eq!(path, [3.0, 4.0, 2.0, 3.0, 4.0]);
    }
}

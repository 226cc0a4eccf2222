//! How large a series is and how far off its forecasts are, now and usually.

use crate::band::Units;

/// Discounted means of the level and of the errors one step ahead.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unrest {
    seen: u32,
    level: f64,
    last: f64,
    error: f64,
    usual_error: f64,
}

const ERROR_GAIN: f64 = 0.05;
const USUAL_ERROR_GAIN: f64 = 0.002;
const LEVEL_GAIN: f64 = 0.01;
/// Neither is taken as smaller than this share of what is usual: quotients by nearly nothing say nothing.
const ERROR_SHARE_MIN: f64 = 0.2;
const LEVEL_SHARE_MIN: f64 = 0.1;

impl Unrest {
    /// Takes an observation, and its difference from what was forecast one step before where something was.
    pub(crate) fn observe(&mut self, y: f64, error: Option<f64>) {
        self.seen = self.seen.saturating_add(1);
        let at_least = 1.0 / f64::from(self.seen);
        self.level += LEVEL_GAIN.max(at_least) * (y.abs() - self.level);
        self.last = y.abs();
        if let Some(error) = error.map(f64::abs) {
            self.error += ERROR_GAIN.max(at_least) * (error - self.error);
            self.usual_error += USUAL_ERROR_GAIN.max(at_least) * (error - self.usual_error);
        }
    }

    /// The units for errors of forecasts made now.
    pub(crate) fn units(&self) -> Units {
        let above_0 = |x: f64| if x > 0.0 { x } else { 1.0 };
        Units {
            error: above_0(self.error.max(ERROR_SHARE_MIN * self.usual_error)),
            level: above_0(self.last.max(LEVEL_SHARE_MIN * self.level)),
        }
    }
}

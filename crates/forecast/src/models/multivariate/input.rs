//! One series as an input: its level and course against a slowly moving reference, in units of its own size.

/// A series' newest values and what is usual for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Input {
    /// Newest first.
    lags: [f64; 5],
    /// Follows the level within some four steps.
    smooth: f64,
    reference: f64,
    power: f64,
    seen: u32,
    /// Steps since the newest observation.
    age: u32,
}

/// The reference and the deviations' mean square follow with at least this gain.
const REFERENCE_GAIN: f64 = 0.02;
const SMOOTH_GAIN: f64 = 0.35;
/// Deviations under this share of the reference are rounding, not signal.
const SIGNAL_SHARE_MIN: f64 = 1e-10;
/// An input is at most so many times its usual size.
const INPUT_MAX: f64 = 8.0;
/// Missing steps after which an observation is stale.
const AGE_MAX: u32 = 20;

impl Input {
    /// Takes a believable value; `None` holds the newest one.
    pub(super) fn observe(&mut self, y: Option<f64>) {
        let Some(y) = y else {
            self.age = self.age.saturating_add(1);
            self.push(self.lags[0]);
            return;
        };
        if self.seen == 0 {
            (self.lags, self.smooth, self.reference) = ([y; 5], y, y);
        }
        (self.seen, self.age) = (self.seen.saturating_add(1), 0);
        let gain = REFERENCE_GAIN.max(1.0 / f64::from(self.seen));
        let deviation = y - self.reference;
        self.power += gain * (deviation * deviation - self.power);
        self.reference += gain * deviation;
        self.push(y);
    }

    fn push(&mut self, y: f64) {
        self.lags.copy_within(..4, 1);
        self.lags[0] = y;
        self.smooth += SMOOTH_GAIN * (y - self.smooth);
    }

    /// True while what it says is of now.
    pub(super) fn is_fresh(&self) -> bool {
        self.seen > 0 && self.age <= AGE_MAX
    }

    pub(super) fn newest(&self) -> Option<f64> {
        (self.seen > 0).then_some(self.lags[0])
    }

    /// Root mean square of the deviations; 0 where they are only rounding.
    pub(super) fn size(&self) -> f64 {
        let size = self.power.sqrt();
        let is_signal = size.is_finite() && size > self.reference.abs() * SIGNAL_SHARE_MIN;
        if is_signal { size } else { 0.0 }
    }

    /// The level, the last two changes and the two before them.
    pub(super) fn course(&self) -> [f64; 4] {
        let [a, b, c, _, e] = self.lags;
        self.scaled([a - self.reference, a - b, b - c, c - e])
    }

    /// The level, and how far it is from its smoothed course.
    pub(super) fn level_and_change(&self) -> [f64; 2] {
        let newest = self.lags[0];
        self.scaled([newest - self.reference, newest - self.smooth])
    }

    fn scaled<const N: usize>(&self, deviations: [f64; N]) -> [f64; N] {
        let size = self.size();
        if size == 0.0 || !self.is_fresh() {
            return [0.0; N];
        }
        deviations.map(|deviation| (deviation / size).clamp(-INPUT_MAX, INPUT_MAX))
    }
}

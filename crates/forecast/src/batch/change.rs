//! Change points: where a model's one-step errors stop being centred on nothing.
//!
//! Two one-sided cumulative sums (Page, *Continuous inspection schemes*, Biometrika 41, 1954) of standardised errors, in
//! constant time and memory. Errors, not values, as sums over anything autocorrelated alarm without end: on raw AR(0.8)
//! noise every few dozen steps, on its errors as rarely as below. Extremes are drawn in first, so that a lone spike is no
//! change.

use crate::normal::{DEVIATION_BY_MEAN_ABSOLUTE, DEVIATION_BY_MEDIAN_ABSOLUTE};

/// What an error must exceed to count, in standard deviations: half of the smallest change that is looked for.
const SLACK: f64 = 0.5;
/// Largest standardised error.
const ERROR_MAX: f64 = 4.0;
/// Errors before the first alarm, from which the scale is known.
const WARM_UP: usize = 30;
/// Memory of the scale, in errors.
const SCALE_MEMORY: f64 = 300.0;

/// Which way errors, observed less expected, went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Observed is above expected.
    Up,
    /// Observed is below expected.
    Down,
}

/// A change that was noticed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Index of the error that gave the alarm, from 0.
    pub noticed: usize,
    /// Index of the error since which the sum has been rising: where the change began, most likely.
    pub began: usize,
    /// Which way.
    pub direction: Direction,
    /// Mean error from `began` to `noticed`, in the unit of the errors, extremes drawn in.
    pub size: f64,
}

/// Watches a model's one-step errors, one at a time.
///
/// At the usual threshold of 9, independent normal errors alarm once in 20,000 to 40,000; a lasting shift by one standard
/// deviation is noticed after about 16 errors, by three after 3. After an alarm both sums begin at 0, so errors that stay
/// off alarm again and again: a model should be restarted at the first.
#[derive(Debug, Clone)]
pub struct Cusum {
    threshold: f64,
    up: Side,
    down: Side,
    /// Sizes of the first errors, of which the median is the first scale: the very first may be far off.
    first: Vec<f64>,
    mean_absolute: f64,
    count: usize,
}

/// One of the two sums.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    sum: f64,
    began: usize,
    errors: f64,
}

impl Side {
    fn add(&mut self, standardised: f64, error: f64, index: usize) {
        if self.sum == 0.0 {
            *self = Self {
                began: index,
                ..Self::default()
            };
        }
        self.sum = (self.sum + standardised - SLACK).max(0.0);
        self.errors += error;
    }

    fn change(&self, noticed: usize, direction: Direction) -> Change {
        let size = self.errors / (noticed - self.began + 1) as f64;
        Change {
            noticed,
            began: self.began,
            direction,
            size,
        }
    }
}

impl Default for Cusum {
    fn default() -> Self {
        Self::new(9.0)
    }
}

impl Cusum {
    /// `threshold` is in standard deviations of an error; each more makes false alarms some 2.7 times rarer and notices a
    /// shift by one standard deviation two errors later. Under 1 or NaN it is taken as 1.
    pub fn new(threshold: f64) -> Self {
        Self {
            threshold: threshold.max(1.0),
            up: Side::default(),
            down: Side::default(),
            first: Vec::with_capacity(WARM_UP),
            mean_absolute: 0.0,
            count: 0,
        }
    }

    /// Takes the next error, observed less expected, in any unit. What is not finite is passed over, but counted.
    ///
    /// The first 30 errors only tell the scale.
    pub fn observe(&mut self, error: f64) -> Option<Change> {
        let index = self.count;
        self.count += 1;
        if !error.is_finite() {
            return None;
        }
        if self.first.len() < WARM_UP {
            self.first.push(error.abs());
            if self.first.len() == WARM_UP {
                let median = *self.first.select_nth_unstable_by(WARM_UP / 2, f64::total_cmp).1;
                self.mean_absolute = median * DEVIATION_BY_MEDIAN_ABSOLUTE / DEVIATION_BY_MEAN_ABSOLUTE;
            }
            return None;
        }
        let (standardised, error) = self.standardise(error);
        self.up.add(standardised, error, index);
        self.down.add(-standardised, error, index);
        let change = if self.up.sum > self.threshold {
            self.up.change(index, Direction::Up)
        } else if self.down.sum > self.threshold {
            self.down.change(index, Direction::Down)
        } else {
            return None;
        };
        (self.up, self.down) = (Side::default(), Side::default());
        Some(change)
    }

    /// The error in standard deviations and in its unit, its extremes drawn in; the scale learns from it afterwards.
    fn standardise(&mut self, error: f64) -> (f64, f64) {
        let unit = self.mean_absolute * DEVIATION_BY_MEAN_ABSOLUTE;
        let (standardised, error) = if unit > 0.0 {
            let drawn = error.clamp(-ERROR_MAX * unit, ERROR_MAX * unit);
            (drawn / unit, drawn)
        } else {
            // A scale of 0 could not grow from errors that were drawn in to it.
            (
                if error == 0.0 {
                    0.0
                } else {
                    ERROR_MAX * error.signum()
                },
                error,
            )
        };
        self.mean_absolute += (error.abs() - self.mean_absolute) / SCALE_MEMORY;
        (standardised, error)
    }
}

/// The changes in a series of one-step errors, by a [`Cusum`] with the usual threshold.
///
/// Alarms that follow each other without a pause in one direction are one change, told with the first alarm.
pub fn points(errors: &[f64]) -> Vec<Change> {
    let mut cusum = Cusum::default();
    let mut last: Option<Change> = None;
    let mut changes = Vec::new();
    for change in errors.iter().filter_map(|&error| cusum.observe(error)) {
        let goes_on =
            last.is_some_and(|last| last.noticed + 1 == change.began && last.direction == change.direction);
        if !goes_on {
            changes.push(change);
        }
        last = Some(change);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_spike_is_no_change_and_constant_errors_are_none() {
        let mut errors: Vec<f64> = (0..400).map(|t| f64::from(t * 7919 % 13) - 6.0).collect();
        errors[0] = -1e100;
        errors[200] = 1e100;
        errors[300] = f64::NAN;
        assert_eq!(points(&errors), []);
        assert_eq!(points(&[0.0; 500]), []);
    }

    #[test]
    fn a_shift_out_of_silence_is_noticed_at_once_and_told_once() {
        let errors: Vec<f64> = (0..200).map(|t| if t < 100 { 0.0 } else { -3.0 }).collect();
        let changes = points(&errors);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!((changes[0].began, changes[0].direction), (100, Direction::Down));
        assert!(changes[0].noticed < 115 && changes[0].size < 0.0, "{changes:?}");
    }
}

//! From a series to what the network is shown: the window, scaled by itself, with what came a season before.
//!
//! Everything is told as a distance from the newest value, in units of the window's own spread. So one network serves
//! series in bytes and in shares, and one that answers nothing but zeros says "it stays as it is".

use super::shape::{PERIOD_INPUTS, Shape};
use crate::learned::recent::mean_and_deviation;

/// Series up to some instant. All have the same length; `newest` is an index into each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) values: &'a [f64],
    pub(super) signals: &'a [Vec<f64>],
    pub(super) newest: usize,
    /// Steps since a common origin, where that is known: it makes the phase.
    pub(super) newest_step: Option<i64>,
}

/// What the window is measured by.
#[derive(Debug, Clone, Default)]
pub(super) struct Scale {
    /// The newest value.
    pub(super) level: f64,
    /// Standard deviation over the window; 0 where nothing varies.
    pub(super) size: f64,
    /// Mean and standard deviation of each signal over the window.
    signals: Vec<(f64, f64)>,
}

/// No input and no target is larger, in units of the spread.
const CLIP: f64 = 20.0;

impl Scale {
    /// Measures anew; keeps its memory.
    pub(super) fn measure(&mut self, shape: &Shape, context: &Context<'_>) {
        let end = context.newest + 1;
        let window = end.saturating_sub(shape.window)..end;
        self.level = context.values[context.newest];
        self.size = mean_and_deviation(&context.values[window.clone()]).1;
        self.signals.clear();
        let of_signals = context.signals.iter().take(shape.signals);
        self.signals
            .extend(of_signals.map(|signal| mean_and_deviation(&signal[window.clone()])));
    }

    /// A value as its distance from the newest one.
    pub(super) fn scaled(&self, y: f64) -> f32 {
        self.difference(y, self.level)
    }

    fn difference(&self, y: f64, from: f64) -> f32 {
        ratio(y - from, self.size)
    }
}

/// Narrowed to single precision, clipped; 0 where there is no size.
fn ratio(difference: f64, size: f64) -> f32 {
    if size > 0.0 {
        (difference / size).clamp(-CLIP, CLIP) as f32
    } else {
        0.0
    }
}

impl Shape {
    /// Fills the inputs of step `t` of the window, 0 being its oldest one.
    pub(super) fn fill_step(&self, t: usize, context: &Context<'_>, scale: &Scale, row: &mut [f32]) {
        let back = self.window - 1 - t;
        let Some(at) = context.newest.checked_sub(back) else {
            row.fill(0.0);
            return;
        };
        let y = context.values[at];
        let ago = |steps: usize| {
            let before = at.checked_sub(steps).map(|i| context.values[i]);
            before.map_or(0.0, |before| scale.difference(y, before))
        };
        row[0] = scale.scaled(y);
        row[1] = ago(1);
        let (of_periods, of_signals) = row[2..].split_at_mut(PERIOD_INPUTS * self.periods.len());
        for (row, &period) in of_periods.chunks_exact_mut(PERIOD_INPUTS).zip(&self.periods) {
            let (sine, cosine) = phase(
                context.newest_step.map(|step| step.wrapping_sub(back as i64)),
                period,
            );
            row.copy_from_slice(&[ago(period), sine, cosine]);
        }
        let signals = context.signals.iter().zip(&scale.signals);
        for (cell, (signal, &(mean, size))) in of_signals.iter_mut().zip(signals) {
            *cell = ratio(signal[at] - mean, size);
        }
    }

    /// Fills what came whole seasons before each step ahead: horizon elements for each period.
    pub(super) fn fill_seasons(&self, context: &Context<'_>, scale: &Scale, row: &mut [f32]) {
        for (row, &period) in row.chunks_exact_mut(self.horizon).zip(&self.periods) {
            for (h, cell) in (1..).zip(row) {
                let back = period * usize::div_ceil(h, period) - h;
                let before = context.newest.checked_sub(back);
                *cell = before.map_or(0.0, |i| scale.scaled(context.values[i]));
            }
        }
    }
}

/// Sine and cosine of a step's place in its season; zeros where that is not known.
fn phase(step: Option<i64>, period: usize) -> (f32, f32) {
    let Some(step) = step else { return (0.0, 0.0) };
    let place = step.rem_euclid(period as i64) as f64 / period as f64;
    let (sine, cosine) = (std::f64::consts::TAU * place).sin_cos();
    (sine as f32, cosine as f32)
}

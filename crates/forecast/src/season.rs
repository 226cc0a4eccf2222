//! Finds the period of a series, such as a surge every thirty seconds, from the newest observations.
//!
//! The series is differenced over a few steps: that removes level and trend, leaves nothing of a random walk that
//! could look like a cycle, and keeps the edges that make a surge. The period is a peak of the difference's
//! autocorrelation that stands out from what chance would make of so many pairs (Bartlett's formula), and that each
//! of the last repetitions confirms by itself: two chance spikes are no season.
//!
//! One search of a full window costs some 5 µs; callers run it every few steps.

use crate::models::PERIOD_STEPS_MAX;

/// Most observations that a search looks at: three repetitions of the longest period.
pub(crate) const WINDOW: usize = 3 * PERIOD_STEPS_MAX;

/// Steps over which the series is differenced.
const LAG: usize = 6;
/// Shorter periods are the autoregression's.
const PERIOD_MIN: usize = 2 * LAG;
/// A period is looked for once so many of it are in the window: the third repetition may be under way.
const REPETITIONS_MIN: f64 = 2.6;
/// The autocorrelation of a period is at least this, and this many standard deviations.
const CORRELATION_MIN: f64 = 0.5;
const DEVIATIONS_MIN: f64 = 3.7;
/// Each of the last two repetitions is at least so like the one before it.
const REPETITION_MIN: f64 = 0.45;
/// Below this a repetition speaks against the period.
const REPETITION_LOST: f64 = 0.2;
/// At least this share of a repetition's energy is common to the last three.
const AGREEMENT_MIN: f64 = 0.3;
/// The shortest of periods that are nearly as good is the fundamental one.
const FUNDAMENTAL_SHARE: f64 = 0.9;
/// Another period replaces the present one when its correlation is this much higher.
const BETTER_BY: f64 = 0.08;
/// More missing observations than this share make a search pointless.
const MISSING_SHARE_MAX: f32 = 0.2;

/// The period now, given what it was: kept while the series goes on confirming it, replaced by a clearly better one.
pub(crate) fn find(series: &[f32], present: Option<usize>) -> Option<usize> {
    let mut buffer = [0.0; WINDOW];
    let Some(search) = Search::new(series, &mut buffer) else {
        // Nothing varies or too little was seen: neither a reason to believe nor, for a moment, to forget.
        return present.filter(|_| series.len() > PERIOD_MIN && !is_flat(series));
    };
    let kept = present.filter(|&period| !search.is_lost(period));
    let Some((found, correlation)) = search.best() else {
        return kept;
    };
    match kept {
        Some(period) if correlation < search.correlation(period) + BETTER_BY => Some(period),
        _ => Some(found),
    }
}

/// Differences under this share of the level are rounding, which may well repeat.
const ROUNDING: f32 = 1e-5;

fn is_flat(series: &[f32]) -> bool {
    let seen = || series.iter().copied().filter(|y| !y.is_nan());
    let (low, high) = (seen().fold(f32::MAX, f32::min), seen().fold(f32::MIN, f32::max));
    high - low <= f32::EPSILON * 16.0 * high.abs().max(low.abs())
}

/// The differenced window, and sums that make any part's energy a subtraction.
struct Search<'a> {
    x: &'a [f32],
    energy_before: [f64; WINDOW + 1],
    noise_factor: f64,
}

impl<'a> Search<'a> {
    fn new(series: &[f32], buffer: &'a mut [f32; WINDOW]) -> Option<Self> {
        let series = &series[series.len().saturating_sub(WINDOW)..];
        if (series.len() as f64) < PERIOD_MIN as f64 * REPETITIONS_MIN + LAG as f64 || is_flat(series) {
            return None;
        }
        let x = difference(series, buffer)?;
        let mut energy_before = [0.0; WINDOW + 1];
        for (i, v) in x.iter().enumerate() {
            energy_before[i + 1] = energy_before[i] + f64::from(v * v);
        }
        let mut search = Self {
            x,
            energy_before,
            noise_factor: 1.0,
        };
        let largest = series
            .iter()
            .copied()
            .filter(|y| !y.is_nan())
            .fold(0.0, |max: f32, y| max.max(y.abs()));
        let rounding = f64::from(largest * ROUNDING).powi(2);
        if search.energy(0, x.len()) <= rounding * x.len() as f64 {
            return None;
        }
        let near: f64 = (1..PERIOD_MIN).map(|lag| search.correlation(lag).powi(2)).sum();
        search.noise_factor = 1.0 + 2.0 * near;
        Some(search)
    }

    fn energy(&self, from: usize, to: usize) -> f64 {
        self.energy_before[to] - self.energy_before[from]
    }

    /// Likeness of `[from, to)` to what was `lag` steps earlier, −1 to 1.
    fn likeness(&self, from: usize, to: usize, lag: usize) -> f64 {
        let product = dot(&self.x[from..to], &self.x[from - lag..to - lag]);
        let size = (self.energy(from, to) * self.energy(from - lag, to - lag)).sqrt();
        if size > 0.0 { product / size } else { 0.0 }
    }

    fn correlation(&self, lag: usize) -> f64 {
        if lag >= self.x.len() {
            0.0
        } else {
            self.likeness(lag, self.x.len(), lag)
        }
    }

    /// The shortest confirmed period among the nearly best, with its correlation.
    fn best(&self) -> Option<(usize, f64)> {
        let longest = ((self.x.len() + LAG) as f64 / REPETITIONS_MIN) as usize;
        let longest = longest.min(PERIOD_STEPS_MAX);
        let mut correlations = [0.0; PERIOD_STEPS_MAX + 2];
        for (lag, correlation) in correlations
            .iter_mut()
            .enumerate()
            .take(longest + 2)
            .skip(PERIOD_MIN - 1)
        {
            *correlation = self.correlation(lag);
        }
        let peaks = || {
            (PERIOD_MIN..=longest).filter(|&lag| {
                let r = correlations[lag];
                r > correlations[lag - 1] && r >= correlations[lag + 1] && r >= self.chance(lag)
            })
        };
        let highest = peaks().map(|lag| correlations[lag]).fold(0.0, f64::max);
        peaks()
            .filter(|&lag| correlations[lag] >= FUNDAMENTAL_SHARE * highest && self.is_confirmed(lag))
            .map(|lag| (lag, correlations[lag]))
            .next()
    }

    /// The correlation that chance does not reach with so many pairs.
    fn chance(&self, lag: usize) -> f64 {
        let pairs = (self.x.len() - lag) as f64;
        CORRELATION_MIN.max(DEVIATIONS_MIN * (self.noise_factor / pairs).sqrt())
    }

    /// Three occurrences: each of the last two repetitions is like the one before it, and a good part of the energy is
    /// in slots where all three agree. Without the latter two bursts, cut in two by a repetition's edge, would do.
    fn is_confirmed(&self, period: usize) -> bool {
        let n = self.x.len();
        let middle = n - period;
        let oldest = middle.saturating_sub(period).max(period);
        self.likeness(middle, n, period) >= REPETITION_MIN
            && self.likeness(oldest, middle, period) >= REPETITION_MIN
            && self.agreement(period) >= AGREEMENT_MIN
    }

    /// Share of a repetition's energy that the last three occurrences have in common, slot by slot, 0 to 1.
    fn agreement(&self, period: usize) -> f64 {
        let n = self.x.len();
        let common = |newest: usize| {
            let three = [newest, newest - period, newest - 2 * period].map(|t| self.x[t]);
            let sign = three[0].signum();
            let least = three
                .iter()
                .fold(f32::MAX, |least, x| least.min(x * sign))
                .max(0.0);
            f64::from(least * least)
        };
        let agreed: f64 = ((n - period).max(2 * period)..n).map(common).sum();
        let oldest = n.saturating_sub(3 * period);
        let energy = self.energy(oldest, n) * period as f64 / (n - oldest) as f64;
        if energy > 0.0 { agreed / energy } else { 0.0 }
    }

    /// None of the last three repetitions (as many as the window holds) is like the one before it.
    fn is_lost(&self, period: usize) -> bool {
        let n = self.x.len();
        (1..=3)
            .map(|back| {
                (
                    n as isize - (back * period) as isize,
                    n - (back - 1) * period.min(n),
                )
            })
            .take_while(|&(from, _)| from >= period as isize)
            .all(|(from, to)| self.likeness(from as usize, to, period) < REPETITION_LOST)
    }
}

/// Differences over [`LAG`] steps, their mean removed; 0 where either end is missing.
fn difference<'a>(series: &[f32], buffer: &'a mut [f32; WINDOW]) -> Option<&'a [f32]> {
    let x = &mut buffer[..series.len() - LAG];
    let (mut sum, mut count) = (0.0, 0.0);
    for (i, x) in x.iter_mut().enumerate() {
        *x = series[i + LAG] - series[i];
        if !x.is_nan() {
            sum += *x;
            count += 1.0;
        }
    }
    if count < (1.0 - MISSING_SHARE_MAX) * x.len() as f32 {
        return None;
    }
    let mean = sum / count;
    for x in x.iter_mut() {
        *x = if x.is_nan() { 0.0 } else { *x - mean };
    }
    Some(x)
}

/// Eight partial sums, so that the compiler may use vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    f64::from(sums.iter().sum::<f32>() + rest)
}

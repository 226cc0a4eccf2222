//! Lengths at which a series resembles itself more than at those around.

use std::ops::Range;

use super::level::without_level;
use crate::batch::acf::autocorrelation;

/// A candidate's autocorrelation, at least.
const LIKENESS_MIN: f64 = 0.05;
/// How many are told of one octave.
const COUNT_MAX: usize = 4;
/// Multiples that make a length more exact.
const MULTIPLES_MAX: usize = 8;

/// Lengths in `periods` at which the autocorrelation has a peak, the highest first.
///
/// `known` are seasons whose profile was taken off; where their shape has grown or shrunk something of them is left, and
/// comes again at all their multiples. So a multiple must be a peak among the multiples too.
pub(super) fn candidates(x: &[f64], periods: Range<usize>, known: &[usize]) -> Vec<usize> {
    let likeness = Likeness::of(x, &periods);
    let is_peak = |&p: &usize| {
        let around = (p / 8).max(1);
        let level = likeness.at(p);
        level >= LIKENESS_MIN
            && (p - around..=p + around).all(|q| likeness.at(q) <= level)
            && known.iter().all(|&season| likeness.stands_out(p, season))
    };
    let mut peaks: Vec<usize> = periods.filter(is_peak).collect();
    peaks.sort_by(|&a, &b| likeness.at(b).total_cmp(&likeness.at(a)));
    peaks.truncate(COUNT_MAX);
    peaks.into_iter().map(|p| likeness.sharpen(p)).collect()
}

/// Autocorrelation around the moving level.
struct Likeness {
    r: Vec<f64>,
    length: usize,
}

impl Likeness {
    /// A window over the shorter periods leaves the least of a walk, and enough of the longest ones' shape.
    fn of(x: &[f64], periods: &Range<usize>) -> Self {
        let lag_max = (periods.end * (MULTIPLES_MAX + 1)).min(x.len() / 2 + periods.end);
        let window = periods.start + periods.start / 3;
        let r = autocorrelation(&without_level(x, window), lag_max);
        Self { r, length: x.len() }
    }

    /// Without the bias that fewer products come together at longer lags; 0 beyond what is known.
    fn at(&self, lag: usize) -> f64 {
        let r = self.r.get(lag).copied().unwrap_or(0.0);
        r * self.length as f64 / (self.length - lag.min(self.length - 1)) as f64
    }

    fn stands_out(&self, lag: usize, season: usize) -> bool {
        if lag <= season {
            return true;
        }
        let neighbours = self.at(lag - season).max(self.at(lag + season));
        self.at(lag) > neighbours + 0.1 * self.at(lag).max(0.5)
    }

    /// The length near `period` whose multiples fit best: an error of one step is eight after eight seasons.
    fn sharpen(&self, period: usize) -> usize {
        let reach = (period / 16).max(1);
        let multiples = (self.length / 2 / period).clamp(1, MULTIPLES_MAX);
        let comb = |p: usize| (1..=multiples).map(|k| self.at(k * p)).sum::<f64>();
        let near = (period.saturating_sub(reach).max(2))..=period + reach;
        near.max_by(|&a, &b| comb(a).total_cmp(&comb(b)))
            .unwrap_or(period)
    }
}

//! Series made ready to be learned from, and the windows in them.

use super::{TrainError, TrainOptions, TrainSeries, gradient::Sample, shape::Shape, window::Context};
use crate::models::believable;

/// A series without gaps, and as it was.
#[derive(Debug)]
struct Prepared {
    filled: Vec<f64>,
    /// NaN where missing: nothing is learned from what was made up.
    seen: Vec<f64>,
    signals: Vec<Vec<f64>>,
    first_step: Option<i64>,
    /// Ends of the windows to learn from, and of those held out.
    learned: std::ops::Range<usize>,
    held_out: std::ops::Range<usize>,
}

/// All series, and their windows numbered through.
#[derive(Debug)]
pub(super) struct Data {
    series: Vec<Prepared>,
    horizon: usize,
    /// The number of the window after each series' last one.
    learned_ends: Vec<usize>,
    held_out_ends: Vec<usize>,
}

impl Data {
    pub(super) fn new(
        series: &[TrainSeries<'_>],
        shape: &Shape,
        options: &TrainOptions,
    ) -> Result<Self, TrainError> {
        let mut data = Self {
            series: Vec::with_capacity(series.len()),
            horizon: shape.horizon,
            learned_ends: Vec::new(),
            held_out_ends: Vec::new(),
        };
        let mut counts = (0, 0);
        for (index, series) in series.iter().enumerate() {
            check_signals(index, series, shape.signals)?;
            let prepared = Prepared::new(series, shape, options.held_out);
            counts.0 += prepared.learned.len();
            counts.1 += prepared.held_out.len();
            data.learned_ends.push(counts.0);
            data.held_out_ends.push(counts.1);
            data.series.push(prepared);
        }
        if counts.0 == 0 || counts.1 == 0 {
            let to_learn = (shape.window + shape.horizon) as f64 / (1.0 - options.held_out);
            let to_judge = (shape.horizon + 1) as f64 / options.held_out;
            return Err(TrainError::NoWindows {
                need: to_learn.max(to_judge).ceil() as usize + 1,
                found: series.iter().map(|s| s.values.len()).max().unwrap_or(0),
            });
        }
        Ok(data)
    }

    pub(super) fn learned(&self) -> usize {
        self.learned_ends.last().copied().unwrap_or(0)
    }

    pub(super) fn held_out(&self) -> usize {
        self.held_out_ends.last().copied().unwrap_or(0)
    }

    /// Window `number` of those to learn from; without its phase where `blind`.
    pub(super) fn learned_at(&self, number: usize, blind: bool) -> Sample<'_> {
        let (series, place) = locate(&self.learned_ends, number);
        let series = &self.series[series];
        series.sample(series.learned.start + place, self.horizon, blind)
    }

    /// Window `number` of those held out.
    pub(super) fn held_out_at(&self, number: usize) -> Sample<'_> {
        let (series, place) = locate(&self.held_out_ends, number);
        let series = &self.series[series];
        series.sample(series.held_out.start + place, self.horizon, false)
    }
}

fn check_signals(index: usize, series: &TrainSeries<'_>, expected: usize) -> Result<(), TrainError> {
    let length = series.values.len();
    let fits = series.signals.iter().all(|signal| signal.len() == length);
    if series.signals.len() == expected && fits {
        return Ok(());
    }
    Err(TrainError::Signals {
        series: index,
        found: series.signals.len(),
        expected,
        length,
    })
}

/// The series that holds a window, and the window's place in it.
fn locate(ends: &[usize], number: usize) -> (usize, usize) {
    let series = ends.partition_point(|&end| end <= number);
    let begin = series.checked_sub(1).map_or(0, |before| ends[before]);
    (series, number - begin)
}

impl Prepared {
    fn new(series: &TrainSeries<'_>, shape: &Shape, held_out: f64) -> Self {
        let count = series.values.len();
        let cut = count - ((count as f64 * held_out).ceil() as usize).min(count);
        let last = cut.saturating_sub(shape.horizon);
        // Windows that a whole season goes before, where that leaves some.
        let first = [shape.context() - 1, shape.window - 1]
            .into_iter()
            .find(|&first| first < last)
            .unwrap_or(last);
        let known = series.values.iter().any(|&y| believable(Some(y)).is_some());
        let learned = if known { first..last } else { 0..0 };
        let begin = cut.max(shape.window - 1);
        let held_out = begin..count.saturating_sub(shape.horizon).max(begin);
        Self {
            filled: filled(series.values),
            seen: series
                .values
                .iter()
                .map(|&y| believable(Some(y)).unwrap_or(f64::NAN))
                .collect(),
            signals: series.signals.iter().map(|signal| filled(signal)).collect(),
            first_step: series.first_step,
            held_out: if known { held_out } else { 0..0 },
            learned,
        }
    }

    fn sample(&self, newest: usize, horizon: usize, blind: bool) -> Sample<'_> {
        let step = self.first_step.filter(|_| !blind);
        Sample {
            context: Context {
                values: &self.filled,
                signals: &self.signals,
                newest,
                newest_step: step.map(|first| first.wrapping_add(newest as i64)),
            },
            targets: &self.seen[newest + 1..newest + 1 + horizon],
        }
    }
}

/// The newest known value in place of each that is missing, as it would have been held then; before the first known
/// one, that one.
fn filled(values: &[f64]) -> Vec<f64> {
    let known = |y: &f64| believable(Some(*y));
    let mut held = values.iter().find_map(known).unwrap_or(0.0);
    values
        .iter()
        .map(|y| {
            held = known(y).unwrap_or(held);
            held
        })
        .collect()
}

//! One metric over time, coarser the longer ago it was.

use std::collections::VecDeque;

/// A resolution and how long it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Width of a point, in milliseconds; at least 1.
    pub step_ms: u64,
    /// Points kept at most, and steps that they may reach back.
    pub keep: u32,
}

/// What was recorded within one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Begin of the step, in Unix milliseconds; a multiple of the step.
    pub start_ms: u64,
    /// How many values; at least 1.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
    /// The smallest, rounded to single precision.
    pub min: f64,
    /// The largest, rounded to single precision.
    pub max: f64,
}

impl Point {
    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// A metric at several resolutions, each with bounded retention.
///
/// Steps in which nothing was recorded have no point: "not measured" is not zero. The clock may jump: forward, it
/// leaves a gap and what is now too old is dropped; back by at most one step, values count into the newest point; back by
/// more, the points that are now in the future are dropped.
///
/// Memory grows with what is recorded, up to 24 bytes a point and room for the next ones: 98 KB at [`Series::LEVELS`].
#[derive(Debug, Clone)]
pub struct Series {
    levels: Vec<Rollup>,
}

impl Series {
    /// 1 s for 10 minutes, 5 s for an hour, 1 minute for a day.
    pub const LEVELS: [Level; 3] = [
        Level {
            step_ms: 1_000,
            keep: 600,
        },
        Level {
            step_ms: 5_000,
            keep: 720,
        },
        Level {
            step_ms: 60_000,
            keep: 1_440,
        },
    ];

    /// Empty, with the given levels.
    pub fn new(levels: &[Level]) -> Self {
        let rollup = |level: &Level| Rollup {
            level: *level,
            slots: VecDeque::new(),
        };
        Self {
            levels: levels.iter().map(rollup).collect(),
        }
    }

    /// Adds a value at every level. One that is not finite is left out.
    pub fn record(&mut self, now_ms: u64, value: f64) {
        if value.is_finite() {
            self.levels
                .iter_mut()
                .for_each(|rollup| rollup.record(now_ms, value));
        }
    }

    /// Adds a value that was measured at `at_ms`, before others that are recorded already; at each level that reaches back so far.
    /// One that is not finite or not of the past is left out.
    pub fn record_late(&mut self, now_ms: u64, at_ms: u64, value: f64) {
        if value.is_finite() && at_ms <= now_ms {
            self.levels
                .iter_mut()
                .for_each(|rollup| rollup.record_late(now_ms, at_ms, value));
        }
    }

    /// The points of a level whose step begins at `from_ms` or later, oldest first; none where there is no such level.
    pub fn since(&self, level: usize, from_ms: u64) -> impl DoubleEndedIterator<Item = Point> + '_ {
        let rollup = self.levels.get(level);
        let step_ms = rollup.map_or(1, Rollup::step_ms);
        let slots = rollup.map(|r| {
            r.slots
                .range(r.slots.partition_point(|s| s.start_ms(step_ms) < from_ms)..)
        });
        slots.into_iter().flatten().map(move |slot| slot.point(step_ms))
    }

    /// The newest point of a level.
    pub fn newest(&self, level: usize) -> Option<Point> {
        let rollup = self.levels.get(level)?;
        Some(rollup.slots.back()?.point(rollup.step_ms()))
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new(&Self::LEVELS)
    }
}

#[derive(Debug, Clone)]
struct Rollup {
    level: Level,
    /// Rising in `step`.
    slots: VecDeque<Slot>,
}

/// A point in 24 bytes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Steps since 1970; enough for steps of a second until 2106.
    step: u32,
    count: u32,
    sum: f64,
    min: f32,
    max: f32,
}

impl Rollup {
    fn step_ms(&self) -> u64 {
        self.level.step_ms.max(1)
    }

    fn record(&mut self, now_ms: u64, value: f64) {
        let step = u32::try_from(now_ms / self.step_ms()).unwrap_or(u32::MAX);
        while self
            .slots
            .back()
            .is_some_and(|newest| newest.step > step.saturating_add(1))
        {
            self.slots.pop_back();
        }
        match self.slots.back_mut() {
            Some(newest) if newest.step >= step => newest.add(value),
            _ => self.slots.push_back(Slot::new(step, value)),
        }
        let keep = self.level.keep.max(1);
        while self
            .slots
            .front()
            .is_some_and(|oldest| step.saturating_sub(oldest.step) >= keep)
        {
            self.slots.pop_front();
        }
    }
}

impl Rollup {
    /// The slots stay in order and within the retention.
    fn record_late(&mut self, now_ms: u64, at_ms: u64, value: f64) {
        let step_of = |ms: u64| u32::try_from(ms / self.step_ms()).unwrap_or(u32::MAX);
        let (now, step) = (step_of(now_ms), step_of(at_ms));
        if now.saturating_sub(step) >= self.level.keep.max(1) {
            return;
        }
        let at = self.slots.partition_point(|slot| slot.step < step);
        match self.slots.get_mut(at) {
            Some(slot) if slot.step == step => slot.add(value),
            _ => self.slots.insert(at, Slot::new(step, value)),
        }
        while self
            .slots
            .front()
            .is_some_and(|oldest| now.saturating_sub(oldest.step) >= self.level.keep.max(1))
        {
            self.slots.pop_front();
        }
    }
}

impl Slot {
    fn new(step: u32, value: f64) -> Self {
        Self {
            step,
            count: 1,
            sum: value,
            min: value as f32,
            max: value as f32,
        }
    }

    fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.sum += value;
        self.min = self.min.min(value as f32);
        self.max = self.max.max(value as f32);
    }

    fn start_ms(&self, step_ms: u64) -> u64 {
        u64::from(self.step).saturating_mul(step_ms)
    }

    fn point(&self, step_ms: u64) -> Point {
        Point {
            start_ms: self.start_ms(step_ms),
            count: self.count,
            sum: self.sum,
            min: f64::from(self.min),
            max: f64::from(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn starts(series: &Series, level: usize) -> Vec<u64> {
        series.since(level, 0).map(|p| p.start_ms - NOW).collect()
    }

    proptest! {
        #[test]
        fn every_level_adds_up_to_what_was_recorded_while_it_reaches_back(
            values in proptest::collection::vec((0..3_000_u64, -100.0..100.0_f64), 1..200),
        ) {
            let mut series = Series::default();
            let mut now_ms = NOW;
            for (passed, value) in &values {
                now_ms += passed;
                series.record(now_ms, *value);
            }
            let sum: f64 = values.iter().map(|(_, v)| v).sum();
            for level in 0..3 {
                let points: Vec<_> = series.since(level, 0).collect();
                prop_assert!(points.is_sorted_by(|a, b| a.start_ms < b.start_ms));
                prop_assert_eq!(points.iter().map(|p| p.count as usize).sum::<usize>(), values.len());
                prop_assert!((points.iter().map(|p| p.sum).sum::<f64>() - sum).abs() < 1e-6);
                for p in &points {
                    prop_assert!(p.min - 1e-4 <= p.mean() && p.mean() <= p.max + 1e-4);
                }
            }
        }

        #[test]
        fn whatever_the_clock_does_a_level_is_bounded_and_in_order(
            times in proptest::collection::vec(prop_oneof![0..100_000_u64, any::<u64>()], 1..100),
        ) {
            let levels = [Level { step_ms: 1_000, keep: 7 }, Level { step_ms: 0, keep: 0 }];
            let mut series = Series::new(&levels);
            for time in times {
                series.record(time, 1.0);
                for level in 0..2 {
                    let steps: Vec<_> = series.levels[level].slots.iter().map(|s| s.step).collect();
                    prop_assert!(!steps.is_empty() && steps.len() <= 7);
                    prop_assert!(steps.is_sorted_by(|a, b| a < b));
                }
            }
        }
    }

    #[test]
    fn what_comes_late_is_put_where_it_belongs_and_what_comes_too_late_is_left_out() {
        let mut series = Series::new(&[Level {
            step_ms: 1_000,
            keep: 10,
        }]);
        for passed in [0, 1_000, 8_000] {
            series.record(NOW + passed, 1.0);
        }
        for (at_ms, value) in [
            (5_000, 2.0),
            (3_000, 3.0),
            (5_500, 4.0),
            (1_000, 5.0),
            (9_000, 6.0),
        ] {
            series.record_late(NOW + 8_900, NOW + at_ms, value);
        }
        assert_eq!(starts(&series, 0), [0, 1_000, 3_000, 5_000, 8_000]);
        let sums: Vec<f64> = series.since(0, 0).map(|point| point.sum).collect();
        assert_eq!(sums, [1.0, 6.0, 3.0, 6.0, 1.0]);
        series.record_late(NOW + 60_000, NOW, 1.0);
        assert_eq!(series.since(0, 0).count(), 5, "beyond what is kept");
    }

    #[test]
    fn a_jump_forward_leaves_a_gap_and_drops_what_is_too_old() {
        let mut series = Series::new(&[Level {
            step_ms: 1_000,
            keep: 10,
        }]);
        for passed in [0, 1_000, 2_000, 10_500] {
            series.record(NOW + passed, 1.0);
        }
        assert_eq!(starts(&series, 0), [1_000, 2_000, 10_000]);
        series.record(NOW + 1_000_000, 1.0);
        assert_eq!(starts(&series, 0), [1_000_000]);
    }

    #[test]
    fn a_small_step_back_counts_into_the_newest_point_and_a_large_one_drops_the_future() {
        let mut series = Series::new(&[Level {
            step_ms: 1_000,
            keep: 10,
        }]);
        for passed in [0, 1_000, 2_000, 3_000, 2_900] {
            series.record(NOW + passed, 1.0);
        }
        assert_eq!(
            series.newest(0).map(|p| (p.start_ms - NOW, p.count)),
            Some((3_000, 2))
        );
        series.record(NOW + 500, 1.0);
        assert_eq!(starts(&series, 0), [0, 1_000]);
    }

    #[test]
    fn a_value_that_is_no_number_is_left_out_and_a_level_that_is_not_there_is_empty() {
        let mut series = Series::default();
        series.record(NOW, f64::NAN);
        series.record(NOW, f64::INFINITY);
        assert_eq!((series.newest(0), series.newest(9)), (None, None));
        assert_eq!(series.since(9, 0).count(), 0);
    }
}

//! Irregular samples brought onto regular steps.

use std::time::Duration;

use super::{Aggregate, Error, STEPS_MAX, Series, whole_ms};

impl Series {
    /// Puts samples `(Unix milliseconds, value)` on steps of `step`, from the first sample's step to the last one's.
    ///
    /// - Samples may come in any order; those of one step, the very same instant included, are aggregated.
    /// - A sample whose value is NaN says nothing, and a step without a sample is missing, or 0 where samples are counted. [`Error::NoSamples`] where
    ///   no sample has a value, [`Error::Value`] for an infinite one or a sum that overflows.
    /// - Steps begin at multiples of `step` since 1970, so that hours are hours. Samples that come about one a step
    ///   themselves would then fall now into one step and now into the next by a little jitter; for those the steps
    ///   are laid so that samples lie in their middle, unless they are counted.
    /// - A step finer than the samples leaves steps missing between them; nothing is invented.
    /// - [`Error::TooLong`] for a span of over [`STEPS_MAX`] steps, before anything is allocated for it.
    pub fn from_samples(samples: &[(i64, f64)], step: Duration, aggregate: Aggregate) -> Result<Self, Error> {
        let step_ms = whole_ms(step)?;
        if let Some(index) = samples.iter().position(|(_, y)| y.is_infinite()) {
            return Err(Error::Value { index });
        }
        let sorted = sorted(samples);
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
            return Err(Error::NoSamples);
        };
        let is_count = aggregate == Aggregate::Count;
        let middle = instant_of_samples(&sorted, step_ms).filter(|_| !is_count);
        // Where samples lie in the middle of their steps, the series tells the samples' own instants.
        let shown = middle.map_or(0, |_| step_ms / 2);
        let phase = i128::from(middle.map_or(0, |middle| middle - shown));
        let slot = |at: i64| (i128::from(at) - phase).div_euclid(i128::from(step_ms));
        let (base, steps) = (slot(first.0), slot(last.0) - slot(first.0) + 1);
        if steps > STEPS_MAX as i128 {
            let steps = steps as u128;
            return Err(Error::TooLong { steps, step });
        }
        let empty = if is_count { 0.0 } else { f64::NAN };
        let mut values = vec![empty; steps as usize];
        let mut in_slot = Vec::new();
        for chunk in sorted.chunk_by(|a, b| slot(a.0) == slot(b.0)) {
            in_slot.clear();
            in_slot.extend(chunk.iter().map(|(_, y)| *y));
            values[(slot(chunk[0].0) - base) as usize] = aggregate.of(&in_slot);
        }
        let start_ms = base * i128::from(step_ms) + phase + i128::from(shown);
        let start_ms = i64::try_from(start_ms).map_err(|_| Error::Instant { at_ms: first.0 })?;
        Self::new(start_ms, step, values)
    }
}

/// The step that samples seem to come at: the median distance of neighbouring instants, at whole seconds where that is
/// within a hundredth. Samples without a value count as well. `None` for fewer than two instants.
///
/// Callers tell it to whoever reads the result: a guess that nobody sees is how a chart comes to have a wrong axis.
pub fn guess_step(samples: &[(i64, f64)]) -> Option<Duration> {
    let mut instants: Vec<i64> = samples.iter().map(|(at, _)| *at).collect();
    if !instants.is_sorted() {
        instants.sort_unstable();
    }
    let median_ms = median_distance_ms(&instants)?;
    let seconds_ms = ((median_ms / 1_000) + (median_ms % 1_000) / 500).saturating_mul(1_000);
    let is_close = seconds_ms.abs_diff(median_ms) <= median_ms / 100;
    Some(Duration::from_millis(if is_close {
        seconds_ms
    } else {
        median_ms
    }))
}

/// Those that have a value, oldest first; equal instants stay in the order given.
fn sorted(samples: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut sorted: Vec<_> = samples.iter().copied().filter(|(_, y)| !y.is_nan()).collect();
    if !sorted.is_sorted_by_key(|(at, _)| *at) {
        sorted.sort_by_key(|(at, _)| *at);
    }
    sorted
}

fn median_distance_ms(sorted: &[i64]) -> Option<u64> {
    let distances = sorted.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
    let mut distances: Vec<u64> = distances.filter(|distance| *distance > 0).collect();
    if distances.is_empty() {
        return None;
    }
    let middle = (distances.len() - 1) / 2;
    Some(*distances.select_nth_unstable(middle).1)
}

/// Where in a step samples come that come about one a step, in milliseconds from multiples of it.
///
/// About one a step: three of four distances are within a quarter of the step. That is so for measurements, and not
/// for single events such as requests.
fn instant_of_samples(sorted: &[(i64, f64)], step_ms: i64) -> Option<i64> {
    let is_about_a_step = |pair: &&[(i64, f64)]| {
        let distance = i128::from(pair[1].0.abs_diff(pair[0].0));
        (distance - i128::from(step_ms)).abs() * 4 <= i128::from(step_ms)
    };
    let regular = sorted.windows(2).filter(is_about_a_step).count();
    if regular == 0 || regular * 4 < (sorted.len() - 1) * 3 {
        return None;
    }
    // Each is measured from the opposite of the first one's, so that those about it do not wrap around.
    let cut = sorted[0].0.rem_euclid(step_ms) - step_ms / 2;
    let mut instants: Vec<i64> = sorted
        .iter()
        .map(|(at, _)| (at.rem_euclid(step_ms) - cut).rem_euclid(step_ms))
        .collect();
    let middle = (instants.len() - 1) / 2;
    let median = *instants.select_nth_unstable(middle).1;
    Some((median + cut).rem_euclid(step_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_and_a_step_without_any_is_0() {
        let at_ms = [-1_i64, 0, 999, 3_000, 3_000, 3_001];
        let mut samples: Vec<(i64, f64)> = at_ms.iter().map(|&at| (at, 7.0)).collect();
        samples.push((2_500, f64::NAN));
        let series = Series::from_samples(&samples, Duration::from_secs(1), Aggregate::Count).unwrap();
        assert_eq!(series.start_ms(), -1_000);
        assert_eq!(series.values(), [1.0, 2.0, 0.0, 0.0, 3.0]);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn values(samples: &[(i64, f64)], step: Duration, aggregate: Aggregate) -> Vec<Option<f64>> {
        Series::from_samples(samples, step, aggregate)
            .unwrap()
            .iter()
            .collect()
    }

    #[test]
    fn samples_of_one_step_are_aggregated_in_any_order() {
        // Two at one instant: the later given is the last.
        let samples = [
            (5_300, 6.0),
            (100, 2.0),
            (900, 4.0),
            (2_500, f64::NAN),
            (100, 9.0),
            (900, 5.0),
        ];
        for (aggregate, first) in [
            (Aggregate::Mean, 5.0),
            (Aggregate::Sum, 20.0),
            (Aggregate::Max, 9.0),
            (Aggregate::Last, 5.0),
        ] {
            let expected = [Some(first), None, None, None, None, Some(6.0)];
            assert_eq!(values(&samples, SECOND, aggregate), expected, "{aggregate:?}");
        }
    }

    #[test]
    fn jitter_about_one_sample_a_step_neither_doubles_nor_drops_any() {
        let samples: Vec<(i64, f64)> = (0..200)
            .map(|i| (60_000 * i + [0, -20, 35, -400, 900][i as usize % 5], i as f64))
            .collect();
        let step = guess_step(&samples).unwrap();
        assert_eq!(step, Duration::from_secs(60));
        let series = Series::from_samples(&samples, step, Aggregate::Mean).unwrap();
        assert_eq!((series.len(), series.missing()), (200, 0));
        assert_eq!(series.values()[17], 17.0);
        assert!(series.start_ms().abs() <= 20, "{}", series.start_ms());
    }

    #[test]
    fn regular_samples_keep_their_instants() {
        for (start, step_s) in [(240_000, 300), (-86_400_000, 60), (1_500, 1), (7, 1)] {
            let step = Duration::from_secs(step_s);
            let at = |i: i64| start + i * 1_000 * step_s as i64;
            let samples: Vec<_> = (0..5).map(|i| (at(i), i as f64)).collect();
            let series = Series::from_samples(&samples, step, Aggregate::Mean).unwrap();
            assert_eq!(series.values(), [0.0, 1.0, 2.0, 3.0, 4.0], "{start}");
            assert_eq!(series.start_ms(), start);
        }
    }

    #[test]
    fn nothing_too_long_and_infinities_are_refused_before_anything_is_allocated() {
        let sum = Series::from_samples(&[(1, 1e308), (2, 1e308)], SECOND, Aggregate::Sum);
        for (result, error) in [
            (
                Series::from_samples(&[], SECOND, Aggregate::Mean),
                Error::NoSamples,
            ),
            (
                Series::from_samples(&[(0, f64::NAN)], SECOND, Aggregate::Mean),
                Error::NoSamples,
            ),
            (
                Series::from_samples(&[(0, 1.0), (0, f64::INFINITY)], SECOND, Aggregate::Mean),
                Error::Value { index: 1 },
            ),
            (sum, Error::Value { index: 0 }),
        ] {
            assert_eq!(result.unwrap_err(), error);
        }
        let far = Series::from_samples(&[(i64::MIN, 1.0), (i64::MAX, 1.0)], SECOND, Aggregate::Mean);
        assert!(matches!(far, Err(Error::TooLong { .. })), "{far:?}");
    }

    #[test]
    fn a_step_is_guessed_from_distinct_instants_only() {
        assert_eq!(guess_step(&[]), None);
        assert_eq!(guess_step(&[(3, 1.0), (3, 2.0)]), None);
        for (at, step_ms) in [
            (vec![0, 0, 5_003, 10_007, 15_001, 600_000], 5_000),
            (vec![0, 10, 20, 31], 10),
            (vec![i64::MIN, i64::MAX], u64::MAX),
        ] {
            let samples: Vec<_> = at.iter().map(|&at| (at, 1.0)).collect();
            assert_eq!(
                guess_step(&samples),
                Some(Duration::from_millis(step_ms)),
                "{at:?}"
            );
        }
    }
}

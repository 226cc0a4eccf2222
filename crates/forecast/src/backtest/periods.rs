//! Which period the seasonal naive forecast has.

use std::time::Duration;

use super::{Options, options::usable_periods};
use crate::series::Series;

/// Periods that are tried at most.
pub(super) const PERIODS_MAX: usize = 16;

/// An hour, a day and a week in steps, where they are whole numbers of at least two.
///
/// Load follows people, and people follow the clock; where something else repeats, add its period.
pub fn calendar_periods(step: Duration) -> Vec<usize> {
    let seconds = [3_600, 86_400, 7 * 86_400].map(Duration::from_secs);
    let whole = |period: Duration| {
        let (period, step) = (period.as_nanos(), step.as_nanos().max(1));
        (period % step == 0 && period / step > 1).then_some(period / step)
    };
    seconds
        .into_iter()
        .filter_map(whole)
        .filter_map(|steps| usize::try_from(steps).ok())
        .collect()
}

/// The period with the lowest mean absolute difference of values one period apart.
pub(super) fn best(series: &Series, options: &Options) -> Option<usize> {
    usable_periods(options, series.len())
        .filter_map(|period| Some((period, mean_difference(series.values(), period)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(period, _)| period)
}

/// Mean `|y[t] - y[t - lag]|` where both are there.
pub(super) fn mean_difference(values: &[f64], lag: usize) -> Option<f64> {
    let pairs = values.get(lag..)?.iter().zip(values);
    let differences = pairs
        .map(|(y, before)| (y - before).abs())
        .filter(|d| !d.is_nan());
    let (count, sum) = differences.fold((0_usize, 0.0), |(count, sum), d| (count + 1, sum + d));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_periods_are_whole_steps() {
        for (step_s, periods) in [
            (60, vec![60, 1_440, 10_080]),
            (300, vec![12, 288, 2_016]),
            (3_600, vec![24, 168]),
            (7_000, vec![]),
            (86_400, vec![7]),
            (604_800, vec![]),
        ] {
            assert_eq!(
                calendar_periods(Duration::from_secs(step_s)),
                periods,
                "{step_s} s"
            );
        }
        assert!(calendar_periods(Duration::ZERO).iter().all(|period| *period > 1));
    }

    #[test]
    fn the_best_period_in_hindsight_is_taken_and_none_longer_than_a_third() {
        let values = (0..300).map(|t| f64::from(t % 24)).collect();
        let series = Series::new(0, Duration::from_secs(3_600), values).unwrap();
        let options = |periods: &[usize]| Options {
            periods: periods.to_vec(),
            ..Options::new(1)
        };
        assert_eq!(best(&series, &options(&[12, 24, 23])), Some(24));
        assert_eq!(best(&series, &options(&[0, 1, 101, usize::MAX])), None);
    }
}

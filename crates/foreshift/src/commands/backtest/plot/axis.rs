//! The axis of time: ticks at round instants, labelled in as few characters as tell them apart.

use std::ops::Range;

use foreshift_forecast::series::Series;
use jiff::Timestamp;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// Steps of a series from left to right.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    range: Range<f64>,
    /// Step and label.
    ticks: Vec<(f64, String)>,
}

const TICKS_MAX: i64 = 10;
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const DISTANCES_MS: [i64; 26] = [
    1,
    10,
    100,
    500,
    SECOND,
    5 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    364 * DAY,
    3_640 * DAY,
];

impl Axis {
    /// Over a stretch of a series.
    pub(super) fn new(series: &Series, stretch: &Range<usize>, has_times: bool) -> Self {
        let step_ms = series.step().as_millis() as i64;
        let (from_ms, to_ms) = (series.at_ms(stretch.start), series.at_ms(stretch.end));
        let length = to_ms.saturating_sub(from_ms);
        let fits = DISTANCES_MS
            .iter()
            .find(|distance| length / **distance < TICKS_MAX);
        let distance = fits.copied().unwrap_or(length.max(1));
        let first = from_ms
            .div_euclid(distance)
            .saturating_add(1)
            .saturating_mul(distance);
        let instants = (0..=TICKS_MAX).map(|i| first.saturating_add(i * distance));
        let start = stretch.start as f64;
        let tick = |at_ms: i64| {
            let at = start + (at_ms - from_ms) as f64 / step_ms as f64;
            (
                at,
                if has_times {
                    label(at_ms, distance)
                } else {
                    format!("{at:.0}")
                },
            )
        };
        Self {
            range: start..(stretch.end as f64),
            ticks: instants.take_while(|at_ms| *at_ms < to_ms).map(tick).collect(),
        }
    }
}

fn label(at_ms: i64, distance: i64) -> String {
    let format = match distance {
        distance if distance >= 28 * DAY => "%Y-%m-%d",
        distance if distance >= DAY => "%m-%d",
        distance if distance >= MINUTE => "%m-%d %H:%M",
        distance if distance >= SECOND => "%H:%M:%S",
        _ => "%H:%M:%S%.3f",
    };
    let at = Timestamp::from_millisecond(at_ms);
    at.map_or_else(|_| String::new(), |at| at.strftime(format).to_string())
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start).max(1.0);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(at, _)| at == value);
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ticks_are_at_round_instants() {
        for (start_ms, step_s, steps, labels) in [
            (
                90 * MINUTE,
                60,
                600,
                vec![
                    "01-01 02:00",
                    "01-01 04:00",
                    "01-01 06:00",
                    "01-01 08:00",
                    "01-01 10:00",
                ],
            ),
            (
                0,
                300,
                288 * 3,
                vec![
                    "01-01 12:00",
                    "01-02 00:00",
                    "01-02 12:00",
                    "01-03 00:00",
                    "01-03 12:00",
                ],
            ),
        ] {
            let series = Series::new(start_ms, Duration::from_secs(step_s), vec![0.0; steps]).unwrap();
            let axis = Axis::new(&series, &(0..steps), true);
            let shown: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
            assert_eq!(shown, labels);
        }
    }

    #[test]
    fn any_series_has_an_axis() {
        for (start_ms, step_s, steps) in [(i64::MIN, 86_400, 3), (0, 31_622_400, 5_000), (5, 1, 1)] {
            let series = Series::new(start_ms, Duration::from_secs(step_s), vec![0.0; steps]).unwrap();
            let axis = Axis::new(&series, &(0..steps), false);
            assert!(axis.ticks.len() <= 11, "{axis:?}");
        }
    }
}

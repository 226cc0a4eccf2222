//! What makes a file look other than it was taken for: times that occur again, and values that never fall.
//!
//! Both give figures like any others, and both are common: a file with a row per host and time, and the counters that
//! servers export. Nothing is put right unasked, since an average may be meant and a load may grow; it is told.

use anyhow::{Result, bail};
use foreshift_forecast::series::Series;

use super::{How, Reading, duration};

/// Rises from which on values that never fall are more likely a counter than a load that happened to grow.
const RISES_MIN: usize = 10;

/// Tells of times that occur more than once, unless the command line says what is to become of them.
pub(super) fn repeated(samples: &[(i64, f64)], reading: &Reading) -> Option<String> {
    let taken = match (reading.rate, reading.aggregate) {
        (true, _) => "the last of each was taken",
        (false, How::Mean) => "their mean was taken (--aggregate)",
        (false, _) => return None,
    };
    let present = samples.iter().filter(|(_, y)| !y.is_nan());
    let mut at_ms: Vec<i64> = present.map(|(at, _)| *at).collect();
    at_ms.sort_unstable();
    let times = at_ms.chunk_by(|a, b| a == b).filter(|same| same.len() > 1);
    let what = match times.count() {
        0 => return None,
        1 => "1 time occurs".to_owned(),
        count => format!("{count} times occur"),
    };
    Some(format!(
        "{what} more than once; {taken}. A file of several hosts must be split or made wide"
    ))
}

/// The rises of a counter where they are asked for; else the series as it is, with a note where it looks like one.
pub(super) fn counted(series: Series, reading: &Reading, notes: &mut Vec<String>) -> Result<Series> {
    if reading.rate {
        return rises(&series, notes);
    }
    if reading.aggregate != How::Count && never_falls(&series) {
        let note = "the values never fall: if this is a counter, take its rises instead, by --rate";
        notes.push(note.to_owned());
    }
    Ok(series)
}

fn never_falls(series: &Series) -> bool {
    let present: Vec<f64> = series.iter().flatten().collect();
    let rises = present.windows(2).filter(|pair| pair[0] < pair[1]).count();
    rises >= RISES_MIN && present.is_sorted()
}

/// From step to step, so one fewer; missing where either end is, and where the counter fell.
fn rises(counter: &Series, notes: &mut Vec<String>) -> Result<Series> {
    if counter.len() < 2 {
        bail!(
            "--rate needs a counter of two steps or more, this one has {}",
            counter.len()
        );
    }
    let mut falls = 0;
    let mut values = Vec::with_capacity(counter.len() - 1);
    for pair in counter.values().windows(2) {
        let fell = pair[1] < pair[0];
        falls += usize::from(fell);
        values.push(if fell { f64::NAN } else { pair[1] - pair[0] });
    }
    notes.push(format!(
        "the values are how much the counter rose in each step of {}",
        duration::show(counter.step())
    ));
    if falls > 0 {
        let what = if falls == 1 { "step" } else { "steps" };
        notes.push(format!("the counter fell in {falls} {what}, taken as missing"));
    }
    Ok(Series::new(counter.at_ms(1), counter.step(), values)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reading(aggregate: How, rate: bool) -> Reading {
        Reading {
            column: None,
            time_column: None,
            zone: "UTC".into(),
            step: None,
            aggregate,
            rate,
        }
    }

    #[test]
    fn times_that_occur_again_are_told_unless_it_was_said_what_becomes_of_them() {
        let samples = [
            (0, 1.0),
            (1_000, 2.0),
            (0, 3.0),
            (2_000, f64::NAN),
            (2_000, 4.0),
            (0, 5.0),
        ];
        let note = repeated(&samples, &reading(How::Mean, false)).unwrap();
        assert!(
            note.starts_with("1 time occurs more than once; their mean"),
            "{note}"
        );
        let note = repeated(&samples, &reading(How::Mean, true)).unwrap();
        assert!(note.contains("the last of each"), "{note}");
        for how in [How::Sum, How::Max, How::Last, How::Count] {
            assert_eq!(repeated(&samples, &reading(how, false)), None, "{how:?}");
        }
        assert_eq!(repeated(&samples[..2], &reading(How::Mean, false)), None);
    }

    #[test]
    fn values_that_never_fall_are_told_to_look_like_a_counter() {
        let told = |values: Vec<f64>| {
            let mut notes = Vec::new();
            let series = Series::new(0, SECOND, values).unwrap();
            counted(series, &reading(How::Mean, false), &mut notes).unwrap();
            notes.concat().contains("--rate")
        };
        let counter: Vec<f64> = (0..40).map(|t| f64::from(t / 2)).collect();
        let with = |index: usize, value: f64| {
            let mut values = counter.clone();
            values[index] = value;
            values
        };
        assert!(told(counter.clone()));
        assert!(told(with(7, f64::NAN)));
        assert!(!told(with(7, 0.0)), "it fell");
        assert!(!told(vec![3.0; 40]), "it stood still");
        assert!(!told(vec![1.0, 2.0, 3.0]), "too few to tell");
        assert!(!told(Vec::new()));
    }

    #[test]
    fn a_counter_rises_by_differences_and_falls_and_gaps_are_missing() {
        let values = vec![10.0, 12.0, 12.0, 1.0, 4.0, f64::NAN, 9.0, 11.0];
        let series = Series::new(5_000, SECOND, values).unwrap();
        let mut notes = Vec::new();
        let rises = counted(series, &reading(How::Mean, true), &mut notes).unwrap();
        assert_eq!(rises.start_ms(), 6_000);
        let expected = [Some(2.0), Some(0.0), None, Some(3.0), None, None, Some(2.0)];
        assert_eq!(rises.iter().collect::<Vec<_>>(), expected);
        assert!(notes[1].contains("fell in 1 step,"), "{notes:?}");
        let one = Series::new(0, SECOND, vec![1.0]).unwrap();
        assert!(counted(one, &reading(How::Mean, true), &mut notes).is_err());
    }
}

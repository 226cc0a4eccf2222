//! Which threshold to ask of instead, where the one given tells nothing.

use super::{
    EarlyWarning,
    tally::{Events, Phase},
};

/// Fewer overloads tell nothing.
pub(super) const OVERLOADS_MIN: u64 = 3;
/// What load is above for longer is no threshold of overloads.
pub(super) const ABOVE_MAX: f64 = 0.75;
/// So many tell something.
const OVERLOADS_WANTED: u64 = 10;
/// Shares of the values that are tried, the rarest overloads first.
const QUANTILES: [f64; 8] = [0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.75];

/// A threshold that as few values as possible are above, but in ten overloads; else the one with most, of three or more.
///
/// `sorted` are `values` without missing ones, rising; `rest` as in [`Events`].
pub(super) fn threshold(values: &[f64], sorted: &[f64], rest: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let mut best = None;
    for quantile in QUANTILES {
        let level = sorted[(quantile * last as f64) as usize];
        let found = overloads(values, level, rest);
        if found > best.map_or(OVERLOADS_MIN - 1, |(most, _)| most) {
            best = Some((found, level));
        }
        if found >= OVERLOADS_WANTED {
            break;
        }
    }
    best.map(|(_, level)| level)
}

/// Why overloads above this threshold tell nothing, and which threshold would; absent where they do.
pub(super) fn wanting(warning: &EarlyWarning) -> Option<String> {
    let is_mostly_above = warning.is_mostly_above();
    if warning.has_enough() && !is_mostly_above {
        return None;
    }
    let threshold = figures(warning.threshold);
    let wrong = if is_mostly_above {
        let percent = (warning.above_share * 100.0).floor();
        format!("the load is above {threshold} for {percent} % of the time, which is no overload then")
    } else {
        let highest = figures(warning.highest);
        let found = match warning.overloads {
            0 => format!("there was no overload; the highest value is {highest}"),
            1 => format!("there was 1 overload, up to {highest}"),
            count => format!("there were {count} overloads, up to {highest}"),
        };
        format!("{found}; at least {OVERLOADS_MIN} overloads are needed")
    };
    Some(match warning.suggestion {
        Some(level) => {
            let direction = if level > warning.threshold {
                "higher"
            } else {
                "lower"
            };
            format!(
                "{wrong}. Give a {direction} threshold, such as {}",
                figures(level)
            )
        }
        None if is_mostly_above => format!("{wrong}. Give a higher threshold"),
        None => format!("{wrong}. Give a longer history"),
    })
}

/// Four significant figures.
fn figures(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e7).contains(&size) => format!("{value:.3e}"),
        size if size >= 1e3 => format!("{value:.0}"),
        size => {
            let decimals = (3.0 - size.log10().floor()).max(0.0) as usize;
            let shown = format!("{value:.decimals$}");
            shown.trim_end_matches('0').trim_end_matches('.').into()
        }
    }
}

fn overloads(values: &[f64], threshold: f64, rest: usize) -> u64 {
    let mut events = Events::new(threshold, rest);
    let known = |y: &f64| (!y.is_nan()).then_some(*y);
    let phases = values.iter().map(|y| events.observe(known(y)));
    phases.filter(|phase| *phase == Phase::Begins).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[f64]) -> Option<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        threshold(values, &sorted, 2)
    }

    #[test]
    fn the_threshold_is_the_highest_with_ten_overloads() {
        // Every hundredth value is high: 1,000 and more in eleven places, 500 in ninety.
        let height = |t: usize| match t % 900 {
            0 => 1_000.0 + t as f64,
            at if at % 100 == 0 => 500.0,
            at => (at % 7) as f64,
        };
        let values: Vec<f64> = (1..10_800).map(height).collect();
        assert_eq!(found(&values), Some(500.0));
    }

    #[test]
    fn load_that_stands_still_or_only_rises_has_none() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[4.0; 100]), None);
        assert_eq!(found(&(0..100).map(f64::from).collect::<Vec<_>>()), None);
    }
}

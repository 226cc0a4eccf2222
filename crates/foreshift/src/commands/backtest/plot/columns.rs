//! A series thinned to what a picture's columns can show: the lowest and highest value of each.
//!
//! Taking every hundredth value would lose the very peaks that a picture is looked at for.

use std::ops::Range;

/// The lowest and highest value within a column; the step at its middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    pub(super) at: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The columns of a stretch in which `values` has any, at most `count`, in runs without a gap.
pub(super) fn runs(values: &[f64], stretch: Range<usize>, count: usize) -> Vec<Vec<Column>> {
    let mut runs: Vec<Vec<Column>> = vec![Vec::new()];
    for range in split(stretch, count) {
        let column = column(values, range);
        match (column, runs.last_mut()) {
            (Some(column), Some(run)) => run.push(column),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The stretch in at most `count` parts, none of them empty.
pub(super) fn split(stretch: Range<usize>, count: usize) -> impl Iterator<Item = Range<usize>> {
    let (start, length) = (stretch.start, stretch.len());
    let count = count.clamp(1, length.max(1));
    let edge = move |part: usize| start + (part as u128 * length as u128 / count as u128) as usize;
    (0..count)
        .map(move |part| edge(part)..edge(part + 1))
        .filter(|range| !range.is_empty())
}

fn column(values: &[f64], range: Range<usize>) -> Option<Column> {
    let at = (range.start as f64 + (range.end - 1) as f64) / 2.0;
    let known = values[range].iter().copied().filter(|y| !y.is_nan());
    let bounds = known.fold(None, |bounds: Option<(f64, f64)>, y| {
        let (low, high) = bounds.unwrap_or((y, y));
        Some((low.min(y), high.max(y)))
    });
    bounds.map(|(low, high)| Column { at, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_survive_thinning_and_gaps_part_runs() {
        let mut values = vec![1.0; 1_000];
        values[503] = 9.0;
        values[700..800].fill(f64::NAN);
        let runs = runs(&values, 0..1_000, 50);
        assert_eq!(runs.len(), 2);
        let highest = runs[0].iter().map(|column| column.high).fold(0.0, f64::max);
        assert_eq!(highest, 9.0);
        assert_eq!(runs[0].len() + runs[1].len(), 45);
    }

    #[test]
    fn a_short_stretch_has_a_column_a_step() {
        let values = [1.0, f64::NAN, 3.0, 4.0];
        let runs = runs(&values, 0..4, 100);
        let at: Vec<Vec<f64>> = runs
            .iter()
            .map(|run| run.iter().map(|column| column.at).collect())
            .collect();
        assert_eq!(at, [vec![0.0], vec![2.0, 3.0]]);
        assert!(super::runs(&values, 4..4, 100).is_empty());
    }
}

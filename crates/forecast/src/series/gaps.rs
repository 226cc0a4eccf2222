//! Gaps filled, for models that cannot do without, and marked.

use super::{Error, Series};

/// Values without gaps, and which of them were not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// One finite value a step.
    pub values: Vec<f64>,
    /// One element a step: true where nothing was measured.
    pub is_filled: Vec<bool>,
}

impl Series {
    /// The values with gaps filled: in a straight line between two that were measured, with the nearest at the ends.
    ///
    /// [`Error::AllMissing`] where there is nothing to fill from.
    pub fn filled(&self) -> Result<Filled, Error> {
        let is_filled: Vec<bool> = self.values.iter().map(|y| y.is_nan()).collect();
        let mut values = self.values.clone();
        let Some(first) = is_filled.iter().position(|filled| !filled) else {
            return Err(Error::AllMissing { steps: values.len() });
        };
        let lead = values[first];
        values[..first].fill(lead);
        let mut known = first;
        for next in (first + 1)..values.len() {
            if !is_filled[next] {
                fill_between(&mut values[known..=next]);
                known = next;
            }
        }
        let last = values[known];
        values[known..].fill(last);
        Ok(Filled { values, is_filled })
    }
}

/// A straight line from the first to the last element.
fn fill_between(values: &mut [f64]) {
    let [first, between @ .., last] = values else {
        return;
    };
    let steps = (between.len() + 1) as f64;
    for (i, y) in between.iter_mut().enumerate() {
        // Two products rather than one difference, which overflows between the largest numbers.
        let share = (i + 1) as f64 / steps;
        *y = *first * (1.0 - share) + *last * share;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn series(values: &[f64]) -> Series {
        Series::new(0, Duration::from_secs(1), values.to_vec()).unwrap()
    }

    #[test]
    fn gaps_are_filled_in_a_line_between_and_with_the_nearest_at_the_ends() {
        let nan = f64::NAN;
        let filled = series(&[nan, nan, 2.0, nan, nan, 8.0, 7.0, nan])
            .filled()
            .unwrap();
        assert_eq!(filled.values, [2.0, 2.0, 2.0, 4.0, 6.0, 8.0, 7.0, 7.0]);
        let marks = filled.is_filled.iter().map(|&filled| u8::from(filled));
        assert_eq!(marks.collect::<Vec<_>>(), [1, 1, 0, 1, 1, 0, 0, 1]);
    }

    #[test]
    fn nothing_is_filled_from_nothing_and_everything_from_one() {
        let nan = f64::NAN;
        assert_eq!(series(&[nan; 3]).filled(), Err(Error::AllMissing { steps: 3 }));
        assert_eq!(series(&[]).filled(), Err(Error::AllMissing { steps: 0 }));
        assert_eq!(series(&[nan, 5.0, nan]).filled().unwrap().values, [5.0; 3]);
        let extreme = series(&[f64::MAX, nan, f64::MIN]).filled().unwrap();
        assert!(extreme.values.iter().all(|y| y.is_finite()), "{extreme:?}");
    }
}

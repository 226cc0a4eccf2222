//! How far what came was from what was told, on windows that were not learned from.

use crate::normal;

/// Probabilities whose offsets are kept.
pub(super) const PROBABILITIES: [f64; 15] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99,
];
const KNOTS: usize = PROBABILITIES.len();
const MIDDLE: usize = KNOTS / 2;

/// For each step ahead the quantiles of the errors, in units of the window's spread.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    /// Horizon × knots.
    pub(super) offsets: Vec<f32>,
}

impl Spread {
    /// From the errors at each step ahead; where there are none the offsets are zero.
    pub(super) fn measure(errors: &mut [Vec<f32>]) -> Self {
        let mut offsets = Vec::with_capacity(errors.len() * KNOTS);
        for errors in errors {
            errors.sort_by(f32::total_cmp);
            offsets.extend(PROBABILITIES.map(|q| at(errors, q)));
        }
        Self { offsets }
    }

    /// A step ahead at which a higher quantile lies under a lower one.
    pub(super) fn crossing(&self) -> Option<usize> {
        self.offsets
            .chunks_exact(KNOTS)
            .position(|knots| !knots.is_sorted())
    }

    /// The offset of quantile `q` at step `h`, from 0: straight between the knots over the normal distribution's
    /// quantiles, and beyond them as far out as there.
    pub(super) fn offset(&self, h: usize, q: f64) -> f64 {
        let Some(knots) = self.offsets.get(h * KNOTS..(h + 1) * KNOTS) else {
            return 0.0;
        };
        let (knot, z) = (|i: usize| f64::from(knots[i]), normal::quantile(q));
        let place = |i: usize| normal::quantile(PROBABILITIES[i]);
        let beyond = |end: usize| knot(MIDDLE) + (knot(end) - knot(MIDDLE)) * z / place(end);
        match PROBABILITIES.partition_point(|&p| p < q) {
            0 => beyond(0),
            KNOTS => beyond(KNOTS - 1),
            right => {
                let share = (z - place(right - 1)) / (place(right) - place(right - 1));
                knot(right - 1) + share * (knot(right) - knot(right - 1))
            }
        }
    }
}

/// The `q` quantile of sorted values.
fn at(sorted: &[f32], q: f64) -> f32 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = q * last as f64;
    let (left, share) = (place.floor() as usize, place.fract() as f32);
    let right = (left + 1).min(last);
    sorted[left] + share * (sorted[right] - sorted[left])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_normal_errors_are_those_of_the_normal_distribution_also_beyond_the_knots() {
        let normal_errors = (1..20_000).map(|i| normal::quantile(f64::from(i) / 20_000.0) as f32);
        let spread = Spread::measure(&mut [normal_errors.collect()]);
        assert_eq!(spread.crossing(), None);
        let mut below = f64::NEG_INFINITY;
        for i in 1..1_000 {
            let q = f64::from(i) / 1_000.0;
            let offset = spread.offset(0, q);
            assert!((offset - normal::quantile(q)).abs() < 0.01, "{q}: {offset}");
            assert!(offset >= below, "{q}");
            below = offset;
        }
    }
}

//! The size in which a series is computed.

/// A power of two that the series is divided by, 1 for series of everyday size.
///
/// The pool keeps differences in two bytes and sums in four, and takes a loss under 1e-9 as none: harmless for what is
/// of everyday size, at 1e-6 every model would be as good as any other, at 1e-300 all would be 0. Dividing by a power
/// of two loses nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitOfSeries {
    size: f64,
    is_known: bool,
}

/// Sizes between these need no unit.
const EVERYDAY: std::ops::Range<f64> = 1e-2..1e9;
/// A value so many units large asks for a larger unit.
const UNITS_MAX: f64 = 1e15;

impl Default for UnitOfSeries {
    fn default() -> Self {
        Self {
            size: 1.0,
            is_known: false,
        }
    }
}

impl UnitOfSeries {
    /// True where this value is the first with a size of its own, or too large for the unit.
    pub(super) fn is_outgrown(self, y: f64) -> bool {
        y != 0.0 && ((!self.is_known && !EVERYDAY.contains(&y.abs())) || y.abs() / self.size > UNITS_MAX)
    }

    /// Takes the unit from this value, which is not 0.
    pub(super) fn grow(&mut self, y: f64) {
        self.is_known = true;
        self.size = y.abs().log2().floor().clamp(-1_022.0, 1_022.0).exp2();
    }

    /// From the series' unit.
    pub(super) fn shrink(self, y: f64) -> f64 {
        y / self.size
    }

    /// To the series' unit.
    pub(super) fn restore(self, y: f64) -> f64 {
        (y * self.size).clamp(f64::MIN, f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_and_a_huge_series_get_a_unit_and_an_everyday_one_none() {
        for (y, is_outgrown) in [(0.0, false), (1e-300, true), (42.0, false), (-3e80, true)] {
            let mut unit = UnitOfSeries::default();
            assert_eq!(unit.is_outgrown(y), is_outgrown, "{y}");
            if is_outgrown {
                unit.grow(y);
                assert!((1.0..2.0).contains(&unit.shrink(y).abs()), "{y}");
                assert_eq!(unit.restore(unit.shrink(y)), y);
                assert!(!unit.is_outgrown(y));
            }
        }
    }
}

//! Numbers in two bytes, for what is kept many times over and judged by its size alone.

/// The upper half of a single-precision number, rounded: its range, and 8 bits of precision.
///
/// Only *differences* are kept so (a residual, how far a forecast lies from the load when it was made): there a
/// relative error of 0.4 % is far below what could be measured. Zero and NaN are exact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Half(u16);

impl Half {
    /// Stands for "none".
    pub(crate) const NAN: Self = Self(0x7FC0);

    pub(crate) fn new(x: f64) -> Self {
        if x.is_nan() {
            return Self::NAN;
        }
        // What rounds to infinity is brought back to the largest that fits.
        let bits = (x.clamp(-3e38, 3e38) as f32).to_bits();
        Self(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16)
    }

    pub(crate) fn get(self) -> f64 {
        f64::from(f32::from_bits(u32::from(self.0) << 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_nan_and_the_ends_are_kept() {
        assert_eq!(Half::new(0.0).get(), 0.0);
        assert!(Half::new(f64::NAN).get().is_nan() && Half::NAN.get().is_nan());
        for x in [f64::INFINITY, f64::MAX, 1e300] {
            assert!(Half::new(x).get() > 2e38 && Half::new(-x).get() < -2e38);
            assert!(Half::new(x).get().is_finite());
        }
    }

    proptest! {
        #[test]
        fn rounding_is_relative_and_keeps_the_order(x in -1e30..1e30_f64, y in -1e30..1e30_f64) {
            prop_assert!((Half::new(x).get() - x).abs() <= x.abs() / 255.0);
            prop_assert!(x > y || Half::new(x).get() <= Half::new(y).get());
        }
    }
}

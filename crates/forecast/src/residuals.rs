//! The newest errors of a forecast, kept sorted.

use crate::half::Half;

/// A window of the newest residuals with their order, so that any quantile is a look-up.
///
/// Errors many steps ahead overlap in time and are much alike: to learn as much from them takes a longer time. A full
/// window may therefore take only each `stride`-th residual.
#[derive(Debug, Clone)]
pub(crate) struct Residuals {
    capacity: usize,
    stride: u32,
    offered: u32,
    /// By arrival.
    ring: Vec<Half>,
    /// By rising value.
    sorted: Vec<Half>,
    next: usize,
}

/// Neighbouring errors so many steps ahead are taken as one more step alike.
const STEPS_ALIKE: u32 = 8;
/// Errors further ahead are no more spread out: the window would span too long a time.
const STEPS_TOLD_APART_MAX: usize = 64;

impl Residuals {
    /// The newest `capacity` (1 or more), every one of them.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            stride: 1,
            offered: 0,
            ring: Vec::new(),
            sorted: Vec::new(),
            next: 0,
        }
    }

    /// Spread out as is worth it for errors of forecasts `steps_ahead`.
    pub(crate) fn spread(capacity: usize, steps_ahead: usize) -> Self {
        let stride = 1 + steps_ahead.min(STEPS_TOLD_APART_MAX) as u32 / STEPS_ALIKE;
        // A fixed amount of memory from the start: there is one of these for each node.
        Self {
            stride,
            ring: Vec::with_capacity(capacity),
            sorted: Vec::with_capacity(capacity),
            ..Self::new(capacity)
        }
    }

    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.sorted.clear();
        self.next = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes a residual; the oldest one goes when the window is full. NaN is not taken.
    pub(crate) fn push(&mut self, residual: f64) {
        if residual.is_nan() {
            return;
        }
        self.offered = self.offered.wrapping_add(1);
        let is_full = self.ring.len() == self.capacity;
        if is_full && !self.offered.is_multiple_of(self.stride) {
            return;
        }
        let residual = Half::new(residual);
        if is_full {
            let oldest = std::mem::replace(&mut self.ring[self.next], residual);
            let place = self.rank(oldest);
            self.sorted.remove(place);
        } else {
            self.ring.push(residual);
        }
        let place = self.rank(residual);
        self.sorted.insert(place, residual);
        self.next = (self.next + 1) % self.capacity;
    }

    /// How many of the sorted ones lie below.
    fn rank(&self, residual: Half) -> usize {
        self.sorted.partition_point(|r| r.get() < residual.get())
    }

    /// Drops what the last `offers` residuals left in the window: they belong to an event that is over.
    pub(crate) fn forget(&mut self, offers: usize) {
        let is_full = self.ring.len() == self.capacity;
        let left = if is_full {
            offers / self.stride as usize
        } else {
            offers
        };
        let kept = self.ring.len().saturating_sub(left);
        self.ring.rotate_left(if is_full { self.next } else { 0 });
        self.ring.truncate(kept);
        self.next = kept % self.capacity;
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.ring);
        self.sorted.sort_unstable_by(|a, b| a.get().total_cmp(&b.get()));
    }

    /// The value under which the share `level` (0 to 1) of residuals like these lies; 0 where there are none.
    ///
    /// Order statistic at `level × (n + 1)`, as conformal prediction has it. Beyond the outermost residual the tail is
    /// taken as exponential with the scale that the outermost residual suggests.
    pub(crate) fn quantile(&self, level: f64) -> f64 {
        let Some(last) = self.len().checked_sub(1) else {
            return 0.0;
        };
        let place = level * (last + 2) as f64 - 1.0;
        if place <= 0.0 {
            return self.sorted(0) + self.tail(self.sorted(0)) * place;
        }
        let below = place as usize;
        if below >= last {
            return self.sorted(last) + self.tail(self.sorted(last)) * (place - last as f64);
        }
        let low = self.sorted(below);
        low + (self.sorted(below + 1) - low) * (place - below as f64)
    }

    fn tail(&self, outermost: f64) -> f64 {
        let middle = self.sorted(self.len() / 2);
        (outermost - middle).abs() / (1.0 + self.len() as f64).ln()
    }

    fn sorted(&self, rank: usize) -> f64 {
        self.sorted[rank].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forgetting_drops_the_newest_and_the_window_fills_again() {
        for before in [30, 80, 117] {
            let mut residuals = Residuals::spread(80, 1);
            (0..before).for_each(|i| residuals.push(f64::from(i)));
            let kept = residuals.len() - 20;
            residuals.forget(20);
            assert_eq!(
                (residuals.len(), residuals.sorted(kept - 1)),
                (kept, f64::from(before - 21))
            );
            (0..20).for_each(|i| residuals.push(f64::from(1_000 + 8 * i)));
            assert_eq!((residuals.len(), residuals.sorted(kept)), (kept + 20, 1_000.0));
        }
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_the_middle_ones_lie_within_the_newest(
            all in prop::collection::vec(-1e6..1e6_f64, 1..300),
            capacity in 1..200_usize,
        ) {
            let mut residuals = Residuals::new(capacity);
            all.iter().for_each(|&r| residuals.push(r));
            let newest = &all[all.len().saturating_sub(capacity)..];
            let mut sorted: Vec<f64> = newest.iter().map(|&r| Half::new(r).get()).collect();
            sorted.sort_by(f64::total_cmp);
            let kept: Vec<f64> = (0..residuals.len()).map(|rank| residuals.sorted(rank)).collect();
            prop_assert_eq!(&kept, &sorted);
            let quantiles: Vec<f64> = (0..=100).map(|l| residuals.quantile(f64::from(l) / 100.0)).collect();
            prop_assert!(quantiles.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{:?}", quantiles);
        }
    }
}

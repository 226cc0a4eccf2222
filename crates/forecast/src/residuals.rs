//! The newest errors of a forecast, kept sorted.

/// A window of the newest residuals with their order, so that any quantile is a look-up.
///
/// Errors many steps ahead overlap in time and are much alike: to learn as much from them takes a longer time. A full
/// window therefore takes only each `stride`-th residual.
#[derive(Debug, Clone)]
pub(crate) struct Residuals {
    stride: u32,
    offered: u32,
    /// By arrival.
    ring: Vec<f32>,
    /// Indices into `ring`, by rising value.
    order: Vec<u8>,
    next: u8,
}

/// How many residuals are kept.
const CAPACITY: usize = 80;
/// Neighbouring errors so many steps ahead are taken as one more step alike.
const STEPS_ALIKE: u32 = 8;
/// Errors further ahead are no more spread out: the window would span too long a time.
const STEPS_TOLD_APART_MAX: usize = 64;

impl Residuals {
    /// For errors of forecasts `steps_ahead`.
    pub(crate) fn new(steps_ahead: usize) -> Self {
        Self {
            stride: 1 + steps_ahead.min(STEPS_TOLD_APART_MAX) as u32 / STEPS_ALIKE,
            offered: 0,
            ring: Vec::with_capacity(CAPACITY),
            order: Vec::with_capacity(CAPACITY),
            next: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.order.clear();
        self.next = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes a finite residual; the oldest one goes when the window is full.
    pub(crate) fn push(&mut self, residual: f64) {
        self.offered = self.offered.wrapping_add(1);
        if self.ring.len() == CAPACITY && !self.offered.is_multiple_of(self.stride) {
            return;
        }
        let residual = residual as f32;
        let slot = self.next;
        if self.ring.len() < CAPACITY {
            self.ring.push(residual);
        } else {
            if let Some(place) = self.order.iter().position(|&i| i == slot) {
                self.order.remove(place);
            }
            self.ring[usize::from(slot)] = residual;
        }
        let place = self
            .order
            .partition_point(|&i| self.ring[usize::from(i)] < residual);
        self.order.insert(place, slot);
        self.next = (slot + 1) % CAPACITY as u8;
    }

    /// Drops what the last `offers` residuals left in the window: they belong to an event that is over.
    pub(crate) fn forget(&mut self, offers: usize) {
        let kept = match self.ring.len() {
            CAPACITY => CAPACITY.saturating_sub(offers / self.stride as usize),
            len => len.saturating_sub(offers),
        };
        let oldest = if self.ring.len() < CAPACITY {
            0
        } else {
            usize::from(self.next)
        };
        self.ring.rotate_left(oldest);
        self.ring.truncate(kept);
        self.next = (kept % CAPACITY) as u8;
        self.order.clear();
        self.order.extend(0..kept as u8);
        self.order
            .sort_unstable_by(|&a, &b| self.ring[usize::from(a)].total_cmp(&self.ring[usize::from(b)]));
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
            return self.sorted(last) + self.tail(self.sorted(last)).abs() * (place - last as f64);
        }
        let low = self.sorted(below);
        low + (self.sorted(below + 1) - low) * (place - below as f64)
    }

    fn tail(&self, outermost: f64) -> f64 {
        let middle = self.sorted(self.len() / 2);
        (outermost - middle).abs() / (1.0 + self.len() as f64).ln()
    }

    fn sorted(&self, rank: usize) -> f64 {
        f64::from(self.ring[usize::from(self.order[rank])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forgetting_drops_the_newest_and_the_window_fills_again() {
        for before in [30, 80, 117] {
            let mut residuals = Residuals::new(1);
            (0..before).for_each(|i| residuals.push(f64::from(i)));
            let kept = residuals.len() - 20;
            residuals.forget(20);
            assert_eq!(
                (residuals.len(), residuals.sorted(kept - 1)),
                (kept, f64::from(before - 21))
            );
            (0..20).for_each(|i| residuals.push(f64::from(i + 1_000)));
            assert_eq!((residuals.len(), residuals.sorted(kept)), (kept + 20, 1_000.0));
        }
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_the_middle_ones_lie_within_the_newest(
            all in prop::collection::vec(-1e6..1e6_f64, 1..300),
        ) {
            let mut residuals = Residuals::new(1);
            all.iter().for_each(|&r| residuals.push(r));
            let newest = &all[all.len().saturating_sub(CAPACITY)..];
            let mut sorted: Vec<f64> = newest.iter().map(|&r| f64::from(r as f32)).collect();
            sorted.sort_by(f64::total_cmp);
            let kept: Vec<f64> = (0..residuals.len()).map(|rank| residuals.sorted(rank)).collect();
            prop_assert_eq!(&kept, &sorted);
            let quantiles: Vec<f64> = (0..=100).map(|l| residuals.quantile(f64::from(l) / 100.0)).collect();
            prop_assert!(quantiles.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6), "{:?}", quantiles);
        }
    }
}

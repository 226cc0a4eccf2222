//! Random numbers for first weights and for the order of windows, from a seed.

use super::{net::Net, shape::Shape};

/// SplitMix64 (Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, 2014): the same numbers from the
/// same seed in every version of this crate, which a library's generator does not promise.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in 0 to below `n`, which is not zero; the bias is under `n` / 2⁶⁴.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Uniform in -1 to 1.
    pub(super) fn spread(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}

impl Net {
    /// First weights: small, forgetting little, and an answer near "it stays as it is".
    pub(super) fn random(shape: Shape, random: &mut Random) -> Self {
        let hidden = shape.hidden;
        let bound = 1.0 / (hidden as f32).sqrt();
        let [gates, offsets, head, _] = shape.parts();
        let mut parameters = vec![0.0; shape.parameters()];
        parameters[..gates]
            .iter_mut()
            .for_each(|w| *w = bound * random.spread());
        parameters[gates + hidden..gates + 2 * hidden].fill(1.0);
        let head = gates + offsets..gates + offsets + head;
        let of_state = head.start..head.start + hidden * shape.horizon;
        parameters[of_state]
            .iter_mut()
            .for_each(|w| *w = 0.05 * random.spread());
        Self { shape, parameters }
    }
}

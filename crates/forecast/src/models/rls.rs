//! Linear regression that learns as observations come.

/// Recursive least squares with exponential forgetting (Haykin, *Adaptive Filter Theory*, ch. 10) of one output on `N`
/// inputs, all in units of about 1. One update costs some `2 N²` multiplications.
///
/// Two guards keep it sound on real load: the covariance's trace is capped (without new information forgetting would
/// let it grow without end), and a single step's surprise is clipped.
#[derive(Debug, Clone)]
pub(super) struct Rls<const N: usize> {
    weights: [f64; N],
    covariance: [[f64; N]; N],
    forgetting: f64,
}

/// Cap on the mean of the covariance's diagonal, in units of the inputs' inverse mean square.
const COVARIANCE_MAX: f64 = 100.0;
/// Cap on one step's surprise, in units of the output.
const SURPRISE_MAX: f64 = 4.0;

impl<const N: usize> Rls<N> {
    /// `forgetting` in (0.9, 1]: what one step leaves of an observation's weight. The first input's weight begins at
    /// `first`, the others at 0.
    pub(super) fn new(forgetting: f64, first: f64) -> Self {
        const { assert!(N > 0, "a regression is on one value at least") };
        let mut weights = [0.0; N];
        weights[0] = first;
        let mut covariance = [[0.0; N]; N];
        (0..N).for_each(|i| covariance[i][i] = 1.0);
        Self {
            weights,
            covariance,
            forgetting,
        }
    }

    /// The output that is expected for these inputs.
    pub(super) fn expected(&self, inputs: &[f64; N]) -> f64 {
        dot(&self.weights, inputs)
    }

    /// Takes an output beside its inputs; `first` is where the weights begin again if they were lost to rounding.
    pub(super) fn learn(&mut self, inputs: &[f64; N], output: f64, first: f64) {
        let surprise = (output - self.expected(inputs)).clamp(-SURPRISE_MAX, SURPRISE_MAX);
        let spread: [f64; N] = std::array::from_fn(|i| dot(&self.covariance[i], inputs));
        let scale = 1.0 / (self.forgetting + dot(inputs, &spread));
        for (weight, s) in self.weights.iter_mut().zip(&spread) {
            *weight += s * scale * surprise;
        }
        for (row, a) in self.covariance.iter_mut().zip(&spread) {
            for (cell, b) in row.iter_mut().zip(&spread) {
                *cell = (*cell - a * b * scale) / self.forgetting;
            }
        }
        self.keep_bounded(first);
    }

    fn keep_bounded(&mut self, first: f64) {
        let mean = (0..N).map(|i| self.covariance[i][i]).sum::<f64>() / N as f64;
        let sound = mean.is_finite() && self.weights.iter().all(|w| w.is_finite());
        let positive = (0..N).all(|i| self.covariance[i][i] > 0.0);
        if !(sound && positive) {
            *self = Self::new(self.forgetting, first);
        } else if mean > COVARIANCE_MAX {
            let shrink = COVARIANCE_MAX / mean;
            self.covariance
                .iter_mut()
                .flatten()
                .for_each(|cell| *cell *= shrink);
        }
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    // From the last on: in a forecast only the newest lag waits for the step before.
    a.iter().zip(b).rev().map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_does_not_let_the_covariance_grow() {
        let mut rls = Rls::<8>::new(0.995, 1.0);
        let noise = |t: u32| f64::from(t.wrapping_mul(2_654_435_761) >> 16) / 32_768.0 - 1.0;
        for t in 0..100_000 {
            let inputs = std::array::from_fn(|i| if t < 200 { noise(t + i as u32) } else { 1e-9 });
            rls.learn(&inputs, noise(t + 3), 1.0);
        }
        let cells = rls.covariance.iter().flatten();
        let largest = cells.fold(0.0_f64, |max, cell| max.max(cell.abs()));
        assert!(largest <= COVARIANCE_MAX * 8.0, "{largest}");
    }
}

//! The step from a gradient to new weights (Kingma & Ba, *Adam*, 2015), with the gradient's length bounded.

/// Running means of the slopes and of their squares.
#[derive(Debug)]
pub(super) struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
}

const MEAN_KEPT: f32 = 0.9;
const SQUARE_KEPT: f32 = 0.999;
const SMALLEST: f32 = 1e-8;
/// A gradient longer than this is shortened to it.
const LENGTH_MAX: f64 = 1.0;

impl Adam {
    pub(super) fn new(parameters: usize) -> Self {
        Self {
            mean: vec![0.0; parameters],
            square: vec![0.0; parameters],
            steps: 0,
        }
    }

    /// One step against `gradient`. A gradient that is not finite is passed over.
    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32], rate: f32) {
        let length = gradient
            .iter()
            .map(|&g| f64::from(g) * f64::from(g))
            .sum::<f64>()
            .sqrt();
        if !length.is_finite() {
            return;
        }
        let shorten = (LENGTH_MAX / length.max(LENGTH_MAX)) as f32;
        self.steps = self.steps.saturating_add(1);
        let mean_bias = 1.0 - MEAN_KEPT.powi(self.steps);
        let square_bias = 1.0 - SQUARE_KEPT.powi(self.steps);
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((weight, &g), (mean, square)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let g = g * shorten;
            *mean = MEAN_KEPT * *mean + (1.0 - MEAN_KEPT) * g;
            *square = SQUARE_KEPT * *square + (1.0 - SQUARE_KEPT) * g * g;
            *weight -= rate * (*mean / mean_bias) / ((*square / square_bias).sqrt() + SMALLEST);
        }
    }
}

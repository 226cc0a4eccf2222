//! Back-propagation through time for a few windows at once (Werbos, *Backpropagation Through Time*, 1990).

use super::{
    cell,
    kernel::{add_product, add_transposed_product},
    net::Net,
    shape::Shape,
    window::{Context, Scale},
};

/// A window to learn from: the series up to its end, and what came then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) context: Context<'a>,
    /// NaN where it is not known.
    pub(super) targets: &'a [f64],
}

/// What the windows of one part of a batch need; made once for a whole training.
#[derive(Debug)]
pub(super) struct Part {
    rows: usize,
    /// Window + 1 steps of rows × joined: the inputs of a step and the hidden state before it.
    joined: Vec<f32>,
    /// Window steps of rows × gates.
    gates: Vec<f32>,
    /// Window + 1 steps of rows × hidden; the first are zeros.
    cells: Vec<f32>,
    squashed: Vec<f32>,
    head_inputs: Vec<f32>,
    outputs: Vec<f32>,
    targets: Vec<f32>,
    d_head_inputs: Vec<f32>,
    d_hidden: Vec<f32>,
    d_cell: Vec<f32>,
    scales: Vec<Scale>,
    /// The loss's slope by each parameter, summed over the windows.
    pub(super) gradient: Vec<f32>,
    /// Sum of the losses over windows and steps ahead, and how many those are.
    pub(super) loss: f64,
    pub(super) counted: usize,
}

/// The weights that back-propagation multiplies by, transposed once a batch for all parts.
#[derive(Debug, Default)]
pub(super) struct Transposed {
    /// `gates` × `hidden`.
    recurrent: Vec<f32>,
    /// `horizon` × `hidden`.
    head: Vec<f32>,
}

impl Transposed {
    pub(super) fn take(&mut self, net: &Net) {
        let (shape, parts) = (&net.shape, net.parts());
        let recurrent = &parts.gates[shape.inputs() * shape.gates()..];
        transpose(recurrent, shape.gates(), &mut self.recurrent);
        transpose(
            &parts.head[..shape.hidden * shape.horizon],
            shape.horizon,
            &mut self.head,
        );
    }
}

fn transpose(from: &[f32], width: usize, to: &mut Vec<f32>) {
    to.clear();
    for column in 0..width {
        to.extend(from[column..].iter().step_by(width));
    }
}

impl Part {
    pub(super) fn new(shape: &Shape, rows: usize) -> Self {
        let (window, hidden) = (shape.window, shape.hidden);
        let zeros = |n: usize| vec![0.0; n];
        Self {
            rows,
            joined: zeros((window + 1) * rows * shape.joined()),
            gates: zeros(window * rows * shape.gates()),
            cells: zeros((window + 1) * rows * hidden),
            squashed: zeros(window * rows * hidden),
            head_inputs: zeros(rows * shape.head_inputs()),
            outputs: zeros(rows * shape.horizon),
            targets: zeros(rows * shape.horizon),
            d_head_inputs: zeros(rows * hidden),
            d_hidden: zeros(rows * hidden),
            d_cell: zeros(rows * hidden),
            scales: vec![Scale::default(); rows],
            gradient: zeros(shape.parameters()),
            loss: 0.0,
            counted: 0,
        }
    }

    /// Answers, loss and gradient for at most as many samples as there are rows. With `learn` false no gradient is made.
    pub(super) fn run(&mut self, net: &Net, transposed: &Transposed, samples: &[Sample<'_>], learn: bool) {
        self.show(&net.shape, samples);
        self.forward(net);
        self.judge();
        if learn {
            self.backward(net, transposed);
        }
    }

    /// Targets and answers of row `row`, in units of the window's spread; a target that is not known is NaN.
    pub(super) fn told(&self, row: usize, horizon: usize) -> (&[f32], &[f32]) {
        let range = row * horizon..(row + 1) * horizon;
        (&self.targets[range.clone()], &self.outputs[range])
    }

    fn show(&mut self, shape: &Shape, samples: &[Sample<'_>]) {
        let (width, hidden) = (shape.joined(), shape.hidden);
        self.targets.fill(f32::NAN);
        for (row, sample) in samples.iter().take(self.rows).enumerate() {
            let scale = &mut self.scales[row];
            scale.measure(shape, &sample.context);
            for t in 0..shape.window {
                let at = (t * self.rows + row) * width;
                let cells = &mut self.joined[at..at + shape.inputs()];
                shape.fill_step(t, &sample.context, scale, cells);
            }
            let at = row * shape.head_inputs();
            let seasons = &mut self.head_inputs[at + hidden..at + shape.head_inputs()];
            shape.fill_seasons(&sample.context, scale, seasons);
            let targets = &mut self.targets[row * shape.horizon..(row + 1) * shape.horizon];
            if scale.size > 0.0 {
                let known = targets.iter_mut().zip(sample.targets);
                known.for_each(|(target, &y)| *target = scale.scaled(y));
            }
        }
    }

    fn forward(&mut self, net: &Net) {
        let (shape, parts) = (&net.shape, net.parts());
        let (hidden, gates, width) = (shape.hidden, shape.gates(), shape.joined());
        let (step, joined_step) = (self.rows * hidden, self.rows * width);
        for t in 0..shape.window {
            let (joined, after) = self.joined[t * joined_step..].split_at_mut(joined_step);
            let gates_now = &mut self.gates[t * self.rows * gates..(t + 1) * self.rows * gates];
            let rows = gates_now.chunks_exact_mut(gates);
            rows.for_each(|row| row.copy_from_slice(parts.gate_offsets));
            add_product(gates_now, gates, joined, width, width, parts.gates);
            let (before, cells) = self.cells[t * step..].split_at_mut(step);
            let squashed = &mut self.squashed[t * step..(t + 1) * step];
            cell::forward(gates_now, before, &mut cells[..step], squashed, hidden);
            let after = &mut after[..joined_step];
            cell::emit(gates_now, squashed, hidden, after, width, shape.inputs());
        }
        let last = &self.joined[shape.window * joined_step..];
        let rows = self.head_inputs.chunks_exact_mut(shape.head_inputs());
        for (head, joined) in rows.zip(last.chunks_exact(width)) {
            head[..hidden].copy_from_slice(&joined[shape.inputs()..]);
        }
        let rows = self.outputs.chunks_exact_mut(shape.horizon);
        rows.for_each(|row| row.copy_from_slice(parts.head_offsets));
        let inputs = shape.head_inputs();
        add_product(
            &mut self.outputs,
            shape.horizon,
            &self.head_inputs,
            inputs,
            inputs,
            parts.head,
        );
    }

    /// Huber's loss: squares of small errors, so that it is smooth, sizes of large ones, so that no burst rules.
    fn judge(&mut self) {
        (self.loss, self.counted) = (0.0, 0);
        for (&target, &output) in self.targets.iter().zip(&self.outputs) {
            if !target.is_nan() {
                self.loss += huber(output - target);
                self.counted += 1;
            }
        }
    }

    fn backward(&mut self, net: &Net, transposed: &Transposed) {
        let (shape, hidden) = (&net.shape, net.shape.hidden);
        // From here on the outputs hold the loss's slope by them.
        for (output, &target) in self.outputs.iter_mut().zip(&self.targets) {
            let error = *output - target;
            *output = if target.is_nan() {
                0.0
            } else {
                error.clamp(-1.0, 1.0)
            };
        }
        self.gradient.fill(0.0);
        let [a, b, c, _] = shape.parts();
        let (d_gates, d_head) = self.gradient.split_at_mut(a + b);
        let (d_weights, d_offsets) = d_head.split_at_mut(c);
        let horizon = shape.horizon;
        add_transposed_product(
            d_weights,
            horizon,
            &self.head_inputs,
            shape.head_inputs(),
            &self.outputs,
        );
        add_rows(d_offsets, &self.outputs);
        self.d_head_inputs.fill(0.0);
        add_product(
            &mut self.d_head_inputs,
            hidden,
            &self.outputs,
            horizon,
            horizon,
            &transposed.head,
        );
        self.d_hidden.copy_from_slice(&self.d_head_inputs);
        self.d_cell.fill(0.0);
        let (d_weights, d_offsets) = d_gates.split_at_mut(a);
        let (gates, width) = (shape.gates(), shape.joined());
        let step = self.rows * hidden;
        for t in (0..shape.window).rev() {
            let gates_now = &mut self.gates[t * self.rows * gates..(t + 1) * self.rows * gates];
            let squashed = &self.squashed[t * step..(t + 1) * step];
            let before = &self.cells[t * step..(t + 1) * step];
            cell::backward(
                gates_now,
                before,
                squashed,
                &self.d_hidden,
                &mut self.d_cell,
                hidden,
            );
            let joined = &self.joined[t * self.rows * width..(t + 1) * self.rows * width];
            add_transposed_product(d_weights, gates, joined, width, gates_now);
            add_rows(d_offsets, gates_now);
            self.d_hidden.fill(0.0);
            add_product(
                &mut self.d_hidden,
                hidden,
                gates_now,
                gates,
                gates,
                &transposed.recurrent,
            );
        }
    }
}

fn add_rows(sum: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sum.len()) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// Half the square of an error up to 1, beyond it its size less a half.
pub(super) fn huber(error: f32) -> f64 {
    let size = f64::from(error.abs());
    if size <= 1.0 {
        0.5 * size * size
    } else {
        size - 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learned::lstm::random::Random;

    #[test]
    fn the_gradient_is_the_slope_that_differences_measure() {
        let shape = Shape {
            window: 6,
            horizon: 3,
            hidden: 5,
            periods: vec![4],
            signals: 1,
        };
        let mut random = Random::new(5);
        let mut net = Net::random(shape.clone(), &mut random);
        net.parameters
            .iter_mut()
            .for_each(|w| *w += 0.3 * random.spread());
        let values: Vec<f64> = (0..40).map(|t| f64::from((t * 37) % 11)).collect();
        let signals = vec![values.iter().rev().copied().collect()];
        let sample = |newest: usize| Sample {
            context: Context {
                values: &values,
                signals: &signals,
                newest,
                newest_step: Some(newest as i64),
            },
            targets: &values[newest + 1..newest + 4],
        };
        let samples = [sample(20), sample(31), sample(12)];
        let mut transposed = Transposed::default();
        transposed.take(&net);
        let mut part = Part::new(&shape, 4);
        part.run(&net, &transposed, &samples, true);
        let gradient = part.gradient.clone();
        for i in (0..net.parameters.len()).step_by(3) {
            let loss = |change: f32| {
                let mut net = net.clone();
                net.parameters[i] += change;
                let mut part = Part::new(&shape, 4);
                part.run(&net, &transposed, &samples, false);
                part.loss
            };
            let step = 2e-3;
            let slope = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[i]);
            let close = (found - slope).abs() < 2e-2 * (1.0 + slope.abs());
            assert!(close, "parameter {i}: {found}, measured {slope}");
        }
    }
}

//! One step of the network, forward and backward, for several windows at once.
//!
//! Hochreiter & Schmidhuber, *Long Short-Term Memory*, Neural Computation 9 (1997), with the forget gate of Gers,
//! Schmidhuber & Cummins (2000). Gates lie as input, forget, output, candidate, so that the three that are squashed
//! alike are one run.

use super::kernel::{sigmoid, tanh};

/// Squashes the gates of each row and moves the cell on: `gates` is rows × 4 hidden, all else rows × hidden.
pub(super) fn forward(
    gates: &mut [f32],
    before: &[f32],
    cell: &mut [f32],
    squashed: &mut [f32],
    hidden: usize,
) {
    for (r, gates) in gates.chunks_exact_mut(4 * hidden).enumerate() {
        let row = r * hidden..(r + 1) * hidden;
        gates[..3 * hidden].iter_mut().for_each(|g| *g = sigmoid(*g));
        gates[3 * hidden..].iter_mut().for_each(|g| *g = tanh(*g));
        let (input, rest) = gates.split_at(hidden);
        let (forget, rest) = rest.split_at(hidden);
        let candidate = &rest[hidden..];
        let (before, cell, squashed) = (&before[row.clone()], &mut cell[row.clone()], &mut squashed[row]);
        for i in 0..hidden {
            cell[i] = forget[i] * before[i] + input[i] * candidate[i];
            squashed[i] = tanh(cell[i]);
        }
    }
}

/// The hidden state that a step leaves, written into rows that begin `stride` apart.
pub(super) fn emit(
    gates: &[f32],
    squashed: &[f32],
    hidden: usize,
    out: &mut [f32],
    stride: usize,
    at: usize,
) {
    for ((gates, squashed), out) in gates
        .chunks_exact(4 * hidden)
        .zip(squashed.chunks_exact(hidden))
        .zip(out.chunks_mut(stride))
    {
        let output = &gates[2 * hidden..3 * hidden];
        for ((out, o), s) in out[at..at + hidden].iter_mut().zip(output).zip(squashed) {
            *out = o * s;
        }
    }
}

/// Turns squashed gates into the loss's slope by what they were before squashing; `d_cell` becomes that of the cell
/// before.
pub(super) fn backward(
    gates: &mut [f32],
    before: &[f32],
    squashed: &[f32],
    d_hidden: &[f32],
    d_cell: &mut [f32],
    hidden: usize,
) {
    for (r, gates) in gates.chunks_exact_mut(4 * hidden).enumerate() {
        let row = r * hidden..(r + 1) * hidden;
        let (before, squashed) = (&before[row.clone()], &squashed[row.clone()]);
        let (d_hidden, d_cell) = (&d_hidden[row.clone()], &mut d_cell[row]);
        let (input, rest) = gates.split_at_mut(hidden);
        let (forget, rest) = rest.split_at_mut(hidden);
        let (output, candidate) = rest.split_at_mut(hidden);
        let candidate = &mut candidate[..hidden];
        for k in 0..hidden {
            let (i, f, o, g, s) = (input[k], forget[k], output[k], candidate[k], squashed[k]);
            let d = d_cell[k] + d_hidden[k] * o * (1.0 - s * s);
            input[k] = d * g * i * (1.0 - i);
            forget[k] = d * before[k] * f * (1.0 - f);
            output[k] = d_hidden[k] * s * o * (1.0 - o);
            candidate[k] = d * i * (1.0 - g * g);
            d_cell[k] = d * f;
        }
    }
}

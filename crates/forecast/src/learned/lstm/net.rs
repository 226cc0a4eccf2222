//! The network: its parameters, and what it answers for one window.

use super::{
    cell,
    kernel::add_product,
    shape::Shape,
    window::{Context, Scale},
};

/// Shape and parameters: one LSTM layer, and a linear one on its last state that tells all steps ahead at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Net {
    pub(super) shape: Shape,
    /// In the order of [`Shape::parts`].
    pub(super) parameters: Vec<f32>,
}

/// The parameters by part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// `joined` × `gates`.
    pub(super) gates: &'a [f32],
    pub(super) gate_offsets: &'a [f32],
    /// `head_inputs` × `horizon`.
    pub(super) head: &'a [f32],
    pub(super) head_offsets: &'a [f32],
}

/// What one answer needs, made once and used again.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    pub(super) scale: Scale,
    joined: Vec<f32>,
    gates: Vec<f32>,
    cell: Vec<f32>,
    before: Vec<f32>,
    squashed: Vec<f32>,
    head_inputs: Vec<f32>,
    /// The answer, in units of the window's spread from its newest value.
    pub(super) output: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(shape: &Shape) -> Self {
        Self {
            scale: Scale::default(),
            joined: vec![0.0; shape.joined()],
            gates: vec![0.0; shape.gates()],
            cell: vec![0.0; shape.hidden],
            before: vec![0.0; shape.hidden],
            squashed: vec![0.0; shape.hidden],
            head_inputs: vec![0.0; shape.head_inputs()],
            output: vec![0.0; shape.horizon],
        }
    }
}

impl Net {
    pub(super) fn parts(&self) -> Parts<'_> {
        let [a, b, c, _] = self.shape.parts();
        let (gates, rest) = self.parameters.split_at(a);
        let (gate_offsets, rest) = rest.split_at(b);
        let (head, head_offsets) = rest.split_at(c);
        Parts {
            gates,
            gate_offsets,
            head,
            head_offsets,
        }
    }

    /// Answers for the window that ends at the context's newest value.
    pub(super) fn answer(&self, context: &Context<'_>, scratch: &mut Scratch) {
        let (shape, parts) = (&self.shape, self.parts());
        let (inputs, hidden, gates) = (shape.inputs(), shape.hidden, shape.gates());
        scratch.scale.measure(shape, context);
        scratch.joined.fill(0.0);
        scratch.cell.fill(0.0);
        for t in 0..shape.window {
            shape.fill_step(t, context, &scratch.scale, &mut scratch.joined[..inputs]);
            scratch.gates.copy_from_slice(parts.gate_offsets);
            let joined = &scratch.joined;
            add_product(
                &mut scratch.gates,
                gates,
                joined,
                joined.len(),
                joined.len(),
                parts.gates,
            );
            std::mem::swap(&mut scratch.before, &mut scratch.cell);
            cell::forward(
                &mut scratch.gates,
                &scratch.before,
                &mut scratch.cell,
                &mut scratch.squashed,
                hidden,
            );
            let width = scratch.joined.len();
            cell::emit(
                &scratch.gates,
                &scratch.squashed,
                hidden,
                &mut scratch.joined,
                width,
                inputs,
            );
        }
        let (state, seasons) = scratch.head_inputs.split_at_mut(hidden);
        state.copy_from_slice(&scratch.joined[inputs..]);
        shape.fill_seasons(context, &scratch.scale, seasons);
        scratch.output.copy_from_slice(parts.head_offsets);
        let width = scratch.head_inputs.len();
        add_product(
            &mut scratch.output,
            shape.horizon,
            &scratch.head_inputs,
            width,
            width,
            parts.head,
        );
    }
}
